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
    `default_vaes` are the VAEs chosen for checkpoints."""

    def __init__(
        self,
        catalog: "Catalog",
        status: Callable[[], Mapping[str, Any]],
        order: Callable[[ToWorker], None],
        default_vaes: Callable[[], Mapping[str, str]],
    ) -> None:
        self._catalog = catalog
        self._status = status
        self._order = order
        self._default_vaes = default_vaes
        self._asked: dict[str, float] = {}  # when a checkpoint was asked for last: earlier failures are no news

    def load(self, checkpoint: str, vae: str | None = None) -> None:
        """Has a checkpoint read before a job asks for it, with its default VAE unless one is named; returns at once. What goes
        wrong later is among the failures of `told`.

        Raises UnknownName, CheckpointError, and StudioError while there is no engine.
        """
        self._catalog.checkpoint(checkpoint)
        vae = vae or self._default_vaes().get(checkpoint, AUTOMATIC)
        if vae != AUTOMATIC:
            self._catalog.vae(vae)
        self._asked[checkpoint] = time.time()
        self._order(Load(checkpoint, vae))

    def unload(self, checkpoint: str) -> None:
        """Has the engine let go of a checkpoint that no job uses; returns at once. Raises InvalidRequest, StudioError."""
        if checkpoint not in self._status().get("loaded", ()):
            raise InvalidRequest(f"checkpoint {checkpoint[:200]!r} is not in memory.", "checkpoint")
        self._order(Unload(checkpoint))

    def told(self) -> dict[str, Any]:
        """What is loaded, the bytes of all of it and of those parts that wait in main memory for a device, where the checkpoint
        used last lives, in a sentence, and why those could not be read that were asked for here."""
        status = self._status()
        failures = status.get("failures") or {}
        return {
            "loaded": list(status.get("loaded", ())),
            "memory_bytes": status.get("memory_bytes", 0),
            "waiting_bytes": status.get("waiting_bytes", 0),
            "memory_plan": status.get("memory_plan", ""),
            "load_errors": {
                name: failed["message"] for name, failed in failures.items() if name in self._asked and failed["time"] >= self._asked[name]
            },
        }
