"""LoRA-like files read from their headers: what they change, what they were made for, and what they say about themselves."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import headers
from ..errors import CheckpointError, printable
from ..headers import Header
from ..shelves import PICKLES
from . import guess, naming
from .changes import Change, changes

_TRAINING_TAGS = 50  # so many of the most frequent are kept
_TEXT = 2_000  # characters of what a file says about itself


@dataclass(frozen=True)
class LoraFile:
    """`unknown` names the tensors that make up no change known here."""

    header: Header
    changes: tuple[Change, ...]
    unknown: tuple[str, ...]

    @property
    def name(self) -> str:
        return printable(self.header.stamp.path.name)


@dataclass(frozen=True)
class LoraInfo:
    """What is shown of a file. `kind` names the ways it writes its changes ("LoRA", "LoCon", "LoKr", ...), most frequent first.

    `family` is a guess from widths and metadata, None where neither tells; `text_width` what its denoiser attends to.
    `parts` counts the modules it changes by component ("denoiser", "text_encoder", ...), `unknown` the tensors that are not
    understood. `trigger_words` are what the file itself recommends, `tags` (word, count) what it was trained with.
    `broken` says in one sentence why it cannot be used, or is None.
    """

    path: Path
    kind: str = ""
    family: str | None = None
    text_width: int | None = None
    ranks: tuple[int, ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    title: str = ""
    alias: str = ""
    base_model: str = ""
    trigger_words: tuple[str, ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    broken: str | None = None


def inspect(path: Path) -> LoraInfo:
    """Reads the header only, in milliseconds; never raises."""
    try:
        file = read(path)
    except CheckpointError as error:
        return LoraInfo(path, broken=str(error))
    kinds = Counter(change.title for change in file.changes)
    guessed = guess.of(file.changes, file.header.metadata)
    return LoraInfo(
        path=path,
        kind=" + ".join(kind for kind, _ in kinds.most_common()),
        family=guessed.family,
        text_width=guessed.text_width,
        ranks=tuple(sorted({change.rank for change in file.changes if change.rank})),
        parts=dict(Counter(component for component, _ in {(change.component, change.module) for change in file.changes})),
        unknown=len(file.unknown),
        **_said(file.header.metadata),
    )


def read(path: Path) -> LoraFile:
    """Raises `CheckpointError` for pickles, damaged files, and files without any change that is known here."""
    name = printable(path.name)
    if path.suffix.lower() in (*PICKLES, ".bin"):
        raise CheckpointError(f"{name} is a pickle, which can run code when opened; convert it to .safetensors.")
    header = headers.read(path)
    modules: dict[tuple[str, str], dict[str, str]] = {}
    dotted: dict[tuple[str, str], str] = {}
    unknown = []
    for tensor in header.tensors:
        parts = naming.split(tensor)
        slots = modules.setdefault(parts[:2], {}) if parts else {}
        if parts is None or parts.slot in slots:
            unknown.append(tensor)
        else:
            slots[parts.slot] = tensor
            dotted[parts[:2]] = parts.dotted
    found: list[Change] = []
    settings = _adapter_settings(header.metadata)
    for (component, module), slots in modules.items():
        made, left = changes(component, module, {slot: (tensor, header.tensors[tensor]) for slot, tensor in slots.items()})
        found += (_scaled(change, dotted[component, module], settings) for change in made)
        unknown += sorted(left)
    if not found:
        raise CheckpointError(f"{name} is no LoRA: none of its {len(header.tensors):,} tensors belongs to a change that is known here.")
    return LoraFile(header, tuple(found), tuple(unknown))


def _adapter_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What diffusers writes beside its LoRA: "unet.lora_alpha", "unet.alpha_pattern", "text_encoder.use_rslora", ..."""
    found = _json(metadata.get("lora_adapter_metadata", ""))
    return found if isinstance(found, dict) else {}


def _scaled(change: Change, dotted: str, settings: Mapping[str, Any]) -> Change:
    """With the alpha of the file's metadata. The key of a pattern is a regular expression for the end of a module's name;
    here it has to be the end itself, which is all that diffusers writes."""
    if change.form != "lora" or "alpha" in change.tensors or not settings:
        return change
    own = ("unet", "transformer", "") if change.component == naming.DENOISER else (change.component,)
    prefix = next((f"{name}." if name else "" for name in own if f"{name}.lora_alpha".lstrip(".") in settings), None)
    if prefix is None:
        return change
    pattern = settings.get(f"{prefix}alpha_pattern")
    patterns = pattern.items() if isinstance(pattern, dict) else ()
    alpha = next((value for key, value in patterns if f".{dotted}".endswith(f".{key}")), settings[f"{prefix}lora_alpha"])
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)):
        return change
    return replace(change, alpha=float(alpha), root_rank=settings.get(f"{prefix}use_rslora") is True)


def _said(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the file says about itself, in kohya's words (`ss_...`) and in ModelSpec's (`modelspec....`)."""

    def first(*names: str) -> str:
        return next((_short(metadata[name]) for name in names if metadata.get(name, "None") not in ("", "None")), "")

    words = re.split(r"[,;\n]", first("modelspec.trigger_phrase", "trigger_words", "activation text"))
    return {
        "title": first("modelspec.title", "ss_output_name"),
        "alias": first("ss_output_name"),
        "base_model": first("ss_base_model_version", "modelspec.architecture", "ss_sd_model_name"),
        "trigger_words": tuple(word.strip() for word in words if word.strip()),
        "tags": tuple(_tags(_json(metadata.get("ss_tag_frequency", ""))).most_common(_TRAINING_TAGS)),
    }


def _tags(found: Any) -> "Counter[str]":
    """kohya's {folder: {tag: count}}, summed over the folders."""
    counts: Counter[str] = Counter()
    folders: Iterable[Any] = found.values() if isinstance(found, dict) else ()
    for folder in folders:
        for tag, count in folder.items() if isinstance(folder, dict) else ():
            if type(count) is int and 0 < count < 2**31 and tag.strip():
                counts[_short(tag.strip())[:100]] += count
    return counts


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _short(text: str) -> str:
    return printable(text[:_TEXT])
