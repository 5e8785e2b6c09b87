"""The models on disk: found by name, told apart and checked from their headers, in milliseconds and without torch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from . import catalog_pieces, fitting, headers, model_card, shelves
from .catalog_files import Seen, Version, attempt, facts, version_of
from .errors import CheckpointError, UnknownName, printable
from .families import FAMILIES, Family, Parted, joined, joined_t5, turbo
from .families.joined_text import TextFile
from .families.pieces import is_partial
from .families.reading import checkpoint, complete, vae
from .model_card import ModelCard
from .names import AUTOMATIC

BUILT_IN = "safelight-picturebook"


@dataclass(frozen=True)
class ModelInfo:
    """A checkpoint or a VAE as the catalog lists it. `broken` says in one sentence why it cannot be used, or is None; `idle` are the
    fields of a request that have no effect on it, and why.

    `name` is its id: the path on its shelf, such as "sub/model.safetensors", made unique among all roots. One that is `partial`
    lacks components that lie in other files or folders; `others` are those that it is completed with.
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
    idle: Mapping[str, str] = field(default_factory=dict)
    schedules: tuple[str, ...] = ()
    traits: fitting.Traits = field(default_factory=fitting.Traits)
    latent_rgb_factors: tuple[tuple[float, ...], ...] = ()
    latent_rgb_bias: tuple[float, ...] = ()
    partial: bool = False
    others: tuple[Path, ...] = ()


Inspect = Callable[[str, Path, Version], ModelInfo]
Key = tuple[str, Path]


@dataclass(frozen=True)
class _Known:
    """A model as it was read; `around` is what lay on the shelves that complete it, None where it is complete by itself."""

    own: Version
    around: Version | None
    info: ModelInfo


