"""SHA-256 of weights, computed beside the work and at hand when the picture is saved."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from .errors import CheckpointError
from .families import digests
from .families.parts import Part
from .headers import Stamp


class WeightHashes(Mapping[str, str]):
    """Reading a value waits for it; the first picture of a large checkpoint takes longer than its hash (1.8 GB/s).

    A file that vanished before it was hashed has the hash "".
    """

    def __init__(self, pending: Mapping[str, "Future[str]"]) -> None:
        self._pending = pending

    def __getitem__(self, component: str) -> str:
        try:
            return self._pending[component].result()
        except CheckpointError:
            return ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._pending)

    def __len__(self) -> int:
        return len(self._pending)


class Hasher:
    """Hashes one part at a time on a thread of its own, each version of a file once."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="weight hashes")
        self._known: dict[tuple[str, tuple[Stamp, ...]], Future[str]] = {}
        self._lock = threading.Lock()

    def of(self, components: Mapping[str, Part], single_file: Stamp | None, leading: str) -> WeightHashes:
        """The hash of each component, and as "checkpoint" that of the single file, or of the component that a folder goes by.

        A component in files of its own has the hash of those files (of the one file, where it is one); one inside a
        single file that of its weights alone.
        """
        shared = single_file.path if single_file else None
        pending = {name: self._component(part, shared) for name, part in components.items()}
        if single_file is None:
            pending["checkpoint"] = pending[leading]
        else:
            pending["checkpoint"] = self._once("file", (single_file,), lambda: digests.files_sha256((single_file.path,)))
        return WeightHashes(pending)

    def _component(self, part: Part, shared: object) -> "Future[str]":
        if any(stamp.path == shared for stamp in part.stamps):
            return self._once(part.component, part.stamps, lambda: digests.sha256(part))
        return self._once("file", part.stamps, lambda: digests.files_sha256(stamp.path for stamp in part.stamps))

    def _once(self, what: str, stamps: tuple[Stamp, ...], compute: Callable[[], str]) -> "Future[str]":
        with self._lock:
            if (what, stamps) not in self._known:
                self._known[what, stamps] = self._executor.submit(compute)
            return self._known[what, stamps]
