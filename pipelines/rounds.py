"""Pictures that are made in rounds: each makes one part of a canvas anew and lays it back.

Most pictures take a single round over the whole. Repainting only what is masked is a round over a crop, several masks are
several rounds, and so are the tiles of a large picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .colours import levelled, matched
from .parameters import Content, ResizeMode
from .resizing import resized, unresized

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the canvas; right and bottom are outside."""


@dataclass(frozen=True, eq=False)
class Round:
    """The part of the canvas within `box` (None: all of it) is made anew.

    `mask` (L, as large as that part) has white where to repaint, None for everywhere. `blend` (L, likewise) says how much of
    what was made is laid over what was there, to the bit nothing where it is black; without it the made picture takes the
    canvas's place, whatever its size. `resize` is how the part is brought to the model's size; `content` is what the white of the
    mask holds before it is repainted; with `soft` the mask's greys are strengths. `match_colours` gives what was made the colours
    of what was there.
    """

    box: Box | None = None
    mask: Image.Image | None = None
    blend: Image.Image | None = None
    resize: ResizeMode = "stretch"
    content: Content = "original"
    soft: bool = False
    match_colours: bool = False

    def part_of(self, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
        """The box as shares of a canvas of `size` (width, height); None where it is all of it."""
        if self.box is None or self.box == (0, 0, *size):
            return None
        return self.box[0] / size[0], self.box[1] / size[1], self.box[2] / size[0], self.box[3] / size[1]

    def part(self, canvas: Image.Image) -> Image.Image:
        """What of the canvas the round starts from, RGB."""
        return (canvas if self.box is None else canvas.crop(self.box)).convert("RGB")

    def stitched(self, made: Image.Image, canvas: Image.Image | None) -> Image.Image:
        """The canvas (RGB) with `made` laid into it, brought to the size of the part that it replaces."""
        if canvas is None:
            return made
        part = self.part(canvas)
        if self.blend is None:
            return matched(made, resized(part, made.size, self.resize)) if self.match_colours else made
        made = unresized(made, part.size, self.resize)
        made = matched(made, part) if self.match_colours else made
        if self.mask is not None:
            made = levelled(made, part, self.blend)
        done = canvas.convert("RGB").copy()
        done.paste(made, (0, 0) if self.box is None else self.box[:2], self.blend)
        return done


WHOLE = Round()


def tiles(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> tuple[Round, ...]:
    """Rounds over a canvas of `size`, row by row, each `tile` (width, height) large or as the canvas is where that is smaller.

    Neighbours share at least `overlap` pixels (below both sides of the tile), over which one fades into the other: the canvas is the
    mean of all tiles made so far, each weighing less towards its neighbours.
    """
    rows, columns = _starts(size[1], tile[1], overlap), _starts(size[0], tile[0], overlap)
    wide, high = min(tile[0], size[0]), min(tile[1], size[1])
    weighed = np.zeros((size[1], size[0]), np.float32)
    rounds = []
    for top in rows:
        for left in columns:
            weight = _weights(rows, top, high)[:, None] * _weights(columns, left, wide)
            so_far = weighed[top : top + high, left : left + wide]
            so_far += weight
            blend = Image.fromarray(np.round(255 * weight / so_far).astype(np.uint8))
            rounds.append(Round((left, top, left + wide, top + high), blend=blend))
    return tuple(rounds)


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    if size <= tile:
        return [0]
    count = -(-(size - overlap) // (tile - overlap))
    return [round(index * (size - tile) / (count - 1)) for index in range(count)]


def _weights(starts: list[int], start: int, length: int) -> NDArray[np.float32]:
    """Of a tile along an axis, above 0 and at most 1: falling over what it shares with the tiles before and after it."""
    index = starts.index(start)
    before = starts[index - 1] + length - start if index else 0
    after = start + length - starts[index + 1] if start != starts[-1] else 0
    steps = np.arange(length, dtype=np.float32) + 0.5
    return np.minimum(steps / max(before, 0.5), 1) * np.minimum((length - steps) / max(after, 0.5), 1)
