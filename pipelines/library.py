"""Every model there is, of every kind, with what is told about it: what the page for models shows. Free of torch.

Looks at the disk at each call; what was read from a file is kept until the file changes.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from . import headers, shelves
from .adapters import embedding, guess, lora_info, sidecar
from .adapters import shelf as adapter_shelf
from .catalog import Catalog, ModelInfo
from .control.shelf import FOLDERS as CONTROLNETS
from .control.shelf import NETWORKS, ControlShelf, NetworkShelf
from .errors import CheckpointError, UnknownName
from .families import reading
from .headers import Stamp
from .names import AUTOMATIC
from .upscalers import reading as upscaler_reading
from .upscalers.shelf import FOLDERS as UPSCALERS
from .upscalers.shelf import UpscalerShelf

__all__ = ["AUTOMATIC", "KINDS", "Entry", "Kind", "Library", "existing", "kind_of", "shelf"]


@dataclass(frozen=True)
class Kind:
    """A kind of model: its words, and the names of the folders it lies in, ours first."""

    title: str
    plural: str
    folders: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "checkpoint": Kind("Checkpoint", "Checkpoints", shelves.CHECKPOINTS),
    "lora": Kind("LoRA", "LoRAs", adapter_shelf.LORAS),
    "embedding": Kind("Embedding", "Embeddings", adapter_shelf.EMBEDDINGS),
    "vae": Kind("VAE", "VAEs", shelves.VAES),
    "upscaler": Kind("Upscaler", "Upscalers", UPSCALERS),
    "controlnet": Kind("ControlNet", "ControlNets", CONTROLNETS),
    "preprocessor": Kind("Preprocessor", "Preprocessors", NETWORKS),
}


@dataclass(frozen=True)
class Entry:
    """One model as it is listed. `name` is what requests and prompts call it by, unique within its kind.

    `detail` says in a few words what kind of file it is; `prompt` is what puts it into a prompt, "" where nothing does;
    `broken` why it cannot be used, in one sentence. `weights` is the file that its hash is taken of: None in a folder
    with several. `notes` are what A1111's user wrote, `preview` a picture file beside it, not checked yet.
    """

    kind: str
    name: str
    title: str
    path: Path
    size_bytes: int = 0
    family: str | None = None
    broken: str | None = None
    summary: str = ""
    detail: str = ""
    base_model: str = ""
    trigger_words: tuple[str, ...] = ()
    prompt: str = ""
    native_size: tuple[int, int] | None = None
    tasks: tuple[str, ...] = ()
    weights: Path | None = None
    notes: str = ""
    tags: tuple[str, ...] = ()
    preview: Path | None = None


class Library:
    """The models below the roots of a catalog. Safe to use from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._upscalers = UpscalerShelf(catalog.roots)
        self._controlnets = ControlShelf(catalog.roots)
        self._networks = NetworkShelf(catalog.roots)
        self._known: dict[Path, tuple[Stamp, Entry]] = {}
        self._lock = threading.Lock()
        self._list: Mapping[str, Callable[[], Iterable[Entry]]] = {
            "checkpoint": lambda: map(_checkpoint, catalog.checkpoints()),
            "lora": lambda: self._files("lora", adapter_shelf.loras(catalog.roots), _lora),
            "embedding": lambda: self._files("embedding", adapter_shelf.embeddings(catalog.roots), _embedding),
            "vae": lambda: map(_vae, catalog.vaes()),
            "upscaler": self._upscaler_entries,
            "controlnet": self._controlnet_entries,
            "preprocessor": self._network_entries,
        }

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All models of a kind, or of all, by kind and name; broken ones too. Raises UnknownName for a kind that is none."""
        if kind is not None and kind not in self._list:
            raise UnknownName("kind", kind, KINDS)
        kinds = self._list if kind is None else (kind,)
        return [_told(entry) for each in kinds for entry in self._sorted(each)]

    def entry(self, kind: str, name: str) -> Entry:
        """Raises UnknownName."""
        if kind not in self._list:
            raise UnknownName("kind", kind, KINDS)
        known = self._sorted(kind)
        found = next((entry for entry in known if entry.name == name), None)
        if found is None:
            raise UnknownName(kind, name, (entry.name for entry in known), "name")
        return _told(found)

    def _sorted(self, kind: str) -> list[Entry]:
        return sorted(self._list[kind](), key=lambda entry: (entry.name.casefold(), entry.name))

    def _files(self, kind: str, files: Mapping[str, Path], inspect: Callable[[str, Path], Entry]) -> list[Entry]:
        return [entry for name, path in files.items() if (entry := self._inspected(kind, name, path, inspect))]

    def _inspected(self, kind: str, name: str, path: Path, inspect: Callable[[str, Path], Entry]) -> Entry | None:
        try:
            stamp = Stamp.of(path)
        except CheckpointError:
            return None  # vanished meanwhile
        with self._lock:
            known = self._known.get(path)
        if known is None or known[0] != stamp or (known[1].kind, known[1].name) != (kind, name):
            known = (stamp, inspect(name, path))
            with self._lock:
                self._known[path] = known
        return known[1]

    def _upscaler_entries(self) -> Iterable[Entry]:
        for info in self._upscalers.files():
            detail = f"{info.architecture}, {info.scale} times" if info.architecture else ""
            yield Entry("upscaler", info.name, info.title, info.path, info.size_bytes, None, info.broken, detail=detail, weights=info.path)

    def _controlnet_entries(self) -> Iterable[Entry]:
        for info in self._controlnets.all():
            detail = "diffusers folder" if info.path.is_dir() else "single file"
            weights = info.part.stamps[0].path if info.part and len(info.part.stamps) == 1 else info.path if info.path.is_file() else None
            facts = (info.name, info.title, info.path, info.size_bytes, info.family, info.broken)
            yield Entry("controlnet", *facts, detail=detail, weights=weights)

    def _network_entries(self) -> Iterable[Entry]:
        for info in self._networks.all():
            weights = info.stamps[0].path if len(info.stamps) == 3 else None
            facts = (info.name, info.title, info.path, info.size_bytes, None, info.broken)
            yield Entry("preprocessor", *facts, detail=info.detail, weights=weights)


def _checkpoint(info: ModelInfo) -> Entry:
    return Entry(
        **_facts("checkpoint", info),
        family=info.family,
        summary=info.summary,
        detail="diffusers folder" if info.kind == "folder" else "single file",
        native_size=info.native_size if info.family else None,
        tasks=tuple(info.tasks),
    )


def _vae(info: ModelInfo) -> Entry:
    return Entry(**_facts("vae", info), detail="diffusers folder" if info.kind == "folder" else "single file")


def _facts(kind: str, info: ModelInfo) -> dict[str, object]:
    facts = {name: getattr(info, name) for name in ("name", "title", "path", "size_bytes", "broken")}
    return {"kind": kind, **facts, "weights": _weights(info)}


def _weights(info: ModelInfo) -> Path | None:
    """The file that tells one model from another: of a folder the denoiser's, as recipes have it."""
    if info.kind == "file":
        return info.path
    for part in ("unet", "transformer", "."):
        found = sorted((info.path / part).glob("*.safetensors"))
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _lora(name: str, path: Path) -> Entry:
    info = lora_info.inspect(path)
    stem = PurePosixPath(name).stem
    ranks = f", rank {info.ranks[0]}" if len(info.ranks) == 1 else f", ranks {info.ranks[0]} to {info.ranks[-1]}" if info.ranks else ""
    return Entry(
        "lora",
        name,
        info.title or stem,
        path,
        _size(path),
        info.family,
        info.broken,
        detail=f"{info.kind}{ranks}",
        base_model=info.base_model,
        trigger_words=info.trigger_words,
        prompt=f"<lora:{stem}:1>",
        weights=path,
    )


