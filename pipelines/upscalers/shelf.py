"""The upscalers on offer by name: those built in, and the files that the user has, ours, A1111's and ComfyUI's, used in place."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .. import shelves
from ..errors import CheckpointError, UnknownName, printable
from ..headers import Stamp
from .reading import UpscalerInfo, inspect

FOLDERS = ("upscalers", "upscale_models", "ESRGAN", "RealESRGAN", "BSRGAN", "SwinIR", "ScuNET", "DAT", "HAT")


@dataclass(frozen=True)
class Upscaler:
    """One that is built in. `kind` says what it enlarges; `mode` is Pillow's or torch's name of the filter.

    `title` is the name artists know (A1111's where there is one).
    """

    title: str
    kind: Literal["latent", "picture"]
    mode: str
    antialias: bool = False


UPSCALERS: Mapping[str, Upscaler] = {
    "lanczos": Upscaler("Lanczos", "picture", "LANCZOS"),
    "bicubic": Upscaler("Bicubic", "picture", "BICUBIC"),
    "nearest": Upscaler("Nearest", "picture", "NEAREST"),
    "latent": Upscaler("Latent", "latent", "bilinear"),
    "latent_antialiased": Upscaler("Latent (antialiased)", "latent", "bilinear", True),
    "latent_bicubic": Upscaler("Latent (bicubic)", "latent", "bicubic"),
    "latent_bicubic_antialiased": Upscaler("Latent (bicubic antialiased)", "latent", "bicubic", True),
    "latent_nearest": Upscaler("Latent (nearest)", "latent", "nearest"),
    "latent_nearest_exact": Upscaler("Latent (nearest-exact)", "latent", "nearest-exact"),
}


def is_latent(name: str) -> bool:
    """Whether it enlarges latents; all that are not built in enlarge pictures."""
    return name in UPSCALERS and UPSCALERS[name].kind == "latent"


class UpscalerShelf:
    """The user's upscaler files below `roots`; every call looks at the disk again, and reads only the headers that are new.

    Safe to use from several threads.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(Path(root) for root in roots)
        self._known: dict[tuple[str, Path, tuple[int, int]], UpscalerInfo] = {}
        self._lock = threading.Lock()

    def files(self) -> list[UpscalerInfo]:
        """All files by name, broken ones too; never raises. Of two alike the later root's takes on the root's name."""
        infos = (self._inspected(name, path) for name, path in self._named().items())
        return sorted(infos, key=lambda info: (info.name.casefold(), info.name))

    def find(self, name: str) -> Upscaler | UpscalerInfo:
        """Raises `UnknownName`, or `CheckpointError` when it is a file that is broken."""
        if name in UPSCALERS:
            return UPSCALERS[name]
        named = self._named()
        if name not in named:
            raise UnknownName("upscaler", name, (*UPSCALERS, *named))
        info = self._inspected(name, named[name])
        if info.broken:
            raise CheckpointError(info.broken)
        return info

    def _named(self) -> dict[str, Path]:
        named: dict[str, Path] = {}
        seen: set[Path] = set()
        for root in self.roots:
            for name, path in _found(root):
                real = path.resolve()
                if real not in seen:
                    seen.add(real)
                    longer = f"{printable(root.name)}/{name}"
                    names = (name, longer, *(f"{longer} ({number})" for number in range(2, 1000)))
                    named[next(free for free in names if free not in named)] = path
        return named

    def _inspected(self, name: str, path: Path) -> UpscalerInfo:
        try:
            stamp = Stamp.of(path)
        except CheckpointError:
            return inspect(path, name)
        key = (name, path, (stamp.size, stamp.mtime_ns))
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = inspect(path, name)
            with self._lock:
                self._known[key] = known
        return known


def _found(root: Path) -> list[shelves.Candidate]:
    return [
        candidate
        for folder in shelves._shelves(root, FOLDERS)
        for candidate in shelves._walk(folder, lambda folder: False)  # no folder is one upscaler
    ]
