"""What a checkpoint says about itself in `safelight.json`. Nobody vouches for the file, so every value is checked and a bad one dropped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .errors import CheckpointError
from .families.parts import read_json
from .request import Txt2Img

FILE = "safelight.json"
RECOMMENDABLE = (
    "scheduler", "schedule", "num_inference_steps", "guidance_scale", "width", "height", "clip_skip", "negative_prompt",
)  # fmt: skip
_MOST_PROMPTS = 24


@dataclass(frozen=True)
class ModelCard:
    """Everything may be absent. `recommended` holds valid fields of a request; `latent_rgb_factors` one row of 3 per latent channel."""

    title: str = ""
    summary: str = ""
    native_size: tuple[int, int] | None = None
    recommended: Mapping[str, Any] = field(default_factory=dict)
    example_prompts: tuple[str, ...] = ()
    latent_rgb_factors: tuple[tuple[float, ...], ...] = ()
    latent_rgb_bias: tuple[float, ...] = ()


def read(folder: Path) -> ModelCard:
    """Never raises: a card that cannot be read is an empty one."""
    path = folder / FILE
    try:
        found = read_json(path) if path.is_file() else {}
    except CheckpointError:
        return ModelCard()
    prompts = [_text(prompt, 500) for prompt in _list(found.get("example_prompts"))[:_MOST_PROMPTS]]
    rows = tuple(_numbers(row) for row in _list(found.get("latent_rgb_factors"))[:64])
    size = _list(found.get("native_size"))
    return ModelCard(
        title=_text(found.get("title"), 120),
        summary=_text(found.get("summary"), 1000),
        native_size=_size(*size) if len(size) == 2 else None,
        recommended=_recommended(found.get("recommended")),
        example_prompts=tuple(prompt for prompt in prompts if prompt),
        latent_rgb_factors=rows if all(rows) else (),
        latent_rgb_bias=_numbers(found.get("latent_rgb_bias")),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value[:longest] if character.isprintable() or character == "\n").strip()


def _numbers(value: Any) -> tuple[float, ...]:
    """Three finite numbers, or nothing."""
    if not isinstance(value, list) or len(value) != 3:
        return ()
    if not all(type(item) in (int, float) and abs(item) < 1e6 and isfinite(item) for item in value):
        return ()
    return tuple(float(item) for item in value)


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    return (width, height) if _recommended({"width": width, "height": height}).keys() == {"width", "height"} else None


def _recommended(value: Any) -> dict[str, Any]:
    """The fields that a request would accept."""
    kept = {}
    for name in RECOMMENDABLE if isinstance(value, dict) else ():
        if name in value:
            try:
                kept[name] = getattr(Txt2Img.model_validate({name: value[name]}, strict=True), name)
            except ValidationError:
                continue
    return kept
