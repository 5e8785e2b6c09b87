"""Fetches the artwork: pinned npm packages, checked against their published hashes.

Both are Fluent Emoji by Microsoft, MIT licence: the flat style as packaged by Iconify
(`@iconify-json/fluent-emoji-flat`), the 3D style as packaged by LobeHub (`@lobehub/fluent-emoji-3d`).
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from training.nouns import Noun


@dataclass(frozen=True)
class Package:
    """One npm package: its name with version, and the SHA-512 of its archive."""

    name: str
    sha512: str


FLAT = Package(
    "@iconify-json/fluent-emoji-flat@1.2.6",
    "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
)
SOLID = Package(
    "@lobehub/fluent-emoji-3d@1.1.0",
    "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
)


def _fetch(package: Package, folder: Path) -> Path:
    """The package's archive, fetched by npm into `folder` and checked."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(f"The artwork comes from the npm package {package.name}: install npm, or unpack it in {folder}.")
    packed = subprocess.run([npm, "pack", "--silent", package.name], cwd=folder, check=True, capture_output=True, text=True)
    archive = folder / packed.stdout.strip().splitlines()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise ValueError(f"{package.name} has an unexpected hash: {found}")
    return archive


def fetch_icons(folder: Path) -> Path:
    """The flat icon set's JSON file, fetched unless it lies there already."""
    file = folder / "fluent-emoji-flat.json"
    if not file.exists():
        archive = _fetch(FLAT, folder)
        with tarfile.open(archive) as package:
            member = package.extractfile("package/icons.json")
            if member is None:
                raise ValueError(f"{FLAT.name} holds no icons.json")
            file.write_bytes(member.read())
        archive.unlink()
    return file


def _file_names(noun: Noun) -> tuple[str, str]:
    """The code points' file name, without and with the variation selector some carry."""
    code = "-".join(f"{ord(part):04x}" for part in noun.character)
    return f"{code}.webp", f"{code}-fe0f.webp"


def fetch_solids(folder: Path, nouns: list[Noun]) -> dict[str, Path]:
    """The 3D picture of every noun, fetched unless all lie there already."""
    target = folder / "fluent-emoji-3d"

    def found() -> dict[str, Path]:
        files = {noun.word: [target / name for name in _file_names(noun)] for noun in nouns}
        return {word: next(file for file in pair if file.exists()) for word, pair in files.items() if any(f.exists() for f in pair)}

    if len(found()) < len(nouns):
        archive = _fetch(SOLID, folder)
        wanted = {f"package/assets/{name}" for noun in nouns for name in _file_names(noun)}
        target.mkdir(exist_ok=True)
        with tarfile.open(archive) as package:
            for member in package.getmembers():
                held = package.extractfile(member) if member.name in wanted else None
                if held is not None:
                    (target / Path(member.name).name).write_bytes(held.read())
        archive.unlink()
    missing = [noun.word for noun in nouns if noun.word not in found()]
    if missing:
        raise ValueError(f"{SOLID.name} holds no picture of {', '.join(missing)}")
    return found()
