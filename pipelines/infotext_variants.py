"""The names that variants of guidance have in the texts of A1111 and its extensions, said and heard."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Pairs = Mapping[str, str]
Heard = tuple[dict[str, Any], set[str]]
"""Settings of a modifier, and the keys that were understood; neither if nothing is said of it."""


def said_of_variants(modifiers: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """CFG Rescale's, Incantations' and Dynamic Thresholding's keys, and A1111's own for a late beginning."""
    if (rescale := modifiers.get("guidance_rescale")) is not None:
        yield "CFG Rescale", _number(rescale.get("guidance_rescale", 0.7))
    if (interval := modifiers.get("guidance_interval")) is not None:
        yield "Skip Early CFG", _number(interval.get("begin", 0.2))
        yield "Guidance until", _number(interval.get("end", 0.8))
    if (pag := modifiers.get("pag")) is not None:
        yield "PAG Active", "True"
        yield "PAG Scale", _number(pag.get("pag_scale", 3.0))
    if (threshold := modifiers.get("dynamic_thresholding")) is not None:
        yield "Dynamic thresholding enabled", "True"
        yield "Mimic scale", _number(threshold.get("mimic_scale", 7.0))
        yield "Threshold percentile", _number(round(100 * float(threshold.get("threshold_percentile", 1.0)), 6))
        yield "Separate Feature Channels", str(bool(threshold.get("separate_feature_channels", True)))


def _number(value: Any) -> str:
    return f"{float(value):g}"


def _rescale(pairs: Pairs) -> Heard:
    return _one(pairs, "CFG Rescale", "guidance_rescale")


def _interval(pairs: Pairs) -> Heard:
    settings, keys = _one(pairs, "Skip Early CFG", "begin")
    if "Guidance until" in pairs:
        return settings | {"end": float(pairs["Guidance until"])}, keys | {"Guidance until"}
    return ({**settings, "end": 1.0} if settings else {}), keys


def _pag(pairs: Pairs) -> Heard:
    if pairs.get("PAG Active", "True") != "True":
        return {}, set()
    settings, keys = _one(pairs, "PAG Scale", "pag_scale")
    return settings, keys | ({"PAG Active"} & pairs.keys() if settings else set())


def _threshold(pairs: Pairs) -> Heard:
    if pairs.get("Dynamic thresholding enabled") != "True" or "Mimic scale" not in pairs:
        return {}, set()
    settings: dict[str, Any] = {"mimic_scale": float(pairs["Mimic scale"])}
    settings["threshold_percentile"] = float(pairs.get("Threshold percentile", 100)) / 100
    settings["separate_feature_channels"] = pairs.get("Separate Feature Channels", "True") == "True"
    known = {"Dynamic thresholding enabled", "Mimic scale", "Threshold percentile", "Separate Feature Channels"}
    return settings, known & pairs.keys()


def _one(pairs: Pairs, key: str, field: str) -> Heard:
    return ({field: float(pairs[key])}, {key}) if key in pairs else ({}, set())


VARIANTS: tuple[tuple[str, Callable[[Pairs], Heard]], ...] = (
    ("guidance_rescale", _rescale),
    ("guidance_interval", _interval),
    ("pag", _pag),
    ("dynamic_thresholding", _threshold),
)
"""Modifiers by name, and what hears of each; ValueError for what is no number."""
