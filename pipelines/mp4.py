"""What an MP4 file says of itself, read from its boxes: texts, cover picture, size. Nothing is decoded, and no bytes raise.

The layout is that of ISO/IEC 14496-12, with the tags that iTunes introduced (moov/udta/meta/ilst).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMENT, SYNOPSIS, COVER = b"\xa9cmt", b"ldes", b"covr"
MAX_TAG = 4 * 2**20
"""Bytes of one tag; longer ones are left unread."""

_MOST_BOXES = 10_000
Box = tuple[bytes, memoryview]


@dataclass(frozen=True)
class Mp4:
    """`tags` are the values of the known tags; `width` and `height` are the first picture track's, 0 where there is none."""

    width: int = 0
    height: int = 0
    tags: dict[bytes, bytes] = field(default_factory=dict)

    def text(self, tag: bytes) -> str | None:
        return self.tags[tag].decode("utf-8", "replace") if tag in self.tags else None


def is_mp4(head: bytes) -> bool:
    """By the first bytes, whatever the file's name says."""
    return head[4:8] == b"ftyp"


def read(data: bytes) -> Mp4:
    """Any bytes will do; what cannot be read is left out."""
    if not is_mp4(data):
        return Mp4()
    movie = _inside(memoryview(data), b"moov")
    sizes = [size for kind, track in _boxes(movie) if kind == b"trak" for size in _sizes(track)]
    width, height = next((size for size in sizes if all(size)), (0, 0))
    meta = _inside(_inside(movie, b"udta"), b"meta")
    tags = {
        kind: value for kind, item in _boxes(_inside(meta[4:], b"ilst")) if kind in (COMMENT, SYNOPSIS, COVER) for value in _value(item)
    }
    return Mp4(width, height, tags)


def _boxes(data: memoryview) -> Iterator[Box]:
    """(kind, content) of boxes that follow one another; stops where they do not fit."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            head, (length,) = 16, struct.unpack_from(">Q", data, at + 8)
        elif length == 0:
            length = len(data) - at
        if length < head or at + length > len(data):
            return
        yield kind, data[at + head : at + length]
        at += length


def _inside(data: memoryview, kind: bytes) -> memoryview:
    return next((content for name, content in _boxes(data) if name == kind), memoryview(b""))


def _sizes(track: memoryview) -> Iterator[tuple[int, int]]:
    """Width and height of a track, which end its header as 16.16 fixed point numbers."""
    header = _inside(track, b"tkhd")
    if len(header) >= 84:
        width, height = struct.unpack(">II", header[-8:])
        yield width >> 16, height >> 16


def _value(item: memoryview) -> Iterator[bytes]:
    """The value of a tag: what follows its kind and its language."""
    content = _inside(item, b"data")
    if 8 <= len(content) <= MAX_TAG:
        yield bytes(content[8:])