class Catalog:
    """Lists the models below `roots`; every call looks at the disk again, so that models come and go without a restart.

    What was read from a model is kept until one of its files changes in size or time. Safe to use from several threads.
    """

    def __init__(self, roots: Sequence[Path], families: Mapping[str, Family] = FAMILIES) -> None:
        self.roots = tuple(Path(root) for root in roots)
        self.families = families
        self._known: dict[Key, _Known] = {}
        self._seen = Seen()
        self._together: tuple[tuple[tuple[str, Version], ...], list[ModelInfo]] = ((), [])
        self._lock = threading.Lock()

    def checkpoints(self) -> list[ModelInfo]:
        """All checkpoints by name, broken ones too, but for pickles that have been converted; never raises."""
        infos = self._whole(self._list(shelves.checkpoints, self._checkpoint))
        usable = {info.path for info in infos if info.broken is None}
        return [info for info in infos if info.broken is None or info.path.with_suffix(".safetensors") not in usable]

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

    def default_checkpoint(self, task: str = "txt2img") -> str:
        """The built-in checkpoint, else the first that can be used, else ""; of those that can do the task, if there are any."""
        whole = [info for info in self.checkpoints() if info.broken is None]
        usable = [info.name for info in whole if task in info.tasks] or [info.name for info in whole]
        return BUILT_IN if BUILT_IN in usable else next(iter(usable), "")

    def recommended(self, checkpoint: str) -> dict[str, Any]:
        """Fields of a request that suit this checkpoint. Raises as `checkpoint` does."""
        return dict(self.checkpoint(checkpoint).recommended)

    def tiny_decoder(self, family: Family) -> Path | None:
        """A small decoder for previews that the user has put into `vae_approx`, `VAE-approx` or `preview`."""
        return shelves.approximate_vae(self.roots, family.tiny_decoder_files)

    def read(self, info: ModelInfo) -> Parted:
        """A listed checkpoint taken apart; a denoiser alone with the VAE and text encoders that complete it. Raises `CheckpointError`."""
        if not info.others:
            return self._read(info.path)
        return catalog_pieces.whole(info.path, info.others, self._piece, self._texts())

    def _whole(self, infos: list[ModelInfo]) -> list[ModelInfo]:
        """With checkpoints that lie in pieces put together, which is done anew when one of them changes."""
        partial = [info for info in infos if info.partial]
        if not partial:
            return infos
        around = self._around()
        key = (*((info.name, info.version) for info in partial), ("", around))
        with self._lock:
            known = self._together if self._together[0] == key else None
        if known is None:
            known = key, catalog_pieces.put_together(partial, self._piece, self._texts(), around)
            with self._lock:
                self._together = known
        return sorted([*(info for info in infos if not info.partial), *known[1]], key=_by_name)

    def _list(self, find: Callable[[Path], list[shelves.Candidate]], inspect: Inspect) -> list[ModelInfo]:
        infos = []
        around: Version | None = None
        for name, path in self._candidates(find):
            version = version_of(path)
            with self._lock:
                known = self._known.get((name, path))
            if known is not None and known.around is not None and around is None:
                around = self._around()
            if known is None or known.own != version or known.around not in (None, around):
                info = inspect(name, path, version)
                more = info.version[len(version) :] if info.version != version else None
                known = _Known(version, more, info)
                with self._lock:
                    self._known[name, path] = known
            infos.append(known.info)
        return sorted(infos, key=_by_name)

    def _piece(self, path: Path) -> Parted:
        return self._seen.of("piece", path, self._read)

    def _read(self, path: Path) -> Parted:
        parted = self._alone(path)
        return joined_t5.completed(parted, self._candidates(shelves.text_encoders)) if joined_t5.lacks(parted) else parted

    def _alone(self, path: Path) -> Parted:
        if path.is_dir():
            return checkpoint(path, self.families)
        header = headers.read(path)
        if not joined.is_partial(header):
            return checkpoint(path, self.families, header)
        parted = joined.complete(header, self.families, self._shelf())
        complete(path.name, parted.parts)
        return parted

    def _shelf(self) -> joined.Shelf:
        vaes = [(info.name, vae(info.path)) for info in self.vaes() if info.broken is None]
        return joined.Shelf(vaes, self._texts())

    def _texts(self) -> list[TextFile]:
        found = (self._seen.of(f"text {name}", path, partial(_text, name)) for name, path in self._candidates(shelves.text_encoders))
        return [text for text in found if text is not None]

    def _around(self) -> Version:
        """What partial checkpoints may be completed with; never empty."""
        paths = [path for find in (shelves.vaes, shelves.text_encoders) for _, path in self._candidates(find)]
        return (("", len(paths), 0), *(stat for path in paths for stat in version_of(path)))

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
        parted, broken = attempt(path, lambda: self._read(path))
        may_gain = joined_t5.lacks(parted) or _borrows(parted, path) if parted else _is_partial(path)
        around = self._around() if may_gain else ()
        if parted and is_partial(parted):
            self._seen.keep("piece", path, version, parted)
        family = parted.family if parted else None
        native = card.native_size or (parted.native_size or parted.family.native_size if parted else (512, 512))
        few = turbo.recommended(path.name, parted.scheduler_config) if parted and parted.family.noise == "diffusion" else {}
        of_file = {**parted.family.recommended, **parted.recommended} if parted else {}
        recommended = {**of_file, "width": native[0], "height": native[1], **few, **card.recommended}
        return ModelInfo(
            **facts(name, path, version, broken, card.title) | {"version": (*version, *around)},
            family=family.name if family else None,
            native_size=native,
            recommended=recommended,
            example_prompts=list(card.example_prompts),
            summary=" ".join(filter(None, (card.summary, parted.notice if parted else ""))),
            tasks=list(parted.tasks or parted.family.tasks) if parted else [],
            idle=fitting.idle(parted) if parted else {},
            schedules=fitting.schedules(parted.family, parted.scheduler_config) if parted else (),
            traits=fitting.traits(parted) if parted else fitting.Traits(),
            latent_rgb_factors=card.latent_rgb_factors,
            latent_rgb_bias=card.latent_rgb_bias,
            partial=parted is not None and is_partial(parted),
        )

    def _vae(self, name: str, path: Path, version: Version) -> ModelInfo:
        _, broken = attempt(path, lambda: vae(path))
        return ModelInfo(**facts(name, path, version, broken))


def _by_name(info: ModelInfo) -> tuple[str, str]:
    return info.name.casefold(), info.name


def _borrows(parted: Parted, path: Path) -> bool:
    """Whether some of it lies outside of `path`, on the shelves."""
    return any(path not in (stamp.path, *stamp.path.parents) for part in parted.parts.values() for stamp in part.stamps)


def _is_partial(path: Path) -> bool:
    try:
        return path.suffix == ".safetensors" and path.is_file() and joined.is_partial(headers.read(path))
    except CheckpointError:
        return False


def _text(name: str, path: Path) -> TextFile | None:
    try:
        return TextFile.of(name, headers.read(path))
    except CheckpointError:
        return None  # told where text encoders are asked for


def _named(kind: str, name: str, known: Sequence[ModelInfo], *others: str) -> ModelInfo:
    for info in known:
        if info.name == name:
            if info.broken:
                raise CheckpointError(info.broken)
            return info
    raise UnknownName(kind, name, (*others, *(info.name for info in known)))
