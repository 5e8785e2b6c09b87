"""What a crash leaves behind, put right: jobs half done, pictures that nobody wrote down, a journal that cannot be read."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from pipelines import request as requests
from pipelines.errors import StorageError, StudioError
from pipelines.request import Request

from .journal import Journal
from .live import Live
from .rows import JobRow
from .store import SavedPicture, Store
from .views import ENDED

_ONE_DAY = 86_400
_MOST_TRIES = 2
_LEAST_BYTES = 2**20  # less than that is a full disk


def open_journal(store: Store) -> tuple[Journal, str | None]:
    """The journal, and a notice when the old one was broken: it is kept aside and the pictures on disk are listed anew.

    Raises StorageError when no journal can be made at all.
    """
    path = store.inner / "journal.sqlite"
    try:
        return Journal(path), None
    except sqlite3.OperationalError as error:
        raise _cannot_open(path, error, store) from error
    except sqlite3.DatabaseError as error:
        why = str(error)
    try:
        kept = _put_aside(path)
        journal = Journal(path)
        journal.relist(store.pictures())
    except (sqlite3.Error, OSError) as error:
        raise _cannot_open(path, error, store) from error
    return (
        journal,
        f"The list of jobs could not be read ({why}) and was begun anew; the old one is kept as {kept}, the pictures are safe.",
    )


def _cannot_open(path: Path, error: Exception, store: Store) -> StorageError:
    """On a full disk SQLite may also say that it met an I/O error, or that there is no such file."""
    if "disk is full" in str(error) or store.free_bytes() < _LEAST_BYTES:
        return StorageError(f"The disk is full, so the journal {path} cannot be opened; make room and start again.")
    return StorageError(f"The journal {path} cannot be opened ({error}).")


def _put_aside(path: Path) -> str:
    """Moves the file and SQLite's companions (read with it or not at all); the new name of the file."""
    stamp = f"broken-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1000:03}"
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(path.with_name(f"{stamp}-{path.name}{suffix}"))
    return f"{stamp}-{path.name}"


def unlisted(journal: Journal, store: Store, row: JobRow, request: Request) -> list[SavedPicture]:
    """Pictures of the job that were saved when nobody lived to write it down."""
    listed = {picture.picture for picture in journal.pictures_of(row.id)}
    return [
        found
        for found in store.pictures(row.id, since=row.created - _ONE_DAY)
        if found.picture not in listed
        and found.picture < request.num_images_per_prompt
        and found.seed == request.of_picture(found.picture).seed
    ]


def list_found(journal: Journal, store: Store, row: JobRow) -> None:
    """Lists the pictures of a job that will not be run again and so would not be asked about."""
    with suppress(StudioError):  # a request of another version of the program: its pictures stay on disk
        for found in unlisted(journal, store, row, requests.parse(row.request)):
            journal.add_picture(row.id, found)


def left_over(journal: Journal) -> list[Live]:
    """What an earlier process left with its engine, or was asked to cancel."""
    rows = journal.in_states("queued", "claimed", "running", "paused")
    left = [row for row in rows if row.cancelling or row.state in ("claimed", "running")]
    return [Live(row.id, row.total, begun=row.state == "running", asked="cancel" if row.cancelling else None) for row in left]


def put_back(journal: Journal, store: Store, live: Live, culprit: str | None) -> None:
    """A job that was with an engine which is no more: queued again, once; what was asked of it still holds.

    `culprit` ("engine", "program") stopped in the middle of it; None means that it was stopped in good order.
    """
    job, row = live.job, journal.job(live.job)
    if row is None or row.state in ENDED:
        return
    if live.asked == "cancel":
        list_found(journal, store, row)
        journal.move(job, "cancelled", "cancelled")
    elif live.paused or live.asked == "pause":
        journal.move(job, "paused", None if live.paused else "paused")
    elif live.begun and culprit and row.attempt >= _MOST_TRIES:
        list_found(journal, store, row)
        message = f"The {culprit} stopped twice while working on this job."
        journal.move(job, "failed", "failed", {"message": message}, error=message, notice=None)
    elif live.begun and culprit:
        message = f"The {culprit} stopped while working on this job; it is being run again."
        journal.move(job, "queued", "requeued", {"message": message}, notice=message)
    else:
        journal.move(job, "queued", "queued", attempt=row.attempt - int(live.begun))
