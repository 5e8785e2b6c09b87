"""Pictures from outside: checked before they are decoded, then brought to plain RGB or to a mask."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from .errors import BadPicture

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 40_000_000
ORIENTATION = 0x0112
"""EXIF tag; values from 5 to 8 lay the picture on its side."""


@dataclass(frozen=True)
class PictureInfo:
    """`width` and `height` as the picture is seen, after EXIF rotation; `format` is PNG, JPEG or WEBP."""

    width: int
    height: int
    format: str
    frames: int = 1


def check(data: bytes) -> PictureInfo:
    """Looks at magic bytes and header, then decodes once; raises `BadPicture` with one sentence for what cannot be used."""
    with _opened(data) as image:
        image.load()  # the only way to know that nothing is missing at the end
        width, height = image.size
        if image.getexif().get(ORIENTATION) in (5, 6, 7, 8):
            width, height = height, width
        return PictureInfo(width, height, _format_of(data))


def open_rgb(data: bytes) -> Image.Image:
    """The picture upright in mode RGB, 8 bits a channel; what is transparent lies on white. Raises `BadPicture`."""
    return _flat(data, "white").convert("RGB")


def open_mask(data: bytes) -> Image.Image:
    """The picture upright in mode L; what is transparent lies on black, for nothing was painted there. Raises `BadPicture`."""
    return _flat(data, "black").convert("L")


def open_layers(data: bytes) -> tuple[Image.Image, Image.Image]:
    """The picture upright in mode RGB, and what is transparent in it: L, white for all, black for nothing. Raises `BadPicture`."""
    with _opened(data) as image:
        image = ImageOps.exif_transpose(image)
        if not image.has_transparency_data:
            return open_rgb(data), Image.new("L", image.size)
        layers = image.convert("RGBA")
        return layers.convert("RGB"), ImageOps.invert(layers.getchannel("A"))


def _flat(data: bytes, ground: str) -> Image.Image:
    with _opened(data) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip instead of scaling
            return Image.fromarray(np.round(np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
        if not image.has_transparency_data:
            return image.copy()
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture with its header read and within the limits; whatever Pillow says about broken data becomes one sentence."""
    kind = _format_of(data)
    _check_size(*_claimed_size(data, kind))
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            _check_size(*image.size)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and kind != "JPEG":  # phones put a depth or gain map behind the picture in one JPEG file
                raise BadPicture(f"The picture moves: it has {frames} frames, and only a still one can be used.")
            yield image
    except BadPicture:
        raise
    except Image.DecompressionBombError:
        raise BadPicture(f"The picture has more than {MAX_PIXELS // 10**6} megapixels, the most that can be used.") from None
    except Exception:  # Pillow answers broken data with a dozen kinds of exceptions, whose words help nobody
        raise BadPicture(f"The {kind} picture is damaged or cut short and cannot be read.") from None


def _format_of(data: bytes) -> str:
    """By the first bytes, whatever the file's name says."""
    if not data:
        raise BadPicture("The picture is empty: the file has no bytes.")
    if len(data) > MAX_BYTES:
        raise BadPicture(f"The picture file has {len(data) / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB can be used.")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise BadPicture("This file is no PNG, JPEG or WebP picture, whatever its name says.")


def _claimed_size(data: bytes, kind: str) -> tuple[int, int]:
    """What a PNG's first chunk says, read before Pillow allocates anything; the others cannot claim so much."""
    if kind == "PNG" and data[12:16] == b"IHDR" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    return 1, 1


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadPicture(
            f"The picture is {width} × {height}, {width * height / 10**6:.0f} megapixels; at most {MAX_PIXELS // 10**6} can be used."
        )
