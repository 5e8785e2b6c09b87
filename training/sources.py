"""Fetches the artwork: one pinned npm package, checked against its published hash.

Artwork: Fluent Emoji (flat) by Microsoft, MIT licence, as packaged by Iconify (`@iconify-json/fluent-emoji-flat`).
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

ARTWORK = "@iconify-json/fluent-emoji-flat@1.2.6"
SHA512 = "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw=="


def fetch_icons(folder: Path) -> Path:
    """The icon set's JSON file, fetched by npm into `folder` unless it lies there already."""
    file = folder / "fluent-emoji-flat.json"
    if file.exists():
        return file
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(f"The artwork comes from the npm package {ARTWORK}: install npm, or put its icons.json at {file}.")
    packed = subprocess.run([npm, "pack", "--silent", ARTWORK], cwd=folder, check=True, capture_output=True, text=True)
    archive = folder / packed.stdout.strip().splitlines()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512:
        raise ValueError(f"{ARTWORK} has an unexpected hash: {found}")
    with tarfile.open(archive) as package:
        member = package.extractfile("package/icons.json")
        if member is None:
            raise ValueError(f"{ARTWORK} holds no icons.json")
        file.write_bytes(member.read())
    archive.unlink()
    return file
