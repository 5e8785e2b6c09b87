"""What lies beside a model file and tells about it: Civitai's and A1111's notes, and a picture."""

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

_MOST_BYTES = 2**22  # Civitai lists every example picture of every version
_MOST_TEXT = 10_000
_MOST_WORDS = 100
_LARGEST_PREVIEW = 2**26
_PREVIEWS = tuple(f"{middle}.{kind}" for middle in (".preview", "") for kind in ("png", "jpg", "jpeg", "webp"))
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Sidecar:
    """Plain text of bounded length throughout. `preferred_weight` is what a LoRA is meant to be used at; `preview` a picture
    file that is there and not checked yet. `base_model` is free text such as "SD 1.5"."""

    title: str = ""
    description: str = ""
    trigger_words: tuple[str, ...] = ()
    preferred_weight: float | None = None
    notes: str = ""
    base_model: str = ""
    preview: Path | None = None
    tags: tuple[str, ...] = ()


def read(path: Path) -> Sidecar:
    """What is told beside the model at `path`, a file or a folder. Never raises: what is damaged or absent tells nothing.

    Read are `<name>.json` (A1111's own, which the user edits and so comes first), `<name>.civitai.info` and
    `<name>.cm-info.json` (helper extensions'), and `<name>.preview.png` or `<name>.png` (.jpg, .jpeg, .webp).
    """
    stem = path.with_suffix("") if not path.is_dir() else path
    own, civitai = _json(stem, ".json"), _json(stem, ".civitai.info") or _json(stem, ".cm-info.json")
    model, version = _object(civitai.get("model")), own.get("sd version")
    return Sidecar(
        title=_first(civitai.get("VersionedName"), _joined(model.get("name"), civitai.get("name")), civitai.get("ModelName")),
        description=_first(own.get("description"), civitai.get("description"), model.get("description"), civitai.get("ModelDescription")),
        trigger_words=_words(own.get("activation text")) or _words(civitai.get("trainedWords", civitai.get("TrainedWords"))),
        preferred_weight=_weight(own.get("preferred weight")),
        notes=_first(own.get("notes")),
        base_model=_first(version if version != "Unknown" else "", civitai.get("baseModel"), civitai.get("BaseModel")),
        preview=_preview(stem),
        tags=_words(model.get("tags", civitai.get("Tags"))),
    )


def _json(stem: Path, suffix: str) -> Mapping[str, Any]:
    try:
        file = stem.with_name(stem.name + suffix)
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return {}
        return _object(json.loads(file.read_bytes().decode("utf-8-sig", "replace")))
    except (OSError, ValueError, RecursionError):
        return {}


def _object(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _joined(model: Any, version: Any) -> str:
    return " ".join(part for part in (_text(model), _text(version)) if part)


def _first(*found: Any) -> str:
    return next((text for text in map(_text, found) if text), "")


def _text(found: Any) -> str:
    """As plain text: Civitai's descriptions are HTML."""
    if not isinstance(found, str):
        return ""
    found = found[: 4 * _MOST_TEXT]
    if "<" in found:
        found = html.unescape(_TAG.sub("", re.sub(r"<br ?/?>|</p>|</li>|</h\d>", "\n", found)))
    kept = "".join(character if character.isprintable() or character == "\n" else " " for character in found)
    return re.sub(r"\n{3,}", "\n\n", kept).strip()[:_MOST_TEXT]


def _words(found: Any) -> tuple[str, ...]:
    """From a list, or from text in which commas part them, each once."""
    listed: Iterable[Any] = found if isinstance(found, list) else found.split(",") if isinstance(found, str) else ()
    words = (_text(word).strip(" ,\n")[:500] for word in list(listed)[:_MOST_WORDS])
    return tuple(dict.fromkeys(word for word in words if word))


def _weight(found: Any) -> float | None:
    """A1111 writes 0 where nothing is preferred."""
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not isfinite(found) or found == 0:
        return None
    return float(found) if abs(found) <= 10 else None


def _preview(stem: Path) -> Path | None:
    for suffix in _PREVIEWS:
        file = stem.with_name(stem.name + suffix)
        try:
            if file.is_file() and 0 < file.stat().st_size <= _LARGEST_PREVIEW:
                return file
        except OSError:
            continue
    return None
