"""One text that asks for many pictures: A1111's prompt matrix, and its "prompts from file"."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidRequest, UnknownName, shortened
from ..names import resolve

_COMBINATIONS = 256
_LINES = 1000


def matrix(text: str, delimiter: str = ", ", at_start: bool = False) -> list[str]:
    """Each way to leave out what stands between bars, in A1111's order: `a|b|c` gives a; a, b; a, c; a, b, c.

    The first part is always there; `at_start` puts it last. Raises `InvalidRequest` for more than 256 prompts.
    """
    first, *rest = text.split("|")
    if 2 ** len(rest) > _COMBINATIONS:
        raise InvalidRequest(f"A prompt matrix may have at most {_COMBINATIONS} prompts, so 8 bars; got {len(rest)} bars.", "prompt")
    prompts = []
    for number in range(2 ** len(rest)):
        chosen = [part.strip().strip(",") for index, part in enumerate(rest) if number & (1 << index)]
        prompts.append(delimiter.join([*chosen, first] if at_start else [first, *chosen]))
    return prompts


def lines(text: str) -> list[dict[str, Any]]:
    """Fields of a request for each line. A line that begins with `--` has A1111's options, such as
    `--prompt "a cat" --steps 20 --sampler_name "Euler a"`; any other is a prompt. Empty lines and those that begin with `#` count
    for nothing.

    Raises `InvalidRequest` that names the line for an option that is unknown, not offered here, or has no fitting value.
    """
    typed = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    typed = [(number, line) for number, line in typed if line and not line.startswith("#")]
    if len(typed) > _LINES:
        raise InvalidRequest(f"A list of prompts may have at most {_LINES} lines; got {len(typed)}.", "lines")
    return [_options(line, number) if line.startswith("--") else {"prompt": line} for number, line in typed]


def _options(line: str, number: int) -> dict[str, Any]:
    try:
        words = shlex.split(line)
    except ValueError:
        raise InvalidRequest(f"Line {number} must close its quotes; got {shortened(line)}.", "lines") from None
    fields: dict[str, Any] = {}
    pictures = 1
    while words:
        option = words.pop(0)
        name = option[2:]
        if not option.startswith("--") or name not in _READ:
            raise InvalidRequest(f"Line {number}: there is no option {shortened(option)}; known: {', '.join(_READ)}.", "lines")
        if not words:
            raise InvalidRequest(f"Line {number}: {option} must be followed by its value; there is none.", "lines")
        value = words.pop(0)
        while name in _PROMPTS and words and not words[0].startswith("--"):
            value += " " + words.pop(0)
        try:
            read = _READ[name](value)
        except (ValueError, UnknownName):
            raise InvalidRequest(f"Line {number}: {shortened(value)} is no value of {option}.", "lines") from None
        pictures *= read.pop("pictures", 1)
        fields.update(read)
    return fields | ({"num_images_per_prompt": pictures} if pictures != 1 else {})


def _as(field: str, read: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    return lambda value: {field: read(value)}


def _sampler(value: str) -> dict[str, Any]:
    """A1111's name, also the old joint ones such as "DPM++ 2M Karras"."""
    try:
        scheduler, schedule = resolve(value)
    except UnknownName:
        raise ValueError(value) from None
    return {"scheduler": scheduler} | ({"schedule": schedule} if schedule else {})


_PROMPTS = ("prompt", "negative_prompt")
_READ: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "prompt": _as("prompt", str),
    "negative_prompt": _as("negative_prompt", str),
    "seed": _as("seed", int),
    "steps": _as("num_inference_steps", int),
    "cfg_scale": _as("guidance_scale", float),
    "width": _as("width", int),
    "height": _as("height", int),
    "sampler_name": _sampler,
    "sd_model": _as("checkpoint", str),
    "batch_size": _as("pictures", int),
    "n_iter": _as("pictures", int),
}
"""A1111's options that mean something here; pictures of several batches are so many of one job."""
