"""Colours the picture book knows by name: of backgrounds and of objects."""

from __future__ import annotations

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (243, 145, 41),
    "yellow": (250, 215, 70),
    "green": (76, 175, 80),
    "teal": (38, 166, 154),
    "blue": (52, 120, 220),
    "sky blue": (135, 206, 250),
    "purple": (140, 80, 200),
    "pink": (248, 160, 195),
    "brown": (130, 90, 60),
    "white": (250, 250, 250),
    "gray": (158, 158, 158),
    "black": (28, 28, 32),
}

# Hue in degrees, saturation and value in 0..1 that an object is painted with.
OBJECT_COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (357.0, 0.80, 0.90),
    "orange": (26.0, 0.85, 0.98),
    "yellow": (48.0, 0.80, 0.99),
    "green": (125.0, 0.70, 0.72),
    "blue": (213.0, 0.78, 0.90),
    "purple": (274.0, 0.62, 0.80),
    "pink": (328.0, 0.48, 0.99),
}


def nearest_background(rgb: tuple[float, float, float]) -> str:
    """The background name whose colour is closest to `rgb` (0..255)."""

    def distance(name: str) -> float:
        return sum((a - b) ** 2 for a, b in zip(BACKGROUNDS[name], rgb, strict=True))

    return min(BACKGROUNDS, key=distance)
