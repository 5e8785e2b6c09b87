"""What is remembered about model files: hashes that took long to compute, downloads under way, why a pickle was not converted.

One SQLite file. Losing it costs only time: a file that cannot be read is put aside and begun anew.
"""

import json
import logging
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger("safelight.models")

_TABLES = """
CREATE TABLE IF NOT EXISTS hashes (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, weights TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS downloads (id TEXT PRIMARY KEY, place INTEGER NOT NULL UNIQUE, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS conversions (path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, error TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Hashes:
    """SHA-256 of a whole file, and of what follows its header: the same weights under other metadata have the latter alike."""

    sha256: str
    weights: str

    @property
    def short(self) -> str:
        """What A1111 calls the model hash, and Civitai AutoV2."""
        return self.sha256[:10]

    @property
    def autov3(self) -> str:
        return self.weights[:12]


class Ledger:
    """Thread-safe. Opened at its first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._opened: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            try:
                self._opened = _open(self._path)
            except sqlite3.DatabaseError:
                for ending in ("-wal", "-shm", ""):
                    with suppress(OSError):
                        old = self._path.with_name(self._path.name + ending)
                        old.replace(self._path.with_name(f"broken-{old.name}"))
                self._opened = _open(self._path)
        return self._opened

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def hashes(self, path: Path, size: int, mtime_ns: int) -> Hashes | None:
        """What this very version of the file hashes to, if that is known."""
        sql = "SELECT sha256, weights FROM hashes WHERE path = ? AND size = ? AND mtime_ns = ?"
        rows = self._run(sql, _key(path), size, mtime_ns)
        return Hashes(*rows[0]) if rows else None

    def keep_hashes(self, path: Path, size: int, mtime_ns: int, found: Hashes) -> None:
        self._run("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?)", _key(path), size, mtime_ns, found.sha256, found.weights)

    def conversion(self, path: Path) -> str | None:
        """Why this very version of a pickle was not converted when it was last tried; None where it was not tried, or worked."""
        version = _version(path)
        sql = "SELECT error FROM conversions WHERE path = ? AND size = ? AND mtime_ns = ?"
        rows = self._run(sql, _key(path), *version) if version else []
        return rows[0][0] if rows else None

    def keep_conversion(self, path: Path, error: str | None) -> None:
        """`error` is one sentence; None forgets what there was."""
        version = _version(path)
        if error is None or version is None:
            self._run("DELETE FROM conversions WHERE path = ?", _key(path))
        else:
            self._run("INSERT OR REPLACE INTO conversions VALUES (?, ?, ?, ?)", _key(path), *version, error)

    def downloads(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return [json.loads(row[0]) for row in self._run("SELECT record FROM downloads ORDER BY place")]

    def keep_download(self, id: str, record: dict[str, Any]) -> None:
        self._run(
            "INSERT INTO downloads VALUES (?, (SELECT COALESCE(MAX(place), 0) + 1 FROM downloads), ?) "
            "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            id,
            json.dumps(record),
        )

    def forget_download(self, id: str) -> None:
        self._run("DELETE FROM downloads WHERE id = ?", id)

    def _run(self, sql: str, *values: Any) -> list[Any]:
        """The rows. What cannot be kept, on a full disk for instance, is forgotten: it costs time, no work."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                log.warning("%s cannot be used: %s", self._path.name, error)
                return []


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _key(path: Path) -> bytes:
    """A path may hold bytes that are no text."""
    return str(path).encode("utf-8", "surrogateescape")


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(_TABLES)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
