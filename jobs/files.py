"""Writing files so that a crash, a full disk or a power cut never leaves half of one."""

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def write_atomic(path: Path, data: bytes) -> None:
    """`path` has either its old content or all of `data`, also after a crash or a power cut; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    if os.name == "posix":  # Windows cannot open a folder; NTFS journals the rename itself
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError:  # some network file systems refuse: the rename has happened all the same
            pass
        finally:
            os.close(folder)


def is_full(error: OSError) -> bool:
    return error.errno in _FULL


def sentence(error: OSError, folder: Path) -> str:
    """Why nothing could be written in `folder`, without a full stop."""
    if is_full(error):
        return f"The disk is full (folder {folder})"
    return f"The folder {folder} cannot be written ({error.strerror or error})"
