"""Units as sd-webui-controlnet writes them into a picture's text: `ControlNet 0: "Module: canny, Model: ..., Weight: 1, ..."`.

Its text never names the picture that steered; units that are heard are therefore off until they are given one.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

_MODULES = {
    "none": "none", "canny": "canny", "soft_edges": "softedge_hed", "lineart": "lineart_standard (from white bg & black line)",
    "scribble": "scribble_xdog", "invert": "invert (from white bg & black line)", "tile": "tile_resample", "blur": "blur_gaussian",
    "colour": "t2ia_color_grid", "reference": "reference_only", "segmentation": "none", "depth": "depth_midas", "normal": "normal_midas",
    "segments": "seg_ofade20k",
}  # fmt: skip
_HEARD = {"softedge": "soft_edges", "hed": "soft_edges", "pidinet": "soft_edges", "t2ia_color": "colour", "seg_": "segments"}
_RESIZE = {"stretch": "Just Resize", "crop": "Crop and Resize", "fill": "Resize and Fill"}
_MODES = {"balanced": "Balanced", "prompt": "My prompt is more important", "control": "ControlNet is more important"}
_THRESHOLDS = {"canny": ("low", "high"), "tile": ("factor",), "blur": ("radius",), "colour": (), "reference": ("style_fidelity",)}
_KEY = re.compile(r"ControlNet (\d{1,2})")


def say(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A key and its text for each unit that is on."""
    units = params.get("units") or ()
    for place, unit in enumerate(unit for unit in units if isinstance(unit, Mapping) and unit.get("enabled", True)):
        name = str(unit.get("preprocessor", "none"))
        given = unit.get("parameters") or {}
        letters = zip("AB", _THRESHOLDS.get(name, ()), strict=False)
        said = {
            "Module": _MODULES.get(name, name),
            "Model": PurePosixPath(str(unit.get("model") or "None")).name.removesuffix(".safetensors"),
            "Weight": unit.get("controlnet_conditioning_scale", 1.0),
            "Resize Mode": _RESIZE.get(str(unit.get("resize_mode", "crop"))),
            "Processor Res": unit.get("resolution", 512),
            **{f"Threshold {letter}": given[key] for letter, key in letters if key in given},
            "Guidance Start": unit.get("control_guidance_start", 0.0),
            "Guidance End": unit.get("control_guidance_end", 1.0),
            "Pixel Perfect": unit.get("pixel_perfect", True),
            "Control Mode": _MODES.get(str(unit.get("control_mode", "balanced"))),
        }
        yield f"ControlNet {place}", ", ".join(f"{key}: {_written(value)}" for key, value in said.items())


def hear(pairs: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    """Settings of the modifier, {} where nothing is said, and the keys that were understood. Raises `ValueError`."""
    keys = sorted((key for key in pairs if _KEY.fullmatch(key)), key=lambda key: int(key.split()[1]))
    return ({"units": [_unit(pairs[key]) for key in keys]} if keys else {}), set(keys)


def _unit(text: str) -> dict[str, Any]:
    said = {}
    for part in re.split(r", (?=[A-Z][A-Za-z ]*: )", text):
        key, _, value = part.partition(": ")
        said[key.lower()] = value.strip()
    name = _preprocessor(said.get("module", "none"))
    model = re.sub(r"\s*\[[0-9a-f]+\]$", "", said.get("model", "None"))
    values = [said.get(f"threshold {letter}") for letter in "ab"]
    thresholds = zip(_THRESHOLDS.get(name, ()), values, strict=False)
    return {
        "enabled": False,
        "image": "",
        "preprocessor": name,
        "model": "" if model == "None" else model,
        "controlnet_conditioning_scale": float(said.get("weight", 1)),
        "control_guidance_start": float(said.get("guidance start", 0)),
        "control_guidance_end": float(said.get("guidance end", 1)),
        "pixel_perfect": said.get("pixel perfect", "True") == "True",
        "resize_mode": _named(_RESIZE, said.get("resize mode"), "crop"),
        "control_mode": _named(_MODES, said.get("control mode"), "balanced"),
        "parameters": {key: float(value) for key, value in thresholds if value not in (None, "-1", "-1.0")},
    }


def _preprocessor(module: str) -> str:
    exact = next((name for name, theirs in _MODULES.items() if theirs == module), None)
    begins = (*_HEARD.items(), *((name, name) for name in _MODULES))
    return exact or next((name for start, name in begins if module.startswith(start)), "none")


def _named(names: Mapping[str, str], said: str | None, default: str) -> str:
    return next((name for name, theirs in names.items() if theirs == said), default)


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
