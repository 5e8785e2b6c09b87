"""Names of files that come from elsewhere, made fit for every file system and unable to leave their folder."""

import re
import unicodedata
from pathlib import PurePosixPath

from pipelines.errors import InvalidRequest, shortened

FETCHED = (".safetensors", ".json", ".txt")
"""What may be downloaded: weights that cannot run code when opened, and text."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
_LONGEST = 120  # UTF-8 bytes of a stem: sidecars add endings, and systems take 255 in all
_DEEPEST = 4


def safe_stem(name: str) -> str:
    """A name without ending, for a file or folder on any system; raises InvalidRequest when nothing is left of it."""
    name = unicodedata.normalize("NFC", name)
    name = "".join(character if character.isprintable() else "_" for character in name)
    name = _FORBIDDEN.sub("_", name).strip(" .")
    while len(name.encode("utf-8", "replace")) > _LONGEST:
        name = name[:-1].rstrip(" .")
    if not name.strip("_"):
        raise InvalidRequest("name must have a letter or a digit in it.", "name")
    return f"_{name}" if _RESERVED.match(name) else name


def safe_weights(name: str) -> str:
    """The name of a weights file: the last part of `name`, safe, and ending in .safetensors. Raises InvalidRequest."""
    last = re.split(r"[/\\]", name)[-1]
    if not last.lower().endswith(".safetensors"):
        raise InvalidRequest(f"Only .safetensors files are downloaded, because others can run code; got {shortened(last)}.", "source")
    return safe_stem(last[: -len(".safetensors")]) + ".safetensors"


def safe_path(path: str) -> PurePosixPath:
    """A file's path inside a repository, refused (InvalidRequest) if any part of it is not a plain name or its kind is not taken.

    Nothing is renamed here, because the files of a model refer to one another by name.
    """
    parts = path.split("/")
    plain = all(part == _kept(part) and not part.startswith(".") for part in parts)
    if not plain or len(parts) > _DEEPEST or not path.lower().endswith(FETCHED):
        raise InvalidRequest(f"The repository has a file that is not taken: {shortened(path)}.", "source")
    return PurePosixPath(path)


def _kept(part: str) -> str:
    try:
        return safe_stem(part)
    except InvalidRequest:
        return ""
