"""How one picture or clip was made, to the last setting: kept inside its file, and read from files made here or elsewhere.

It carries two texts: `parameters`, A1111's, and `safelight`, a `Recipe` as JSON. What a stranger's file says is only
ever taken as fields of a request, each within its bounds.
"""

import io
import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, field_validator

from . import infotext, mp4
from .request import Request

MAX_TEXT = 256 * 1024
"""Bytes of one text; longer ones are left unread."""

PARAMETERS, OWN = "parameters", "safelight"
LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "numpy", "pillow", "torchsde")
EXIF_IFD, USER_COMMENT, IMAGE_DESCRIPTION = 0x8769, 0x9286, 0x010E


def _plain(value: Any) -> JsonValue:
    """Without numbers, containers and objects that JSON has no word for: a recipe must never cost a picture."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return str(value)


class Recipe(BaseModel):
    """All that decides the pixels of one picture. `request` alone repeats it, with the same weights and libraries."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    software: str = infotext.SOFTWARE
    request: dict[str, JsonValue]  # for this picture alone: its own seed, a count of 1
    picture: int = 0  # its place in the job it came from
    hashes: dict[str, str] = {}  # SHA-256 of the weights, by component
    scheduler: dict[str, JsonValue] = {}  # class and config, or sampler and schedule; its timesteps or sigmas
    dtype: str = ""
    vae_dtype: str = ""
    compiled: bool = False  # blocks of the denoiser were, which moves the last bits
    device: str = ""
    versions: dict[str, str] = {}
    batch: int = 1  # the most predictions that it shared one forward pass with, which moves the last bits

    @field_validator("request", "scheduler", mode="before")
    @classmethod
    def _only_json(cls, value: Any) -> Any:
        return _plain(value)


def alone(request: Request, picture: int) -> Request:
    """The request that makes picture number `picture` of `request` again, by itself."""
    return request.of_picture(picture)


def library_versions() -> dict[str, str]:
    """Of the libraries that have a say in the pixels; those not installed are left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# -- into a picture -----------------------------------------------------------------------------------------------------


def texts(text: str, recipe: Recipe | Mapping[str, Any]) -> dict[str, str]:
    """What a file carries: the infotext under `PARAMETERS`, the recipe as JSON under `OWN`."""
    values = recipe.model_dump() if isinstance(recipe, Recipe) else recipe
    return {PARAMETERS: _whole(text), OWN: _whole(json.dumps(_plain(values), ensure_ascii=False, allow_nan=False))}


def to_png(image: Image.Image, text: str, recipe: Recipe | Mapping[str, Any]) -> bytes:
    """The picture as PNG, lossless, with the infotext and the recipe inside; what JSON cannot hold is written as text."""
    chunks = PngInfo()
    # Latin-1 goes into tEXt, anything else into iTXt as UTF-8, which is what A1111 and Pillow read
    for name, value in texts(text, recipe).items():
        chunks.add_text(name, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # halves of surrogate pairs have no UTF-8


# -- out of a picture ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """`draft` are valid fields of a request; `unknown` what they cannot hold; `recipe` only of pictures made here."""

    source: Literal["safelight", "a1111"] | None = None
    infotext: str | None = None
    draft: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)


def from_picture(data: bytes) -> Found:
    """What a PNG, JPEG, WebP or MP4 file tells about its making; any bytes will do, and none raise."""
    texts = _texts(data)
    text = texts.get(PARAMETERS)
    recipe = _recipe(texts.get(OWN))
    if text is None and recipe is None:
        return Found()
    foreign = text is not None and text.lstrip().startswith("{")  # JSON of other tools
    parsed = infotext.parse("" if text is None or foreign else text)
    if recipe is not None:
        return Found("safelight", text, {**parsed.draft, **infotext.valid_fields(recipe.request)}, recipe, parsed.unknown)
    made_here = parsed.unknown.get("Version", "").startswith("Safelight ")
    known = "a1111" if "task" in parsed.draft else None  # only parameters tell a task
    return Found("safelight" if made_here else known, text, parsed.draft, None, parsed.unknown)


def _recipe(text: str | None) -> Recipe | None:
    try:
        return None if text is None else Recipe.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError):
        return None


def _texts(data: bytes) -> dict[str, str]:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return dict(_png_texts(data))
    if mp4.is_mp4(data):
        film = mp4.read(data)
        found = {PARAMETERS: film.text(mp4.COMMENT), OWN: film.text(mp4.SYNOPSIS)}
    else:
        found = _exif_texts(data)
    return {name: text for name, text in found.items() if text is not None and len(text) <= MAX_TEXT}


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """tEXt, zTXt and iTXt chunks of our two names, also behind the pixels; stops where the file is broken."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            name, _, rest = data[at + 8 : at + 8 + length].partition(b"\0")
            if name in (PARAMETERS.encode(), OWN.encode()) and (text := _chunk_text(kind, rest)) is not None:
                yield name.decode(), text
        at += 12 + length


def _chunk_text(kind: bytes, rest: bytes) -> str | None:
    """The text of a chunk behind its keyword, or None if it is too long or broken."""
    if kind == b"tEXt":
        return rest.decode("latin-1") if len(rest) <= MAX_TEXT else None
    if kind == b"zTXt":
        packed, body = True, rest[1:]
    else:
        packed, parts = rest[:1] == b"\1", rest[2:].split(b"\0", 2)  # language and translated keyword stand before the text
        body = parts[-1] if len(parts) == 3 else b""
    if packed:
        try:
            body = zlib.decompressobj().decompress(body, MAX_TEXT + 1)
        except zlib.error:
            return None
    if len(body) > MAX_TEXT:
        return None
    return body.decode("latin-1" if kind == b"zTXt" else "utf-8", "replace")


def _exif_texts(data: bytes) -> dict[str, str | None]:
    """The infotext in EXIF's user comment of a JPEG or WebP, and the recipe in our own files' description."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "WEBP"]) as image:
            exif = image.getexif()
            comment, described = exif.get_ifd(EXIF_IFD).get(USER_COMMENT), exif.get(IMAGE_DESCRIPTION)
    except Exception:  # Pillow answers broken data with a dozen kinds of exceptions
        return {}
    own = described if isinstance(described, str) and described.startswith("{") else None
    return {PARAMETERS: _user_comment(comment), OWN: own}


def _user_comment(comment: Any) -> str | None:
    """A user comment, in the encodings that A1111's piexif and its kin write."""
    if isinstance(comment, str):
        comment = comment.encode("utf-8", "replace")
    if not isinstance(comment, bytes) or len(comment) > 2 * MAX_TEXT:
        return None
    if comment.startswith(b"UNICODE\0"):
        body = comment[8:]
        little = body[1::2].count(0) > body[::2].count(0)  # piexif writes big-endian, others as their machine has it
        return body.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\0")
    body = comment[8:] if comment[:8] in (b"ASCII\0\0\0", bytes(8)) else comment
    return body.decode("utf-8", "replace").strip("\0")