def _embedding(name: str, path: Path) -> Entry:
    stem = PurePosixPath(name).stem
    info = embedding.inspect(path)
    detail = f"{info.vectors} {'vector' if info.vectors == 1 else 'vectors'}" if info.vectors else ""
    return Entry("embedding", name, stem, path, _size(path), info.family, info.broken, detail=detail, prompt=stem, weights=path)


def _told(entry: Entry) -> Entry:
    """With what lies beside the file: what people wrote there comes before what the file says of itself."""
    beside = sidecar.read(entry.path)
    prompt = entry.prompt
    if entry.kind == "lora" and beside.preferred_weight is not None:
        prompt = f"<lora:{PurePosixPath(entry.name).stem}:{beside.preferred_weight:g}>"
    return replace(
        entry,
        title=beside.title or entry.title,
        summary=entry.summary or beside.description,
        base_model=beside.base_model or entry.base_model,
        family=entry.family or guess.by_words(beside.base_model or entry.base_model),
        trigger_words=beside.trigger_words or entry.trigger_words,
        notes=beside.notes,
        tags=beside.tags,
        preview=beside.preview or _inside(entry.path),
        prompt=prompt,
    )


def _inside(folder: Path) -> Path | None:
    """A picture that a model's folder brings along."""
    picture = folder / "preview.png"
    return picture if picture.is_file() else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def kind_of(path: Path) -> str | None:
    """The kind of a safetensors file, told from its header; None where nothing tells. Raises CheckpointError when it is damaged."""
    names = headers.read(path).tensors
    if lora_info.inspect(path).broken is None:
        return "lora"
    if any("controlnet_cond_embedding." in name or name.startswith(("control_model.", "input_hint_block.")) for name in names):
        return "controlnet"
    if embedding.inspect(path).broken is None:
        return "embedding"
    if any(name.startswith(("model.diffusion_model.", "double_blocks.", "joint_blocks.")) for name in names):
        return "checkpoint"
    if upscaler_reading.inspect(path, path.name).broken is None:
        return "upscaler"
    try:
        reading.vae(path)
    except CheckpointError:
        return None
    return "vae"


def shelf(root: Path, kind: str) -> Path:
    """The folder of a root where models of this kind lie, or will."""
    folders = KINDS[kind].folders
    return next((root / name for name in folders if (root / name).is_dir()), root / folders[0])


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), path)
