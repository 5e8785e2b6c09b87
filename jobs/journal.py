"""The journal: jobs, pictures and events in one SQLite file, so that a restart finds everything as it was.

States: queued -> claimed (handed to the engine) -> running <-> paused -> finished | failed | cancelled. Steps are not
journalled. A commit that submits or ends a job reaches the disk (synchronous FULL); progress survives the death of the
process, not of the power supply (NORMAL).
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .rows import ENDING, SCHEMA, TABLES, JobRow, PictureRow
from .store import SavedPicture

_ADD_PICTURE = "INSERT OR IGNORE INTO pictures (id, job, picture, name, seed, width, height, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_CLAIM = """
SELECT jobs.* FROM (SELECT owner, MIN(place) AS head FROM jobs WHERE state = 'queued' GROUP BY owner)
JOIN jobs ON place = head LEFT JOIN turns ON turns.owner = jobs.owner ORDER BY COALESCE(turn, 0), place LIMIT 1
"""


class Journal:
    """Thread-safe. Every change is one transaction that also writes its event."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file; raises sqlite3.DatabaseError when it cannot be used."""
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        if (found := self._db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
        elif version != SCHEMA:
            raise sqlite3.DatabaseError(f"its schema is version {version}, this program writes version {SCHEMA}")

    def close(self) -> None:
        with self._lock:
            with suppress(sqlite3.Error):  # on a full disk the log stays as it is, and is read at the next start
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()

    @contextmanager
    def _change(self, durable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def check(self) -> None:
        """Raises sqlite3.Error when nothing can be written."""
        with self._change() as db:
            db.execute("UPDATE turns SET turn = turn WHERE owner = (SELECT owner FROM turns LIMIT 1)")

    # -- changes ----------------------------------------------------------------------------------------------------

    def add(self, job: str, owner: str, request: Mapping[str, Any], total: int) -> None:
        with self._change(durable=True) as db:
            db.execute(
                "INSERT INTO jobs (id, place, owner, request, state, total, created) "
                "VALUES (?, (SELECT COALESCE(MAX(place), 0) + 1 FROM jobs), ?, ?, 'queued', ?, ?)",
                (job, owner, json.dumps(request), total, time.time()),
            )
            _event(db, job, "queued", {})

    def claim(self, alone: bool = True) -> JobRow | None:
        """Takes the job whose turn it is: owners take turns, each owner's jobs in their order.

        None when nothing waits, or when the one whose turn it is has been tried before and may not run `alone`.
        """
        with self._change() as db:
            found = db.execute(_CLAIM).fetchone()
            if found is None or (found["attempt"] and not alone):
                return None
            db.execute("UPDATE jobs SET state = 'claimed' WHERE id = ?", (found["id"],))
            db.execute(
                "INSERT OR REPLACE INTO turns (owner, turn) VALUES (?, (SELECT COALESCE(MAX(turn), 0) + 1 FROM turns))", (found["owner"],)
            )
        return self.job(found["id"])

    def begin(self, job: str) -> None:
        """The engine works on a claimed job: one more try."""
        with self._change() as db:
            db.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started = COALESCE(started, ?) "
                "WHERE id = ? AND state = 'claimed'",
                (time.time(), job),
            )

    def move(
        self,
        job: str,
        state: str,
        event: str | None = None,
        data: Mapping[str, Any] | None = None,
        *,
        durable: bool = False,
        **columns: Any,
    ) -> bool:
        """Puts a job that has not ended in another state, with its event; False when it had ended."""
        columns = {"state": state, **columns}
        if state in ENDING:
            columns |= {"finished": time.time()}
        with self._change(durable or state in ENDING) as db:
            assigned = ", ".join(f"{column} = ?" for column in columns)
            changed = db.execute(
                f"UPDATE jobs SET {assigned} WHERE id = ? AND state NOT IN ('finished', 'failed', 'cancelled')", (*columns.values(), job)
            )
            if changed.rowcount and event:
                _event(db, job, event, data or {})
            return bool(changed.rowcount)

    def note(self, job: str, event: str, data: Mapping[str, Any], **columns: Any) -> None:
        """An event (and columns) that leaves the state as it is."""
        with self._change() as db:
            if columns:
                assigned = ", ".join(f"{column} = ?" for column in columns)
                db.execute(f"UPDATE jobs SET {assigned} WHERE id = ?", (*columns.values(), job))
            if event:
                _event(db, job, event, data)

    def retry(self, job: str) -> None:
        """Queues a failed or cancelled job again, behind its owner's others."""
        with self._change(durable=True) as db:
            db.execute(
                "UPDATE jobs SET state = 'queued', attempt = 0, cancelling = 0, step = 0, error = NULL, notice = NULL, finished = NULL, "
                "place = (SELECT MAX(place) + 1 FROM jobs) WHERE id = ? AND state IN ('failed', 'cancelled')",
                (job,),
            )
            _event(db, job, "queued", {})

    def add_picture(self, job: str, found: SavedPicture) -> None:
        """Lists a picture that is on disk; a second time changes nothing."""
        with self._change(durable=True) as db:
            added = db.execute(
                _ADD_PICTURE, (found.id, job, found.picture, found.name, found.seed, found.width, found.height, found.created)
            )
            if added.rowcount:
                _event(db, job, "saved", {"image": found.id, "picture": found.picture, "seed": found.seed})

    def relist(self, pictures: Iterable[SavedPicture]) -> None:
        """Lists pictures of which only the files are known."""
        values = [(one.id, one.job8, one.picture, one.name, one.seed, one.width, one.height, one.created) for one in pictures]
        with self._change(durable=True) as db:
            db.executemany(_ADD_PICTURE, values)

    # -- reading ----------------------------------------------------------------------------------------------------

    def job(self, job: str) -> JobRow | None:
        rows = self._all("SELECT * FROM jobs WHERE id = ?", job)
        return _job(rows[0]) if rows else None

    def jobs(self, limit: int, active_only: bool = False) -> list[JobRow]:
        """Newest first."""
        where = "WHERE state NOT IN ('finished', 'failed', 'cancelled')" if active_only else ""
        return [_job(row) for row in self._all(f"SELECT * FROM jobs {where} ORDER BY place DESC LIMIT ?", limit)]

    def in_states(self, *states: str) -> list[JobRow]:
        """Oldest first."""
        marks = ", ".join("?" * len(states))
        return [_job(row) for row in self._all(f"SELECT * FROM jobs WHERE state IN ({marks}) ORDER BY place", *states)]

    def waiting(self, owner: str) -> int:
        return self._all("SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND owner = ?", owner)[0][0]

    def order(self) -> list[str]:
        """The queued jobs in the order in which `claim` would take them."""
        turns = {row["owner"]: row["turn"] for row in self._all("SELECT * FROM turns")}
        queues: dict[str, list[sqlite3.Row]] = {}
        for row in self._all("SELECT id, owner, place FROM jobs WHERE state = 'queued' ORDER BY place DESC"):
            queues.setdefault(row["owner"], []).append(row)
        last, taken = max(turns.values(), default=0), []
        while queues:
            owner = min(queues, key=lambda name: (turns.get(name, 0), queues[name][-1]["place"]))
            taken.append(queues[owner].pop()["id"])
            turns[owner] = last = last + 1
            if not queues[owner]:
                del queues[owner]
        return taken

    def events(self, job: str, after: int = 0) -> list[tuple[int, str, dict[str, Any]]]:
        return [
            (row["id"], row["name"], json.loads(row["data"]))
            for row in self._all("SELECT * FROM events WHERE job = ? AND id > ? ORDER BY id", job, after)
        ]

    def pictures_of(self, job: str) -> list[PictureRow]:
        return [PictureRow(**row) for row in self._all("SELECT * FROM pictures WHERE job = ? ORDER BY picture", job)]

    def picture(self, picture: str) -> PictureRow | None:
        rows = self._all("SELECT * FROM pictures WHERE id = ?", picture)
        return PictureRow(**rows[0]) if rows else None

    def pictures(self, limit: int, before: int | None = None) -> list[PictureRow]:
        """Newest first, those numbered below `before`."""
        rows = self._all("SELECT * FROM pictures WHERE number < ? ORDER BY number DESC LIMIT ?", before or 2**62, limit)
        return [PictureRow(**row) for row in rows]


def _event(db: sqlite3.Connection, job: str, name: str, data: Mapping[str, Any]) -> None:
    db.execute("INSERT INTO events (job, name, data, created) VALUES (?, ?, ?, ?)", (job, name, json.dumps(data), time.time()))


def _job(row: sqlite3.Row) -> JobRow:
    return JobRow(**{**dict(row), "request": json.loads(row["request"])})
