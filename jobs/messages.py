"""What the supervisor and a worker say to each other over their pipe, besides job events: frozen, picklable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.events import Decoded, Drawn, JobEvent
from pipelines.request import Request


@dataclass(frozen=True)
class WorkerConfig:
    """How a worker makes its engine: `factory` ("module:function") is called with `config` in the worker's own process."""

    factory: str
    config: Any = None


# -- to the worker ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """Work to do; `done` are the pictures an earlier try has saved. Kept latents are read by the worker itself. The picture of a
    `live` job is sent back as it is (`Decoded`), and nothing is written."""

    job: str
    request: Request
    done: frozenset[int] = frozenset()
    live: bool = False


@dataclass(frozen=True)
class Cancel:
    job: str


@dataclass(frozen=True)
class Pause:
    job: str


@dataclass(frozen=True)
class Resume:
    job: str


@dataclass(frozen=True)
class Load:
    """Read a checkpoint, with this VAE, before a job asks for it."""

    checkpoint: str
    vae: str


@dataclass(frozen=True)
class Unload:
    checkpoint: str


@dataclass(frozen=True)
class Draw:
    """Make the picture, `size` (width, height), that a modifier shows of its parameters; `Drawn` answers."""

    ticket: str
    modifier: str
    params: Mapping[str, Any]
    size: tuple[int, int]


@dataclass(frozen=True)
class Close:
    pass


# -- from the worker ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The engine is built and takes orders."""


@dataclass(frozen=True)
class Beat:
    """Sent every second. `last` names the newest engine event ("" before the first, "Saving" while a file waits for
    room), `quiet` is the seconds since."""

    status: Mapping[str, Any] = field(default_factory=dict)
    last: str = ""
    quiet: float = 0.0


@dataclass(frozen=True)
class Broken:
    """The engine could not be built, in one sentence; the worker ends."""

    message: str


@dataclass(frozen=True)
class Ended:
    """The last message of a worker that ends by itself; one that is killed only leaves a closed pipe."""


ToWorker = Order | Cancel | Pause | Resume | Load | Unload | Draw | Close
FromWorker = Ready | Beat | Broken | Ended | JobEvent | Decoded | Drawn
