"""What happens to a job, as frozen values matched by structure. The engine yields the first group; the worker and
the queue add the second. `job` is the job's id; `picture` counts from 0 within the job (its seed is the request's
seed plus `picture`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .request import Request


@dataclass(frozen=True)
class Work:
    """A job as the engine takes it: seed decided, names checked, inputs in the blob store.

    `done` are the pictures that an earlier try has saved; `latents` the final latents (safetensors bytes) that an
    earlier try kept but did not decode, by picture.
    """

    job: str
    request: Request
    done: frozenset[int] = frozenset()
    latents: Mapping[int, bytes] = field(default_factory=dict)


# -- from the engine --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loading:
    job: str
    what: str  # the checkpoint (or VAE) being read


@dataclass(frozen=True)
class Started:
    job: str
    total: int  # steps of all pictures together


@dataclass(frozen=True)
class Step:
    job: str
    step: int  # steps done, of all pictures together
    total: int
    frame: bytes | None = None  # JPEG of the clean estimate (a mosaic when several pictures develop at once)
    calls: int = 0  # of the model so far, where a sampler takes as many steps as it needs


@dataclass(frozen=True)
class Developed:
    """The final latents of a picture, before decoding: keep them on disk, then go on."""

    job: str
    picture: int
    latents: bytes  # safetensors, float32: "latents", and of earlier rounds "latents.0", "latents.1"...


@dataclass(frozen=True)
class Decoded:
    """A finished picture or clip: the bytes of a file of `media_type` (see `media.ENDINGS`) that carries infotext and recipe."""

    job: str
    picture: int
    seed: int
    width: int
    height: int
    data: bytes
    media_type: str = "image/png"


@dataclass(frozen=True)
class Finished:
    job: str


@dataclass(frozen=True)
class Failed:
    job: str
    message: str  # one sentence for the user


@dataclass(frozen=True)
class Cancelled:
    job: str


@dataclass(frozen=True)
class Paused:
    job: str


@dataclass(frozen=True)
class Resumed:
    job: str


@dataclass(frozen=True)
class Notice:
    """Something worth saying that does not stop the job, in one sentence."""

    job: str
    message: str


@dataclass(frozen=True)
class Drawn:
    """The answer to a wish for a picture that belongs to no job: a PNG, or, without `data`, why there is none, in one sentence."""

    ticket: str
    data: bytes = b""
    message: str = ""


EngineEvent = Drawn | Loading | Started | Step | Developed | Decoded | Finished | Failed | Cancelled | Paused | Resumed | Notice


# -- added on the way to the journal ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queued:
    job: str


@dataclass(frozen=True)
class Saved:
    """A picture is on disk under its final name."""

    job: str
    picture: int
    seed: int
    image: str  # the picture's id
    path: str
    width: int
    height: int


@dataclass(frozen=True)
class Requeued:
    """The engine died under the job, which goes back to the queue (once)."""

    job: str
    message: str


JobEvent = Queued | Saved | Requeued | Loading | Started | Step | Finished | Failed | Cancelled | Paused | Resumed | Notice
