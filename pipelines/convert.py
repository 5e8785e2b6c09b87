"""Pickled checkpoints (.ckpt, .pt, .pth) made into safetensors: `python -m pipelines.convert FILE...`.

A pickle can run code when it is opened, so it is opened by a process of its own that may do little and is thrown away after;
there torch reads weights only, and refuses anything else. What comes out is checked before it takes its name.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from . import headers
from .errors import CheckpointError, StorageError, StudioError, printable
from .shelves import PICKLES

_SECONDS = 900
_HEAD = 12 * 2**30  # of address space for Python and torch, which map far more than they use
_COPIES = 3  # a pickle that is not a zip archive is read, and its weights copied
# What old checkpoints carry besides weights, of training: taken for empty objects and dropped.
_HARMLESS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode",
)  # fmt: skip
_NESTED = ("state_dict", "params_ema", "params", "model")  # where the weights are, below the top


def convert(path: Path, seconds: float = _SECONDS) -> Path:
    """Writes `path` with the suffix .safetensors beside it, as a whole or not at all, and gives its place.

    Raises `CheckpointError` for what is no pickle of weights, `StorageError` when there is no room or the name is taken.
    """
    label = printable(path.name)
    target = path.with_suffix(".safetensors")
    if path.suffix.lower() not in PICKLES or not path.is_file():
        raise CheckpointError(f"{label} is not a file of the kind {', '.join(PICKLES)}.")
    if target.exists():
        raise StorageError(f"{printable(target.name)} is there already; move it away to convert {label} again.")
    size = path.stat().st_size
    if shutil.disk_usage(path.parent).free < size * 1.1:
        raise StorageError(f"There is no room for another {size / 1e9:.1f} GB beside {label}.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        said = _in_a_process_of_its_own(path, part, seconds)
        if said is not None:
            raise CheckpointError(f"{label} cannot be converted: {said}.")
        headers.read(part, label)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(path.stat().st_mode & 0o666)  # who may read the one may read the other
        part.replace(target)
    except OSError as error:
        raise StorageError(f"{label} cannot be converted: {error.strerror or error}.") from None
    finally:
        part.unlink(missing_ok=True)
    return target


def written(path: Path) -> int:
    """Bytes that are written so far of what `path` is being converted to, by whichever process."""
    pattern = f".{escape(path.with_suffix('.safetensors').name)}.*.part"
    return sum(part.stat().st_size for part in path.parent.glob(pattern))


def _in_a_process_of_its_own(path: Path, part: Path, seconds: float) -> str | None:
    """What went wrong, or None. The process has no more of the environment than it needs, and an empty folder to be in."""
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TEMP", "TMP")}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", "pipelines.convert", "--child", str(path.absolute()), str(part.absolute())]
        try:
            done = subprocess.run(
                command, cwd=empty, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return f"it took more than {seconds:.0f} seconds"
    if done.returncode == 0:
        return None
    try:
        return printable(str(json.loads(done.stdout.decode("utf-8", "replace").splitlines()[-1])["error"]))[:300].rstrip(".")
    except (IndexError, KeyError, TypeError, ValueError):
        return "reading it ended the process, for want of memory or because it is damaged"


# -- in the process of its own ----------------------------------------------------------------------------------------


def _child(source: Path, part: Path) -> int:
    # Imported here: the parent stays light, and nothing may be imported once the limits hold.
    import torch
    from safetensors.torch import save_file

    _limit(source.stat().st_size)
    try:
        weights = _weights(_read(torch, source), torch)
        if not weights:
            raise CheckpointError("it holds no weights")
        save_file(weights, part, metadata={"format": "pt"})
    except Exception as error:
        print(json.dumps({"error": _reason(error)}))
        return 1
    return 0


def _limit(size: int) -> None:
    """What a process can be denied from within: memory, time, large files, other processes, dumps of memory."""
    if sys.platform == "win32":
        return  # has no such limits
    import resource

    wished = {
        resource.RLIMIT_AS: _HEAD + _COPIES * size,
        resource.RLIMIT_CPU: _SECONDS,
        resource.RLIMIT_FSIZE: size + 2**26,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    if hasattr(resource, "RLIMIT_NPROC"):
        wished[resource.RLIMIT_NPROC] = 0
    for limit, most in wished.items():
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


class _Dropped:
    """Stands for what is not weights."""

    def __init__(self, *given: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _read(torch: Any, source: Path) -> Any:
    stubs = [(type("Dropped", (_Dropped,), {}), name) for name in _HARMLESS]
    with torch.serialization.safe_globals(stubs):
        try:
            return torch.load(source, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
        return torch.load(source, map_location="cpu", weights_only=True)  # of before torch 1.6


def _weights(found: Any, torch: Any) -> dict[str, Any]:
    """The tensors of a checkpoint by name; those that share memory are copied, for a safetensors file holds each once."""
    for name in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping):
        return {}
    seen: set[int] = set()
    weights = {}
    for name, tensor in found.items():
        if isinstance(name, str) and isinstance(tensor, torch.Tensor) and not tensor.is_sparse:
            whole = tensor.detach().contiguous()
            shared = whole.untyped_storage().data_ptr()
            weights[name] = whole.clone() if shared in seen or whole.untyped_storage().nbytes() != whole.nbytes else whole
            seen.add(shared)
    return weights


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if type(error).__name__ == "UnpicklingError":
        named = next((line.strip() for line in lines if "GLOBAL" in line or "global" in line), "")
        return f"it holds more than weights, which could run code, and was not opened ({named[:160] or lines[0][:160]})"
    return lines[0][:200]


def main(given: Sequence[str]) -> int:
    if len(given) == 3 and given[0] == "--child":
        return _child(Path(given[1]), Path(given[2]))
    if not given or any(name.startswith("-") for name in given):
        print(f"usage: python -m pipelines.convert FILE...\n{(__doc__ or '').partition(chr(10))[0]}")
        return 0 if given else 2
    failed = 0
    for name in given:
        try:
            print(f"{convert(Path(name))} is written.")
        except StudioError as error:
            failed = 1
            print(error, file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
