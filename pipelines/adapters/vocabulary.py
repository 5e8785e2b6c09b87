"""The textual inversions of the user's folders, as the words that a text encoder may meet."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UnknownName
from . import shelf
from .embedding import EmbeddingInfo, for_encoder, inspect, load, suits

if TYPE_CHECKING:
    import torch

Stamp = tuple[int, int]


class EmbeddingShelf:
    """Looks at the disk again on every call, so that embeddings come and go without a restart; what was read is kept until
    its file changes. Of two files with one name the first counts. Safe to use from several threads."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(roots)
        self._known: dict[Path, tuple[Stamp, EmbeddingInfo]] = {}
        self._loaded: dict[Path, tuple[Stamp, dict[str, torch.Tensor]]] = {}
        self._lock = threading.Lock()

    def infos(self) -> list[EmbeddingInfo]:
        """All that can be used."""
        found: dict[str, EmbeddingInfo] = {}
        for path in shelf.embeddings(self._roots).values():
            info = self._info(path)
            if info is not None and info.broken is None:
                found.setdefault(info.name, info)
        return list(found.values())

    def counts(self, encoder: str, width: int) -> dict[str, int]:
        """How many vectors each embedding has that was made for this encoder ("text_encoder", ...) and its width."""
        return {info.name: info.vectors for info in self.infos() if suits(info, encoder, width)}

    def version(self) -> tuple[tuple[str, Stamp], ...]:
        """Changes whenever an embedding comes, goes or changes."""
        return tuple((info.name, self._known[info.path][0]) for info in self.infos())

    def vectors(self, name: str, encoder: str, width: int) -> "torch.Tensor":
        """(n, width) float32. Raises `UnknownName`, or `CheckpointError` when the file is damaged."""
        info = next((info for info in self.infos() if info.name == name), None)
        if info is None:
            raise UnknownName("embedding", name, [info.name for info in self.infos()], "prompt")
        stamp = self._known[info.path][0]
        with self._lock:
            kept = self._loaded.get(info.path)
        if kept is None or kept[0] != stamp:
            kept = (stamp, load(info.path))
            with self._lock:
                self._loaded[info.path] = kept
        found = for_encoder(kept[1], encoder, width)
        if found is None:
            raise UnknownName("embedding for this model", name, self.counts(encoder, width), "prompt")
        return found

    def _info(self, path: Path) -> EmbeddingInfo | None:
        try:
            found = path.stat()
        except OSError:
            return None
        stamp = (found.st_size, found.st_mtime_ns)
        with self._lock:
            known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, inspect(path))
            with self._lock:
                self._known[path] = known
        return known[1]
