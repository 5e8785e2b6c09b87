"""The kinds of files that results are kept in, told apart by their first bytes; and a still picture of each."""

import io
import struct
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from . import mp4

ENDINGS: Mapping[str, str] = {"image/png": ".png", "video/mp4": ".mp4", "image/webp": ".webp"}
"""Names of files end so, by media type."""

_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
HEAD = 24
"""Bytes that tell a kind, and the size of a PNG."""


def kind_of(head: bytes) -> str | None:
    """The media type of a file that begins so; None for what is no picture and no clip."""
    if mp4.is_mp4(head):
        return "video/mp4"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def by_name(path: Path) -> str:
    """The media type of a result's file."""
    return next((kind for kind, ending in ENDINGS.items() if path.suffix == ending), "image/png")


def size_of(path: Path) -> tuple[int, int] | None:
    """Width and height of a result's file; None for what is none. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    kind = kind_of(head)
    if kind == "image/png" and len(head) == HEAD:
        return struct.unpack(">II", head[16:24])
    if kind == "video/mp4":
        film = mp4.read(path.read_bytes())
        return (film.width, film.height) if film.width else None
    if kind == "image/webp":
        with Image.open(path, formats=["WEBP"]) as image:
            return image.size
    return None


def still(data: bytes) -> bytes:
    """The cover picture of an MP4 or the first picture of a moving WebP, as the bytes of a picture file; all else as it is.

    The picture is not checked: `pictures.check` does that.
    """
    if mp4.is_mp4(data):
        return mp4.read(data).tags.get(mp4.COVER, b"")
    if kind_of(data) != "image/webp" or b"ANIM" not in data[:64]:
        return data
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            first = io.BytesIO()
            image.convert("RGB").save(first, "PNG")
            return first.getvalue()
    except Exception:  # Pillow answers broken data with a dozen kinds of exceptions; `pictures.check` has the sentence
        return data
