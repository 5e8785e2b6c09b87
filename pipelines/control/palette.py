"""The colours of segmentation maps: ADE20K's 150 classes, as segmentation ControlNets were trained on them.

Classes: Scene Parsing through ADE20K (Zhou et al. 2017), https://groups.csail.mit.edu/vision/datasets/ADE20K/; colours: those of
its benchmark's colour map (SceneParse150), which MMSegmentation and UPerNet use.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]

_FILE = Path(__file__).parent / "data" / "ade20k.txt"
_NOTHING: Colour = (0, 0, 0)
# What other lists of classes call some of ADE20K's; its own gives several words for most.
_OTHER_WORDS = {
    "vegetation": "tree", "terrain": "earth", "ground": "earth", "window": "windowpane", "couch": "sofa",
    "television": "television receiver", "tv": "television receiver", "motorcycle": "minibike", "traffic sign": "signboard",
    "rail track": "path", "bike": "bicycle", "people": "person", "rider": "person", "pavement": "sidewalk",
}  # fmt: skip
_BITS = 5  # of each colour, by which the nearest is looked up


@cache
def ade20k() -> tuple[tuple[str, Colour], ...]:
    """(name, (red, green, blue)) of each class, in the benchmark's order; two classes share one grey, as they do there."""
    lines = _FILE.read_text("utf-8").splitlines()
    return tuple((line[8:], (int(line[1:3], 16), int(line[3:5], 16), int(line[5:7], 16))) for line in lines)


def colour_named(label: str) -> Colour:
    """The colour of the class that a network calls `label`, such as "Windowpane, window"; black where there is none."""
    known = dict(ade20k())
    words = [" ".join(word.split()) for word in re.split(r"[,;/]", label.casefold().replace("_", " ").replace("-", " "))]
    named = (known.get(word) or known.get(_OTHER_WORDS.get(word, "")) for word in words)
    return next((colour for colour in named if colour), _NOTHING)


def snapped(picture: Image.Image) -> Image.Image:
    """Every pixel in the nearest of these colours, or black for what nothing is said of; so that soft brushes and JPEG leave no
    colours in between."""
    colours = np.array(sorted({_NOTHING, *(colour for _, colour in ade20k())}), dtype=np.int32)
    pixels = np.asarray(picture.convert("RGB")).astype(np.int32)
    found, places = np.unique(pixels.reshape(-1, 3) >> (8 - _BITS), axis=0, return_inverse=True)
    centres = (found << (8 - _BITS)) + (1 << (7 - _BITS))
    nearest = ((centres[:, None] - colours[None]) ** 2).sum(axis=2).argmin(axis=1)
    return Image.fromarray(colours[nearest][places.reshape(-1)].reshape(pixels.shape).astype(np.uint8))
