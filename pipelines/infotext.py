"""A1111's `parameters` text: how a picture was made, as most tools of the field write and read it.

    a red fox, oil
    Negative prompt: blurry
    Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x768, Model: fox, Version: Safelight 0.1

The text cannot say everything (a prompt with a line "Negative prompt:" in it, an inpainting's mask). What it would lose
follows as JSON in one more key, `Safelight`, which other tools keep or ignore; so `parse(write(x))` gives x again.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from .errors import UnknownName
from .infotext_words import FRAMES, HIRES, OF_PICTURES, ORDER, WORDS, heard_of_modifiers, said_of_modifiers
from .names import AUTOMATIC, SCHEDULERS, SCHEDULES, SchedulerSpec, resolve, resolve_schedule
from .request import TASKS, Img2Vid, Inpaint, Request, Upscale

SOFTWARE = "Safelight 0.1"
OWN = "Safelight"
NEGATIVE = "Negative prompt:"
MASK = ("Mask blur", "Mask mode", "Inpaint area", "Masked content", "Masked area padding")

_KEY = re.compile(r"\w[\w \-/]+")
_KEY_AT_END = re.compile(r"\w[\w \-/]+\Z")
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STEPS_FIRST = re.compile(r"\s*Steps:\s*[0-9]")
SILENT_WORDS = ("template", "prompt_2", "negative_prompt_2")
_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")
_LONGEST_KEY = 200
SIZES = {"Size": ("width", "height"), "Seed resize from": ("seed_resize_from_width", "seed_resize_from_height")}
_A1111 = re.compile(r"[vf][0-9]")
"""How the versions of A1111 and Forge begin, which leave out RNG where a GPU drew the noise."""


@dataclass(frozen=True)
class ParsedInfotext:
    """`draft` are fields of a request, each valid by itself; `unknown` what they cannot hold, by A1111's names."""

    draft: Mapping[str, Any]
    unknown: Mapping[str, str]
    raw: str


_NAMES = {word.field: word.key for word in WORDS} | {"scheduler": "Sampler", "schedule": "Schedule type", "negative_prompt": NEGATIVE[:-1]}
_RESERVED = {*ORDER, OWN, "Version", *(word.key for word in OF_PICTURES)} - {"Model hash", "VAE hash"}


# -- writing ------------------------------------------------------------------------------------------------------------


def write(request: Request, seed: int, extra: Mapping[str, Any] | None = None, schedulers: Mapping[str, SchedulerSpec] = SCHEDULERS) -> str:
    """The text for the one picture of `request` that has `seed`.

    `extra` adds keys of A1111's kind in their order; `Model hash` and `VAE hash` find their usual place. None is left
    out, as is a key that the text cannot hold.
    """
    picture = request.model_copy(update={"seed": seed, "num_images_per_prompt": 1})
    pairs = _pairs_of(picture, extra or {}, schedulers)
    said = parse(_text(picture, pairs), schedulers).draft
    understood = {name: field.default for name, field in type(picture).model_fields.items() if name not in _NAMES} | said
    meant = ((name, value) for name, value in picture.model_dump().items() if name not in picture.unused)
    left_out = {name: value for name, value in meant if name not in understood or understood[name] != value}
    if left_out:
        pairs[OWN] = json.dumps(left_out, ensure_ascii=False)
    return _text(picture, {**pairs, "Version": SOFTWARE})


def _pairs_of(picture: Request, extra: Mapping[str, Any], schedulers: Mapping[str, SchedulerSpec]) -> dict[str, str]:
    spec = schedulers.get(picture.scheduler)
    said = {
        "Sampler": picture.scheduler if spec is None else spec.title,
        "Schedule type": SCHEDULES.get(picture.schedule, picture.schedule),
        "Size": f"{picture.width}x{picture.height}",
    }
    if picture.seed_resize_from_width and picture.seed_resize_from_height:
        said["Seed resize from"] = f"{picture.seed_resize_from_width}x{picture.seed_resize_from_height}"
    for word in WORDS:
        value = None if word.field in picture.unused else getattr(picture, word.field, None)
        if value is not None and value != word.silent:
            said[word.key] = word.say(value)
    said |= dict(said_of_modifiers(picture.modifiers, picture.num_inference_steps))
    more = {key: str(value) for key, value in extra.items() if value is not None and _KEY.fullmatch(key) and key not in _RESERVED}
    said = said | {key: value for key, value in more.items() if key not in said}
    ordered = [key for key in ORDER if key in said]
    return {key: said[key] for key in (*ordered, *(key for key in said if key not in ordered))}


