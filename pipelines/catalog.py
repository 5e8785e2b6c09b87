"""The models on disk: found by name, told apart and checked from their headers, in milliseconds and without torch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from . import model_card, shelves
from .errors import CheckpointError, UnknownName, printable
from .families import FAMILIES, Family
from .families.parts import Part
from .families.reading import Parted, checkpoint, vae
from .model_card import ModelCard
from .names import AUTOMATIC
from .request import Txt2Img

BUILT_IN = "safelight-picturebook"

Version = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of every file that a model is read from."""


@dataclass(frozen=True)
class ModelInfo:
    """A checkpoint or a VAE as the catalog lists it. `broken` says in one sentence why it cannot be used, or is None.

    `name` is its id: the path on its shelf, such as "sub/model.safetensors", made unique among all roots.
    """

    name: str
    title: str
    path: Path
    kind: Literal["folder", "file"]
    version: Version
    size_bytes: int = 0
    family: str | None = None
    broken: str | None = None
    native_size: tuple[int, int] = (512, 512)
    recommended: dict[str, Any] = field(default_factory=dict)
    example_prompts: list[str] = field(default_factory=list)
    summary: str = ""
    tasks: list[str] = field(default_factory=list)
    latent_rgb_factors: tuple[tuple[float, ...], ...] = ()
    latent_rgb_bias: tuple[float, ...] = ()


Inspect = Callable[[str, Path, Version], ModelInfo]


class Catalog:
    """Lists the models below `roots`; every call looks at the disk again, so that models come and go without a restart.

    What was read from a model is kept until one of its files changes in size or time. Safe to use from several threads.
    """

    def __init__(self, roots: Sequence[Path], families: Mapping[str, Family] = FAMILIES) -> None:
        self.roots = tuple(Path(root) for root in roots)
        self.families = families
        self._known: dict[tuple[str, Path], ModelInfo] = {}
        self._lock = threading.Lock()

    def checkpoints(self) -> list[ModelInfo]:
        """All checkpoints by name, broken ones too; never raises."""
        return self._list(shelves.checkpoints, self._checkpoint)

    def vaes(self) -> list[ModelInfo]:
        """All VAEs by name, broken ones too; never raises."""
        return self._list(shelves.vaes, self._vae)

    def checkpoint(self, name: str) -> ModelInfo:
        """Raises `UnknownName`, or `CheckpointError` when it is broken or there is none at all."""
        known = self.checkpoints()
        if not known:
            raise CheckpointError(f"There is no checkpoint in {' or '.join(str(root) for root in self.roots)}.")
        return _named("checkpoint", name, known)

    def vae(self, name: str) -> ModelInfo:
        """Raises `UnknownName`, or `CheckpointError` when it is broken."""
        return _named("vae", name, self.vaes(), AUTOMATIC)

    def default_checkpoint(self) -> str:
        """The built-in checkpoint, else the first that can be used, else ""."""
        usable = [info.name for info in self.checkpoints() if info.broken is None]
        return BUILT_IN if BUILT_IN in usable else next(iter(usable), "")

    def recommended(self, checkpoint: str) -> dict[str, Any]:
        """Fields of a request that suit this checkpoint. Raises as `checkpoint` does."""
        return dict(self.checkpoint(checkpoint).recommended)

    def tiny_decoder(self, family: Family) -> Path | None:
        """A small decoder for previews that the user has put into `vae_approx`, `VAE-approx` or `preview`."""
        return shelves.approximate_vae(self.roots, family.tiny_decoder_files)

    def _list(self, find: Callable[[Path], list[shelves.Candidate]], inspect: Inspect) -> list[ModelInfo]:
        infos = []
        for name, path in self._candidates(find):
            version = _version(path)
            with self._lock:
                info = self._known.get((name, path))
            if info is None or info.version != version:
                info = inspect(name, path, version)
                with self._lock:
                    self._known[name, path] = info
            infos.append(info)
        return sorted(infos, key=lambda info: (info.name.casefold(), info.name))

    def _candidates(self, find: Callable[[Path], list[shelves.Candidate]]) -> list[shelves.Candidate]:
        """Each model once, under a name of its own: a later root's takes on the root's name where two are alike."""
        named: dict[str, Path] = {}
        seen: set[Path] = set()
        for root in self.roots:
            for name, path in find(root):
                real = path.resolve()
                if real in seen:
                    continue
                seen.add(real)
                longer = f"{printable(root.name)}/{name}"
                names = [name, longer, *(f"{longer} ({number})" for number in range(2, 1000))]
                named[next(candidate for candidate in names if candidate not in named)] = path
        return list(named.items())

    def _checkpoint(self, name: str, path: Path, version: Version) -> ModelInfo:
        card = model_card.read(path) if path.is_dir() else ModelCard()
        parted, broken = _attempt(path, lambda: checkpoint(path, self.families))
        family = parted.family if parted else None
        native = card.native_size or (_native_size(parted) if parted else (512, 512))
        recommended = {**(family.recommended if family else {}), "width": native[0], "height": native[1], **card.recommended}
        return ModelInfo(
            **_facts(name, path, version, broken, card.title),
            family=family.name if family else None,
            native_size=native,
            recommended=recommended,
            example_prompts=list(card.example_prompts),
            summary=card.summary,
            tasks=list(family.tasks) if family else [],
            latent_rgb_factors=card.latent_rgb_factors,
            latent_rgb_bias=card.latent_rgb_bias,
        )

    def _vae(self, name: str, path: Path, version: Version) -> ModelInfo:
        _, broken = _attempt(path, lambda: vae(path))
        return ModelInfo(**_facts(name, path, version, broken))


def _named(kind: str, name: str, known: Sequence[ModelInfo], *others: str) -> ModelInfo:
    for info in known:
        if info.name == name:
            if info.broken:
                raise CheckpointError(info.broken)
            return info
    raise UnknownName(kind, name, (*others, *(info.name for info in known)))


Taken = TypeVar("Taken", Parted, Part)


def _attempt(path: Path, take_apart: Callable[[], Taken]) -> tuple[Taken | None, str | None]:
    """What was read, or the sentence that says why it was not. A listing never fails because of one file."""
    if path.suffix.lower() in shelves.PICKLES and not path.is_dir():
        return None, f"{printable(path.name)} is a pickle, which can run code when opened; convert it to .safetensors."
    try:
        return take_apart(), None
    except CheckpointError as error:
        return None, str(error)
    except OSError as error:
        return None, f"{printable(path.name)} cannot be read: {error.strerror or error}."


def _facts(name: str, path: Path, version: Version, broken: str | None, title: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "title": title or name.removesuffix(path.suffix if path.suffix.lower() in shelves.SUFFIXES else ""),
        "path": path,
        "kind": "folder" if path.is_dir() else "file",
        "version": version,
        "size_bytes": sum(size for file, size, _ in version if file.endswith(shelves.SUFFIXES)),
        "broken": broken,
    }


def _native_size(parted: Parted) -> tuple[int, int]:
    """What the UNet was trained at, where its configuration says so."""
    sample = parted.parts["unet"].config.get("sample_size")
    if not isinstance(sample, int):
        return parted.family.native_size
    side = sample * 2 ** (len(parted.parts["vae"].config["block_out_channels"]) - 1)
    try:
        Txt2Img(width=side, height=side)
    except ValidationError:
        return parted.family.native_size
    return side, side


def _version(path: Path) -> Version:
    """Stats of the file, or of everything two levels into a folder. A file that vanishes meanwhile is left out."""
    files = [path] if not path.is_dir() else sorted((*path.glob("*"), *path.glob("*/*")))
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((file.name if file == path else file.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
