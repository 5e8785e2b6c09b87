"""Where models lie: our own folders, A1111's and ComfyUI's, and the Hugging Face cache, used in place."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .errors import printable

CHECKPOINTS = ("checkpoints", "Stable-diffusion", "diffusers", "diffusion_models", "unet")
TEXT_ENCODERS = ("text_encoders", "clip", "text_encoder")
VAES = ("vae", "VAE")
APPROXIMATE_VAES = ("vae_approx", "VAE-approx", "preview")
PICKLES = (".ckpt", ".pt", ".pth")
SUFFIXES = (".safetensors", *PICKLES)
_MOST_ENTRIES = 20_000  # a root may be given by mistake, such as a home folder
_DEPTH = 6

Candidate = tuple[str, Path]  # a name, unique on its shelf, and the file or folder


def checkpoints(root: Path) -> list[Candidate]:
    """Everything below a root that is, or means to be, a checkpoint. A root may be the checkpoints folder itself, one checkpoint, or
    the Hugging Face cache."""
    if (root / "model_index.json").is_file() or (root / "unet" / "config.json").is_file():
        return [(printable(root.name), root)]
    if hub := _hub(root):
        return hub
    shelves = _shelves(root, CHECKPOINTS) or ([root] if root.is_dir() and not _shelves(root, VAES) else [])
    found = [candidate for shelf in shelves for candidate in _walk(shelf, _is_checkpoint)]
    return [(name, path) for name, path in found if not _is_side_vae(path)]


def hub_cache() -> Path | None:
    """The folder of the Hugging Face cache, where there is one; its root to be among those of a catalog."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface")
    folder = Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")))
    return folder if folder.is_dir() else None


def _checkpoint_shelves(root: Path) -> list[Path]:
    """Where side VAEs may lie: not in the Hugging Face cache, which is large."""
    return _shelves(root, CHECKPOINTS) or ([] if any(root.glob("models--*--*")) else [root])


def _hub(root: Path) -> list[Candidate]:
    """Pipelines in the cache by their repo id, as their main branch or else as they were fetched last."""
    found = []
    for repo in sorted(root.glob("models--*--*")):
        name = repo.name.removeprefix("models--").replace("--", "/")
        snapshot = _snapshot(repo)
        if snapshot is not None and (snapshot / "model_index.json").is_file():
            found.append((printable(name), snapshot))
    return found


def _snapshot(repo: Path) -> Path | None:
    try:
        main = repo / "snapshots" / (repo / "refs" / "main").read_text("ascii").strip()
        if main.is_dir() and main.parent == repo / "snapshots":
            return main
    except (OSError, ValueError):
        pass  # fetched by its commit
    snapshots = [folder for folder in repo.glob("snapshots/*") if folder.is_dir()]
    return max(snapshots, key=lambda folder: folder.stat().st_mtime, default=None)


def text_encoders(root: Path) -> list[Candidate]:
    """Files of text encoders on their own shelf."""
    return [
        (name, path) for shelf in _shelves(root, TEXT_ENCODERS) for name, path in _walk(shelf, _is_vae) if path.suffix == ".safetensors"
    ]


def vaes(root: Path) -> list[Candidate]:
    """VAEs on their own shelf, and those that A1111 keeps beside a checkpoint (`name.vae.safetensors`)."""
    found = [candidate for shelf in _shelves(root, VAES) for candidate in _walk(shelf, _is_vae)]
    beside = [candidate for shelf in _checkpoint_shelves(root) for candidate in _walk(shelf, _is_checkpoint)]
    return found + [(name, path) for name, path in beside if _is_side_vae(path)]


def approximate_vae(roots: Iterable[Path], names: Iterable[str]) -> Path | None:
    """The first of these files in any root's folders of approximate VAEs."""
    files = (shelf / name for root in roots for shelf in _shelves(root, APPROXIMATE_VAES) for name in names)
    return next((file for file in files if file.is_file()), None)


def _shelves(root: Path, names: Iterable[str]) -> list[Path]:
    """The folders of these names in a root or in its `models`, each once where case does not count."""
    found: dict[str, Path] = {}
    for folder in (base / name for base in (root, root / "models") for name in names):
        if folder.is_dir():
            found.setdefault(os.path.normcase(os.path.realpath(folder)), folder)
    return list({_identity(folder): folder for folder in found.values()}.values())


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_checkpoint(folder: Path) -> bool:
    return (folder / "model_index.json").is_file() or (folder / "unet").is_dir()


def _is_vae(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / "vae" / "config.json").is_file()


def _is_side_vae(path: Path) -> bool:
    return path.stem.lower().endswith(".vae") and path.suffix.lower() in SUFFIXES


def _walk(shelf: Path, is_model: Callable[[Path], bool]) -> Iterator[Candidate]:
    """Files of weights, and folders that are models, at any depth; links are followed, loops are not."""
    seen: set[tuple[int, int]] = set()
    pending, entries = [(shelf, 0)], 0
    while pending:
        folder, depth = pending.pop()
        try:
            identity = _identity(folder)
            children = [] if identity in seen else sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue  # vanished, or not ours to read
        seen.add(identity)
        for child in children:
            path = Path(child.path)
            entries += 1
            if child.name.startswith(".") or entries > _MOST_ENTRIES:
                continue
            if _is_folder(child):
                if is_model(path):
                    yield printable(path.relative_to(shelf).as_posix()), path
                elif depth < _DEPTH:
                    pending.append((path, depth + 1))
            elif path.suffix.lower() in SUFFIXES:
                yield printable(path.relative_to(shelf).as_posix()), path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