def _text(picture: Request, pairs: Mapping[str, str]) -> str:
    negative = f"{NEGATIVE} {picture.negative_prompt}\n" if picture.negative_prompt else ""
    line = ", ".join(f"{key}: {_quote(value)}" for key, value in pairs.items())
    return f"{picture.prompt}\n{negative}{line}".strip()


def _quote(value: str) -> str:
    plain = value and value == value.strip() and not value.startswith('"') and not any(sign in value for sign in ",:\n")
    return value if plain else json.dumps(value, ensure_ascii=False)


# -- reading ------------------------------------------------------------------------------------------------------------


def parse(text: str, schedulers: Mapping[str, SchedulerSpec] = SCHEDULERS) -> ParsedInfotext:
    """What the text says, in a time that grows with its length; any text will do, and none raises.

    The last line holds the parameters if it starts with "Steps:" and three pairs are in it; else it belongs to the prompt.
    """
    whole = text.encode("utf-8", "replace").decode()  # without halves of surrogate pairs
    *lines, last = whole.strip().split("\n")
    pairs = dict(_pairs(last)) if _STEPS_FIRST.match(last) else {}
    if len(pairs) < 3:
        lines, pairs = [*lines, last], {}
    prompt, negative = _prompts(lines)
    fields: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative} if pairs or prompt or negative else {}
    unknown = dict(pairs)
    if pairs:
        # what A1111 means by leaving it out; what is recommended or was set before must not take its place
        silent = {word.field: word.silent for word in WORDS if word.silent not in (None, "") or word.field in SILENT_WORDS}
        silent["noise_source"] = "nv" if _A1111.match(pairs.get("Version", "")) else "cpu"
        silent |= {**dict.fromkeys(SIZES["Seed resize from"], 0), "inpaint_area": "whole"}
        fields |= {"task": _task(pairs), **silent, **_heard(pairs, unknown), **_sampling(unknown, schedulers)}
        task = TASKS[fields["task"]]
        pointless = task.unused | {word.field for word in OF_PICTURES if word.field not in task.model_fields}
        fields = {name: value for name, value in fields.items() if name not in pointless}
        modifiers, taken = heard_of_modifiers(unknown | {key: pairs[key] for key in ("Steps",) if key in pairs})
        fields |= {"modifiers": modifiers} if modifiers else {}
        unknown = {key: value for key, value in unknown.items() if key not in taken}
    draft = valid_fields(fields)
    for field in fields.keys() - draft.keys():
        key = _NAMES.get(field, field.capitalize())
        unknown[key] = pairs.get(key, str(fields[field]))
    own = valid_fields(_own_words(unknown))
    unknown = {key: value for key, value in unknown.items() if key not in {_NAMES.get(field) for field in own}}
    return ParsedInfotext(draft | own, unknown, text)


