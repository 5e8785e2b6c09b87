"""Checkpoints in memory: components shared where they are alike, kept while there is room, held fast while in use."""

import gc
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from . import devices, holdings, loading, loading_memory, loading_pages
from .adapters.vocabulary import EmbeddingShelf
from .ahead import ReadAhead, Target
from .catalog import Catalog
from .components import Components
from .errors import OutOfMemory
from .families.parts import Part
from .holdings import Entry, Held
from .keepers import Keeper, Keepers
from .loading_hashes import Hasher
from .loading_memory import Budget
from .loading_sources import Key, Source, Wanted, assemble, take_apart
from .loads import Loads
from .names import AUTOMATIC
from .offload import housed
from .residence import Residence, Way
from .tuning import UNTUNED, Tuning

_MARGIN = 2  # of what is free, for a checkpoint that nobody has asked for yet


class PipelineManager:
    """Hands out the components of checkpoints. One load at a time; what is loaded already, `is_loaded`, `loaded`, `memory_bytes`
    and `memory_plan` never wait for it.

    `dtype` is what suits the device unless given. When models would take more than `budget_bytes` of the device (read from
    the machine unless given), those not used for longest are let go before the next is loaded; of a single model that is
    larger than what is free, parts wait in main memory. `keepers` count as it does, and let go before checkpoints are let go.
    `dtypes` tells what was chosen for a checkpoint, by its path, instead of `dtype`; `tuning` is for what is loaded.
    """

    def __init__(
        self,
        catalog: Catalog,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        budget_bytes: int | None = None,
        keepers: Iterable[Keeper] = (),
        dtypes: Callable[[Path], torch.dtype | None] = lambda path: None,
        tuning: Tuning = UNTUNED,
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype or devices.dtype_of(self.device)
        self.catalog = catalog
        self._dtypes, self._tuning = dtypes, tuning
        self._keepers = Keepers(keepers, self.device)
        self._budget = Budget.of(self.device)
        if budget_bytes is not None:
            self._budget = Budget(budget_bytes, self._budget.main)
        self._hasher = Hasher()
        self._embeddings = EmbeddingShelf(catalog.roots)
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()  # the least recently used first
        self._modules: dict[Key, Held] = {}
        self._outdated: list[Entry] = []  # whose files have changed while somebody held them
        self._coming: frozenset[Key] = frozenset()  # of what is being loaded
        self._lock = threading.RLock()  # guards all of these; held for moments
        self._loading = threading.Lock()  # held while a checkpoint is read
        self._ahead = ReadAhead(self._read_ahead)
        self._roomy = True  # until memory ran out once
        self._loads = Loads()

    @contextmanager
    def acquire(self, checkpoint: str, vae: str = AUTOMATIC) -> Iterator[Components]:
        """The components, loaded if need be and kept in memory until the context ends.

        Raises `UnknownName`, `CheckpointError`, `OutOfMemory`.
        """
        wanted = self._wanted(checkpoint, vae)
        entry = self._pinned(wanted)
        if entry is None:
            self._ahead.only(wanted.name)  # or this would wait for something else to be read
            with self._loading:
                entry = self._pinned(wanted) or self._load(wanted, pins=1)
        try:
            yield entry.components
        finally:
            with self._lock:
                entry.pins -= 1
                outdated = not entry.pins and entry in self._outdated
                if outdated:
                    self._outdated.remove(entry)
            if outdated:
                self._drop_unused()

    def load(self, checkpoint: str, vae: str = AUTOMATIC) -> None:
        """Reads it into memory; what becomes of it is told by `status`."""
        with self._loads.reading(checkpoint), torch.inference_mode(False), torch.no_grad(), self.acquire(checkpoint, vae):
            pass

    def ahead(self, target: Target | None) -> None:
        """What will be wanted next: its files are read meanwhile and, where there is room for it beside all that is loaded, it
        is loaded. Returns at once; another target, or None, ends what was begun."""
        self._ahead.want(target)

    def unload(self, checkpoint: str) -> None:
        """Lets go of a checkpoint, with whatever VAE, where nobody holds it; components that others share stay."""
        self._let_go(lambda name: name[0] == checkpoint)

    def spare(self) -> bool:
        """Lets go of everything that nobody holds, for want of memory; False if there was nothing. Nothing is loaded ahead of
        need from then on."""
        self._roomy = False
        kept = self._keepers.spare()
        return self._let_go(lambda name: True) or kept

    def is_loaded(self, checkpoint: str, vae: str = AUTOMATIC) -> bool:
        with self._lock:
            return (checkpoint, vae) in self._entries

    def loaded(self) -> list[str]:
        """Names of the checkpoints in memory, the last used first."""
        with self._lock:
            return list(dict.fromkeys(name for name, _ in reversed(self._entries)))

    def memory_bytes(self) -> int:
        """What their weights take, mapped files and what the keepers keep included."""
        with self._lock:
            return sum(held.size for held in self._modules.values()) + self._keepers.kept_bytes()

    def status(self) -> dict[str, Any]:
        """What is loaded, what it takes and where it is (see `holdings`), and what could not be loaded; cheap, thread-safe."""
        with self._lock:
            holds = holdings.told(((name, entry.keys) for (name, _), entry in self._entries.items()), self._modules)
            plans = {name: entry.residence.sentence for (name, _), entry in self._entries.items()}
        told = {"loaded": self.loaded(), "memory_bytes": self.memory_bytes(), "memory_plan": self.memory_plan()}
        more = {"waiting_bytes": self._taken(True), "device": str(self.device)}
        return {**told, **more, "holds": holds, "plans": plans, **self._loads.told()}

    def memory_plan(self) -> str:
        """Where the components of the checkpoint that was used last are, in one sentence; "" when nothing is loaded."""
        with self._lock:
            return next(reversed(self._entries.values())).residence.sentence if self._entries else ""

    # -- what is there ------------------------------------------------------------------------------------------------

    def _wanted(self, checkpoint: str, vae: str) -> Wanted:
        info = self.catalog.checkpoint(checkpoint)
        return Wanted(info, None if vae == AUTOMATIC else self.catalog.vae(vae), self._dtypes(info.path) or self.dtype)

    def _pinned(self, wanted: Wanted) -> Entry | None:
        """The entry, held, if it is in memory and its files are as they were."""
        with self._lock:
            entry = self._entries.get(wanted.name)
            if entry is None:
                return None
            if entry.version != wanted.version:
                self._outdated += [entry] if entry.pins else []
                del self._entries[wanted.name]
                return None
            self._entries.move_to_end(wanted.name)
            entry.pins += 1
            return entry

    def _let_go(self, which: Callable[[tuple[str, str]], bool]) -> bool:
        with self._lock:
            names = [name for name, entry in self._entries.items() if which(name) and not entry.pins]
            for name in names:
                del self._entries[name]
        self._drop_unused()
        return bool(names)

    def _drop_unused(self) -> None:
        with self._lock:
            used = self._coming.union(*(entry.keys.values() for entry in (*self._entries.values(), *self._outdated)))
            unused = [self._modules.pop(key) for key in list(self._modules) if key not in used]
        dropped = [weakref.ref(held.module) for held in unused]
        while unused:
            living = unused.pop().living
            if living is not None:
                living.end()
        living = None
        if any(reference() is not None for reference in dropped):
            gc.collect()  # held in a circle, such as an exception's; too slow to do every time
        if dropped:
            loading_memory.release(self.device)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _load(self, wanted: Wanted, pins: int, stopped: Callable[[], bool] = lambda: False) -> Entry:
        source = take_apart(self.catalog, wanted)
        with self._lock:
            self._coming = frozenset(source.keys.values())
        try:
            try:
                entry = self._entry(source, pins, stopped)
            except OutOfMemory:
                if not pins or not self.spare():
                    raise
                entry = self._entry(source, pins, stopped)
            with self._lock:
                self._entries[wanted.name] = entry
            return entry
        finally:
            with self._lock:
                self._coming = frozenset()
            self._drop_unused()

    def _read_ahead(self, target: Target, stopped: Callable[[], bool]) -> None:
        """See `ahead`. Nothing is let go for what may never be asked for; what has no room is read into the page cache at least."""
        wanted = self._wanted(*target)
        if self.is_loaded(*target):
            return
        source = take_apart(self.catalog, wanted)
        with self._loading, torch.no_grad():
            if stopped() or self.is_loaded(*target):
                return
            if self._roomy and self._fits_beside(source):
                with suppress(loading.Stopped):
                    self._load(wanted, 0, stopped)
                    return
        loading_pages.warm(self._missing(source), stopped)

    def _fits_beside(self, source: Source) -> bool:
        missing = self._missing_bytes(source)
        if self.device.type != "cpu" and missing * _MARGIN > loading_memory.free_on(self.device):
            return False  # what runs now needs its activations
        return self._taken(False) + missing <= self._budget.device and self._copied_bytes(source) * _MARGIN <= loading_memory.free_in_main()

    def _make_room(self, source: Source) -> None:
        """Lets go of the least recently used until the new parts fit, or nothing is left to let go."""
        missing = self._missing_bytes(source)
        self._evict(lambda: self._taken(False) + missing <= self._budget.device)
        loading_memory.require(self._copied_bytes(source), source.wanted.info.name, self.device)

    def _evict(self, fits: Callable[[], bool]) -> None:
        while not fits() and (self._keepers.spare() or self._evict_one()):
            pass

    def _evict_one(self) -> bool:
        """Lets go of the least recently used that nobody holds; False if there is none."""
        with self._lock:
            oldest = next((name for name, entry in self._entries.items() if not entry.pins), None)
            if oldest is None:
                return False
            del self._entries[oldest]
        self._drop_unused()
        return True

    def _taken(self, waiting: bool) -> int:
        """Bytes of the modules on the device, or of those that wait in main memory."""
        with self._lock:
            ours = sum(held.size for held in self._modules.values() if held.waits == waiting)
        return ours if waiting else ours + self._keepers.kept_bytes()

    def _missing(self, source: Source) -> list[Part]:
        with self._lock:
            return list({source.keys[name]: part for name, part in source.parts.items() if source.keys[name] not in self._modules}.values())

    def _missing_bytes(self, source: Source) -> int:
        return sum(part.elements for part in self._missing(source)) * source.wanted.dtype.itemsize

    def _copied_bytes(self, source: Source) -> int:
        """What cannot stay mapped from its file."""
        return loading_memory.copied_bytes(self._missing(source), source.wanted.dtype)

    def _entry(self, source: Source, pins: int, stopped: Callable[[], bool]) -> Entry:
        self._make_room(source)
        where = self._where(source)
        while not where.whole and (not pins or self._keepers.spare() or self._evict_one()):
            if not pins:
                raise loading.Stopped  # not worth it for what nobody has asked for yet
            where = self._where(source)
        dtype = source.wanted.dtype
        waiting = sum(part.elements for name, part in source.parts.items() if where.waits(name)) * dtype.itemsize
        self._evict(lambda: self._taken(True) + waiting <= self._budget.main)
        modules = {name: self._module(source, name, where.way(name), stopped) for name in source.parts}
        components = assemble(source, modules, self.device, dtype, self._hasher, self._embeddings)
        if dtype != self.dtype:
            where = replace(where, sentence=f"{where.sentence} It is in {devices.word(dtype)}, as chosen for it.")
        return Entry(components, source.keys, source.wanted.version, where, pins)

    def _where(self, source: Source) -> Residence:
        with self._lock:
            there = frozenset(name for name, key in source.keys.items() if key in self._modules)
        return loading_memory.chosen(source, there, self.device, source.wanted.dtype)

    def _module(self, source: Source, component: str, way: Way, stopped: Callable[[], bool]) -> torch.nn.Module:
        key = source.keys[component]
        with self._lock:
            held = self._modules.get(key)
        if held is None:
            dtype = self._tuning.dtype(component, source.wanted.dtype)
            held = housed(source.parts[component], source.label(component), way, self.device, dtype, self._tuning.finish, stopped)
            with self._lock:
                self._modules[key] = held
        return held.module
