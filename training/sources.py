"""Fetches the artwork: one pinned npm package, checked against its published hash.

Artwork: Fluent Emoji (flat) by Microsoft, MIT licence, as packaged by Iconify
(`@iconify-json/fluent-emoji-flat`). `npm pack` with the same name and version gets the same file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path

ARTWORK = "https://registry.npmjs.org/@iconify-json/fluent-emoji-flat/-/fluent-emoji-flat-1.2.6.tgz"
SHA512 = "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw=="
TIMEOUT_SECONDS = 60


def fetch_icons(folder: Path) -> Path:
    """The icon set's JSON file, downloaded into `folder` unless it lies there already."""
    file = folder / "fluent-emoji-flat.json"
    if file.exists():
        return file
    with urllib.request.urlopen(ARTWORK, timeout=TIMEOUT_SECONDS) as answer:
        archive = answer.read()
    found = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != SHA512:
        raise ValueError(f"{ARTWORK} has an unexpected hash: {found}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        member = packed.extractfile("package/icons.json")
        if member is None:
            raise ValueError(f"{ARTWORK} holds no icons.json")
        file.write_bytes(member.read())
    return file