def valid_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are fields of a request and keep their own bounds."""
    rest = {
        "image": "0" * 64, "mask_image": "0" * 64, "num_inference_steps": 150, "min_guidance_scale": 0.0, "max_guidance_scale": 15.0,
    }  # fmt: skip
    named = TASKS.get(str(fields.get("task")))
    kinds = (*filter(None, (named,)), Inpaint, Upscale, Img2Vid)
    valid = {}
    for name, value in fields.items():
        if name == "task":
            if isinstance(value, str) and value in TASKS:
                valid[name] = value
        elif (model := next((each for each in kinds if name in each.model_fields), None)) is not None:
            try:
                needed = {field: enough for field, enough in rest.items() if field in model.model_fields}
                valid[name] = getattr(model.model_validate({**needed, name: value}), name)
            except (ValidationError, RecursionError):
                continue
    unused = TASKS[valid["task"]].unused if "task" in valid else ()
    return {name: value for name, value in valid.items() if name not in unused}


def _prompts(lines: list[str]) -> tuple[str, str]:
    """Prompt and negative prompt; every line from the first "Negative prompt:" on is negative."""
    prompt: list[str] = []
    negative: list[str] = []
    current = prompt
    for line in (line.strip() for line in lines):
        if line.startswith(NEGATIVE):
            current, line = negative, line.removeprefix(NEGATIVE).strip()
        current.append(line)
    return "\n".join(prompt), "\n".join(negative)


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """`key: value` between commas; a value in quotes may hold anything. One pass, whatever the line."""
    at = 0
    while (colon := line.find(":", at)) >= 0:
        comma = line.rfind(",", at, colon)  # words without a colon before it are no pair
        key = _KEY_AT_END.search(line[max(at, comma + 1, colon - _LONGEST_KEY) : colon].rstrip())
        value, at = _value(line, colon + 1)
        if key is not None and value is not None:
            yield key.group(), value


def _value(line: str, start: int) -> tuple[str | None, int]:
    """The value from `start`, None if it is empty, and where the next pair begins."""
    start += len(line[start : start + 100]) - len(line[start : start + 100].lstrip())
    if quoted := _QUOTED.match(line, start):
        after = quoted.end()
        if line[after : after + 1] in ("", ","):
            try:
                return str(json.loads(quoted.group(), strict=False)), after + 1
            except ValueError:  # no JSON after all: taken as it stands
                return quoted.group(), after + 1
    comma = line.find(",", start)
    end = len(line) if comma < 0 else comma
    return line[start:end].strip() or None, end + 1


def _task(pairs: Mapping[str, str]) -> str:
    if FRAMES in pairs:
        return "img2vid"
    if "Denoising strength" not in pairs or any(key in pairs for key in HIRES):
        return "txt2img"
    return "inpaint" if any(key in pairs for key in MASK) else "img2img"


def _heard(pairs: Mapping[str, str], unknown: dict[str, str]) -> dict[str, Any]:
    """Fields that stand under one key each, and the size; takes what it understood from `unknown`."""
    fields: dict[str, Any] = {}
    for word in WORDS:
        if word.key not in pairs or (word.field == "strength" and _task(pairs) == "txt2img"):
            continue
        try:
            fields[word.field] = word.hear(pairs[word.key])
            del unknown[word.key]
        except ValueError:
            continue
    for key, sides in SIZES.items():
        if size := _SIZE.fullmatch(pairs.get(key, "")):
            fields |= dict(zip(sides, (int(size[1]), int(size[2])), strict=True))
            del unknown[key]
    return fields


def _sampling(unknown: dict[str, str], schedulers: Mapping[str, SchedulerSpec]) -> dict[str, str]:
    """Scheduler and schedule, also from old joint names such as "DPM++ 2M Karras"."""
    title = unknown.get("Schedule type", "")
    try:
        name, joint = resolve(unknown.get("Sampler", ""), schedulers)
    except UnknownName:
        return {}
    unknown.pop("Sampler")
    try:
        schedule = resolve_schedule(title or joint or AUTOMATIC)
    except UnknownName:
        return {"scheduler": name, "schedule": AUTOMATIC}
    if schedule == AUTOMATIC or schedule in schedulers[name].schedules:
        unknown.pop("Schedule type", None)
        return {"scheduler": name, "schedule": schedule}
    return {"scheduler": name, "schedule": AUTOMATIC}


def _own_words(unknown: dict[str, str]) -> dict[str, Any]:
    try:
        words = json.loads(unknown.get(OWN, "{}"))
    except (ValueError, RecursionError):
        return {}
    unknown.pop(OWN, None)
    return words if isinstance(words, dict) else {}
