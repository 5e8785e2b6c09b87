"""Small copies of pictures, made once and kept: the originals may be large, or clips, or no pictures."""

import hashlib
import io
import os
from pathlib import Path

from pipelines import media, pictures
from pipelines.errors import BadPicture

from .files import write_atomic

SIDE = 512  # pixels of the longer side at most


class Thumbnails:
    """`folder` holds them; it may be emptied at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def name(self, picture: Path) -> str | None:
        """The name of this version of the picture; None when it cannot be read."""
        try:
            found = picture.stat()
        except OSError:
            return None
        told = b"%s %d %d" % (os.fsencode(picture.absolute()), found.st_size, found.st_mtime_ns)
        return hashlib.sha256(told).hexdigest()[:32]

    def of(self, picture: Path) -> Path:
        """The small copy as a JPEG, of a clip its first frame. Raises BadPicture for what is no picture, OSError."""
        name = self.name(picture)
        if name is None:
            raise BadPicture("The preview is no longer there.", "preview")
        path = self._folder / f"{name}.jpg"
        if not path.is_file():
            image = pictures.open_rgb(media.still(picture.read_bytes()))
            image.thumbnail((SIDE, SIDE))
            file = io.BytesIO()
            image.save(file, "JPEG", quality=88)
            write_atomic(path, file.getvalue())
        return path
