"""Pickled models made into safetensors on their owner's word, one after another, each by a process that is thrown away after."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import convert
from pipelines.errors import InvalidRequest, StudioError
from pipelines.shelves import PICKLES


@dataclass
class Conversion:
    """`state` is queued, running, finished or failed; `error` says in one sentence what went wrong."""

    kind: str
    name: str
    path: Path
    state: str = "queued"
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Its state; while it runs `share` is how much of the file is written, from 0 to 1."""
        return {"kind": self.kind, "name": self.name, "state": self.state, "error": self.error, "share": self._share()}

    def _share(self) -> float | None:
        if self.state != "running":
            return None
        try:
            return round(min(convert.written(self.path) / max(self.path.stat().st_size, 1), 1.0), 3)
        except OSError:
            return None


class Conversions:
    """`find` gives the file of a model by kind and name, and raises UnknownName; `keep` remembers why a file was not converted, or
    with None that nothing is known against it; `work` converts a file, and raises StudioError."""

    def __init__(
        self,
        find: Callable[[str, str], Path],
        keep: Callable[[Path, str | None], None],
        work: Callable[[Path], Path] = convert.convert,
    ) -> None:
        self._find = find
        self._keep = keep
        self._work = work
        self._known: dict[tuple[str, str], Conversion] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one at a time: each may need the memory of several models
        self._stopped = False

    def begin(self, kind: str, name: str) -> dict[str, Any]:
        """Puts a pickle in line; one that is in line already stays there. Raises UnknownName, InvalidRequest for what is none."""
        path = self._find(kind, name)
        if path.suffix.lower() not in PICKLES:
            raise InvalidRequest(f"{name[:200]} is no pickle, so there is nothing to convert.", "name")
        with self._lock:
            known = self._known.get((kind, name))
            if known is None or known.state not in ("queued", "running"):
                known = self._known[kind, name] = Conversion(kind, name, path)
                self._keep(path, f"{name} was not converted: the studio was stopped before it was done.")  # until it is known better
                threading.Thread(target=self._run, args=(known,), name="conversion", daemon=True).start()
            return known.as_json()

    def all(self) -> list[dict[str, Any]]:
        """Those of this session, the oldest first."""
        with self._lock:
            return [each.as_json() for each in self._known.values()]

    def stop(self) -> None:
        """Begins no more; what runs is left to its own time limit, and leaves no half of a file."""
        self._stopped = True

    def _run(self, conversion: Conversion) -> None:
        with self._turn:
            if not self._stopped:
                self._convert(conversion)

    def _convert(self, conversion: Conversion) -> None:
        conversion.state = "running"
        try:
            self._work(conversion.path)
        except StudioError as error:
            conversion.error = str(error)
        except Exception as error:  # never left "running"
            conversion.error = f"{conversion.name} cannot be converted: {type(error).__name__}."
        self._keep(conversion.path, conversion.error)
        conversion.state = "failed" if conversion.error else "finished"
