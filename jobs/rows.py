"""The tables of the journal and what their rows are."""

from dataclasses import dataclass
from typing import Any

SCHEMA = 1
TABLES = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, place INTEGER NOT NULL UNIQUE, owner TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
    step INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0, error TEXT, notice TEXT, created REAL NOT NULL, started REAL, finished REAL);
CREATE INDEX jobs_waiting ON jobs (state, owner, place);
CREATE TABLE pictures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL, picture INTEGER NOT NULL, name TEXT NOT NULL,
    seed INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, created REAL NOT NULL, UNIQUE (job, picture));
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL, created REAL NOT NULL);
CREATE INDEX events_of_job ON events (job, id);
CREATE TABLE turns (owner TEXT PRIMARY KEY, turn INTEGER NOT NULL);
"""
ENDING = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class JobRow:
    id: str
    place: int
    owner: str
    request: dict[str, Any]
    state: str
    step: int
    total: int
    attempt: int
    cancelling: int
    error: str | None
    notice: str | None
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True)
class PictureRow:
    number: int
    id: str
    job: str
    picture: int
    name: str
    seed: int
    width: int
    height: int
    created: float
