"""A lock file held by one process at a time; the system releases it when the process dies, however it dies."""

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 20  # Windows locks bytes against reading, too: lock one far behind the process id

    def _take(file: BinaryIO) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


class FileLock:
    """Not re-entrant. The file holds the process id of whoever holds the lock and stays when it is released."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def acquire(self) -> bool:
        """True when the lock is ours now; raises OSError when the file cannot be written."""
        file: BinaryIO = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (closed by release)
        try:
            _take(file)
        except OSError as error:
            if error.errno in _HELD:
                file.close()
                return False
            # A file system without locks (some network mounts): going on unguarded is better than refusing to start.
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        self._file = file
        return True

    def holder(self) -> str:
        """The process id in the file, or "?"."""
        try:
            return self.path.read_text().strip() or "?"
        except OSError:
            return "?"

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
