"""Colours and places the picture book knows by name: of backgrounds and of objects."""

from __future__ import annotations

RGB = tuple[int, int, int]

BACKGROUNDS: dict[str, RGB] = {
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

# Places to be in instead of a plain background: the colour at the top and at the bottom.
SCENERY: dict[str, tuple[RGB, RGB]] = {
    "night": ((16, 20, 66), (46, 58, 130)),
    "sunset": ((128, 70, 150), (255, 168, 96)),
    "meadow": ((150, 212, 250), (118, 190, 82)),
    "sea": ((178, 224, 250), (36, 120, 190)),
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

STYLES = ("3d", "flat", "pixel")  # the first is what a caption without a style means
OFFERED_STYLES = STYLES[:2]  # pixel art is taught, but its squares get lost in the autoencoder so far


def nearest_backdrop(top: tuple[float, ...], bottom: tuple[float, ...]) -> str:
    """The plain background or scenery whose upper and lower colours are closest to these (0..255)."""
    plain = {name: (rgb, rgb) for name, rgb in BACKGROUNDS.items()}

    def distance(ends: tuple[RGB, RGB]) -> float:
        return sum((a - b) ** 2 for want, have in zip(ends, (top, bottom), strict=True) for a, b in zip(want, have, strict=True))

    both = plain | SCENERY
    return min(both, key=lambda name: distance(both[name]))
