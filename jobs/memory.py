"""What the engine holds in memory: asked for here, and told as the engine last told it."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.errors import InvalidRequest
from pipelines.names import AUTOMATIC

from .messages import Load, ToWorker, Unload

if TYPE_CHECKING:
    from pipelines.catalog import Catalog


class ModelMemory:
    """`status` is what the engine last said of itself; `order` gives it an order, and raises StudioError while there is no engine;
    `default_vaes` are the VAEs chosen for checkpoints; `restarts` is how often the engine was started again, and `at_work` how many
    jobs it has."""

    def __init__(
        self,
        catalog: "Catalog",
        status: Callable[[], Mapping[str, Any]],
        order: Callable[[ToWorker], None],
        default_vaes: Callable[[], Mapping[str, str]],
        restarts: Callable[[], int],
        at_work: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._status = status
        self._order = order
        self._default_vaes = default_vaes
        self._restarts = restarts
        self._at_work = at_work
        self._asked: dict[str, float] = {}  # when a checkpoint was asked for last: earlier failures are no news
        self._asked_of: dict[str, int] = {}  # which engine: one that dies forgets what it was asked for

    def load(self, checkpoint: str, vae: str | None = None) -> None:
        """Has a checkpoint read before a job asks for it, with its default VAE unless one is named; returns at once. What goes
        wrong later is among the failures of `told`.

        Raises UnknownName, CheckpointError, and StudioError while there is no engine.
        """
        self._catalog.checkpoint(checkpoint)
        vae = vae or self._default_vaes().get(checkpoint, AUTOMATIC)
        if vae != AUTOMATIC:
            self._catalog.vae(vae)
        asked = time.time()
        self._order(Load(checkpoint, vae))
        self._asked[checkpoint], self._asked_of[checkpoint] = asked, self._restarts()

    def unload(self, checkpoint: str) -> None:
        """Has the engine let go of a checkpoint that no job uses; returns at once. Raises InvalidRequest, StudioError."""
        if checkpoint not in self._status().get("loaded", ()):
            raise InvalidRequest(f"checkpoint {checkpoint[:200]!r} is not in memory.", "checkpoint")
        self._order(Unload(checkpoint))

    def told(self) -> dict[str, Any]:
        """What is loaded, the bytes of all of it and of those parts that wait in main memory for a device, where the checkpoint
        used last lives, in a sentence; of those that were asked for here which are not there yet, and why others could not be read."""
        status = self._status()
        outcomes = {name: self._outcome(name, status) for name in [*self._asked]}
        coming = [name for name, outcome in outcomes.items() if outcome is None]
        jobs = self._at_work() if coming else 0
        return {
            "loaded": list(status.get("loaded", ())),
            "memory_bytes": status.get("memory_bytes", 0),
            "waiting_bytes": status.get("waiting_bytes", 0),
            "memory_plan": status.get("memory_plan", ""),
            "load_errors": {name: outcome for name, outcome in outcomes.items() if outcome},
            "loads": [
                {"checkpoint": name, "state": "loading", "jobs": 0}
                if name == status.get("reading")
                else {"checkpoint": name, "state": "waiting", "jobs": jobs}
                for name in coming
            ],
        }

    def _outcome(self, checkpoint: str, status: Mapping[str, Any]) -> str | None:
        """Why a checkpoint that was asked for could not be read; "" when it was, None while it is not there yet."""
        asked = self._asked[checkpoint]
        failed = (status.get("failures") or {}).get(checkpoint)
        if failed and failed["time"] >= asked:
            return str(failed["message"])
        if checkpoint in status.get("loaded", ()) or (status.get("read") or {}).get(checkpoint, 0.0) >= asked:
            return ""
        if self._asked_of[checkpoint] != self._restarts():
            return "The engine stopped before it was read; nothing was loaded."
        return None
