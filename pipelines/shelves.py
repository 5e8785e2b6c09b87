"""Where models lie: our own folders, A1111's and ComfyUI's, used in place."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .errors import printable

CHECKPOINTS = ("checkpoints", "Stable-diffusion", "diffusers")
VAES = ("vae", "VAE")
APPROXIMATE_VAES = ("vae_approx", "VAE-approx", "preview")
PICKLES = (".ckpt", ".pt", ".pth")
SUFFIXES = (".safetensors", *PICKLES)
_MOST_ENTRIES = 20_000  # a root may be given by mistake, such as a home folder
_DEPTH = 6

Candidate = tuple[str, Path]  # a name, unique on its shelf, and the file or folder


def checkpoints(root: Path) -> list[Candidate]:
    """Everything below a root that is, or means to be, a checkpoint. A root may be the checkpoints folder itself, or one checkpoint."""
    if _is_checkpoint(root):
        return [(printable(root.name), root)]
    shelves = _shelves(root, CHECKPOINTS) or ([root] if root.is_dir() and not _shelves(root, VAES) else [])
    return [(name, path) for shelf in shelves for name, path in _walk(shelf, _is_checkpoint) if not _is_side_vae(path)]


def vaes(root: Path) -> list[Candidate]:
    """VAEs on their own shelf, and those that A1111 keeps beside a checkpoint (`name.vae.safetensors`)."""
    found = [candidate for shelf in _shelves(root, VAES) for candidate in _walk(shelf, _is_vae)]
    beside = [candidate for shelf in _shelves(root, CHECKPOINTS) or [root] for candidate in _walk(shelf, _is_checkpoint)]
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
