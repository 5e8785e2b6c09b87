"""What the outside sees of jobs, pictures and uploads: frozen values, and their JSON."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines import media
from pipelines.errors import InvalidRequest, StudioError, UnknownName

ENDED = frozenset({"finished", "failed", "cancelled"})


class Gone(StudioError):
    """The job has ended: there will be no further frame."""


class NotHere(UnknownName):
    """No job, picture or upload of that id (there are too many to list the known ones)."""

    def __init__(self, kind: str, name: object) -> None:
        InvalidRequest.__init__(self, f"There is no {kind} {str(name)[:80]!r}.", kind)


@dataclass(frozen=True)
class Frame:
    """The newest picture of a developing job: JPEG bytes, after `step` steps."""

    step: int
    jpeg: bytes


@dataclass(frozen=True)
class JobView:
    """A job as it is now. `position` is its place among those that wait (1 is next), `eta` seconds left, or None;
    `calls` those of the model so far where its sampler takes as many steps as it needs, else 0."""

    id: str
    task: str
    owner: str
    state: str  # queued, running, paused, finished, failed, cancelled
    step: int
    total: int
    request: dict[str, Any] = field(repr=False)
    images: tuple[str, ...]
    error: str | None
    notice: str | None
    attempt: int
    position: int | None
    created: float
    started: float | None
    finished: float | None
    eta: float | None
    loading: str | None
    calls: int = 0

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def as_json(self) -> dict[str, Any]:
        """The job's JSON of the HTTP API (the owner stays inside)."""
        data = asdict(self)
        del data["owner"]
        data["images"] = list(self.images)
        return data


@dataclass(frozen=True)
class ImageView:
    """A saved picture or clip; `path` is absolute."""

    id: str
    job: str
    path: Path
    seed: int
    width: int
    height: int
    created: float

    def as_json(self) -> dict[str, Any]:
        return {**{key: value for key, value in asdict(self).items() if key != "path"}, "media_type": media.by_name(self.path)}


@dataclass(frozen=True)
class BlobView:
    """An upload that was checked and kept; `id` is the SHA-256 of its bytes, `format` PNG, JPEG or WEBP."""

    id: str
    width: int
    height: int
    format: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
