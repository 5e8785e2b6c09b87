"""Sprites: the artwork, flat and 3D, cropped alike and repainted in the palette's object colours."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from training.nouns import Noun
from training.palette import OBJECT_COLOURS

HUE_WINDOW = 32.0  # degrees around the dominant hue that count as "the object's colour"
FILLED = 0.92  # of the square's side
MIN_SHARE = 0.45  # of the opaque pixels, for an object to be repaintable
# Where the nearest name in hue is not what people would say.
_OWN_COLOURS = {"cat": "orange", "pig": "pink", "donut": "brown", "pear": "green", "house": "beige"}


def squared(picture: Image.Image, size: int) -> Image.Image:
    """The picture's opaque part, cropped and centred in an RGBA square that leaves room for a tilt."""
    picture = picture.crop(picture.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
    scale = FILLED * size / max(picture.size)
    wide, high = (max(1, round(side * scale)) for side in picture.size)
    square = Image.new("RGBA", (size, size))
    square.paste(picture.resize((wide, high), Image.Resampling.LANCZOS), ((size - wide) // 2, (size - high) // 2))
    return square


def render_icon(icons: dict, name: str, size: int) -> Image.Image:
    """One icon of an Iconify set as an RGBA square."""
    import resvg_py

    width, height = icons.get("width", 16), icons.get("height", 16)
    icon = icons["icons"][name]
    box = f"0 0 {icon.get('width', width)} {icon.get('height', height)}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=3 * size, height=3 * size))
    return squared(Image.open(io.BytesIO(png)).convert("RGBA"), size)


def _hsv(sprite: Image.Image) -> np.ndarray:
    """Hue in degrees, saturation and value in 0..1, of shape (h, w, 3)."""
    array = np.asarray(sprite.convert("RGB").convert("HSV")).astype(np.float32) / 255.0
    array[..., 0] *= 360.0
    return array


def _hue_distance(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    return np.abs((np.asarray(a) - b + 180.0) % 360.0 - 180.0)


@dataclass(frozen=True)
class Paint:
    """The dominant colour of a sprite: where it is, and its typical hue, saturation, value."""

    mask: np.ndarray
    hsv: tuple[float, float, float]

    @property
    def name(self) -> str:
        """The object colour nearest in hue."""
        return min(OBJECT_COLOURS, key=lambda c: float(_hue_distance(OBJECT_COLOURS[c][0], self.hsv[0])))


def dominant_paint(sprite: Image.Image) -> Paint | None:
    """The sprite's one dominant colour, or None where it has none."""
    hsv = _hsv(sprite)
    opaque = np.asarray(sprite)[..., 3] > 128
    coloured = opaque & (hsv[..., 1] > 0.3) & (hsv[..., 2] > 0.25)
    if coloured.sum() < 50:
        return None
    bins = np.histogram(hsv[..., 0][coloured], bins=72, range=(0, 360))[0].astype(float)
    smooth = sum(np.roll(bins, k) * (5 - abs(k)) for k in range(-4, 5))
    hue = float(np.argmax(smooth) * 5.0 + 2.5)
    mask = coloured & (_hue_distance(hsv[..., 0], hue) < HUE_WINDOW)
    if mask.sum() < MIN_SHARE * opaque.sum():
        return None
    saturation, value = (float(np.median(hsv[..., i][mask])) for i in (1, 2))
    return Paint(mask, (hue, saturation, value))


def repaint(sprite: Image.Image, paint: Paint, colour: str) -> Image.Image:
    """The sprite with its dominant colour moved to `colour`; light and shade stay."""
    hue, saturation, value = OBJECT_COLOURS[colour]
    hsv, mask = _hsv(sprite), paint.mask
    shade = (hsv[..., 0] - paint.hsv[0] + 180.0) % 360.0 - 180.0
    hsv[..., 0] = np.where(mask, shade * 0.3 + hue, hsv[..., 0]) % 360.0
    hsv[..., 1] = np.where(mask, hsv[..., 1] * saturation / paint.hsv[1], hsv[..., 1])
    hsv[..., 2] = np.where(mask, hsv[..., 2] * value / paint.hsv[2], hsv[..., 2])
    hsv[..., 0] /= 360.0
    painted = Image.fromarray((hsv.clip(0, 1) * 255).round().astype(np.uint8), "HSV").convert("RGB")
    painted.putalpha(sprite.getchannel("A"))
    return painted


Key = tuple[str, str | None, str]  # noun, colour (None: its own), artwork ("flat" or "3d")
ARTWORKS = ("3d", "flat")  # pixel art is made from the flat one


@dataclass(frozen=True)
class SpriteBook:
    """All sprites: per artwork one for each noun in its own colours, and one per repaintable (noun, colour)."""

    sprites: dict[Key, Image.Image]
    natural_colours: dict[str, str]
    nouns: list[str]

    def sprite(self, noun: str, colour: str | None, style: str) -> Image.Image:
        """The artwork a style is drawn from."""
        return self.sprites[noun, colour, style if style in ARTWORKS else "flat"]

    @staticmethod
    def render(icons_file: Path, solids: dict[str, Path], nouns: list[Noun], size: int) -> SpriteBook:
        """Render every noun's artwork and its repainted versions."""
        icons = json.loads(icons_file.read_text())
        sprites: dict[Key, Image.Image] = {}
        natural = {}
        for noun in nouns:
            drawn = {"flat": render_icon(icons, noun.icon, size), "3d": squared(Image.open(solids[noun.word]).convert("RGBA"), size)}
            paints = {style: None if noun.keeps_colours else dominant_paint(sprite) for style, sprite in drawn.items()}
            own = paints["flat"] and _OWN_COLOURS.get(noun.word, paints["flat"].name)
            repaintable = own and all(paints.values())
            for style, sprite in drawn.items():
                sprites[noun.word, None, style] = sprite
                if repaintable:
                    sprites |= {(noun.word, colour, style): repaint(sprite, paints[style], colour) for colour in OBJECT_COLOURS}
                    sprites[noun.word, own, style] = sprite
            if repaintable:
                natural[noun.word] = own
        return SpriteBook(sprites, natural, [noun.word for noun in nouns])

    def save(self, file: Path) -> None:
        """Write everything to one compressed file."""
        meta = {"keys": list(self.sprites), "natural": self.natural_colours, "nouns": self.nouns}
        pixels = np.stack([np.asarray(sprite) for sprite in self.sprites.values()])
        np.savez_compressed(file, pixels=pixels, meta=np.array(json.dumps(meta)))

    @staticmethod
    def load(file: Path) -> SpriteBook:
        """Read what `save` wrote."""
        with np.load(file) as data:
            meta, pixels = json.loads(str(data["meta"])), data["pixels"]
        keys = [tuple(key) for key in meta["keys"]]
        sprites = {key: Image.fromarray(array, "RGBA") for key, array in zip(keys, pixels, strict=True)}
        return SpriteBook(sprites, meta["natural"], meta["nouns"])
