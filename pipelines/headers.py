"""The header of a safetensors file, read and checked before anything is mapped into memory."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from .errors import CheckpointError

MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 20_000
MAX_NAME_LENGTH = 500
MAX_DIMENSIONS = 16
MAX_METADATA_BYTES = 2**20

BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
FLOATS = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"})


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: `start` and `end` are byte offsets from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Stamp:
    """What tells one version of a file from the next without reading it."""

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Raises `CheckpointError` when there is no such file."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            raise CheckpointError(f"{path.name} is no longer there or cannot be read.") from None
        return cls(path, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Header:
    stamp: Stamp
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape


def read(path: Path, label: str = "") -> Header:
    """The checked header of a safetensors file: names, dtypes, shapes, offsets that fit the file to the byte.

    Reads at most 16 MB, touches no weight. `label` names the file in errors where its own name says too little.
    Raises `CheckpointError` with one sentence for anything that is wrong.
    """
    label = label or path.name
    stamp = Stamp.of(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise CheckpointError(f"{label} is not a safetensors file or is cut short: its header does not fit into {size:,} bytes.")
            if length > MAX_HEADER_BYTES:
                raise CheckpointError(f"{label} has a header of {length:,} bytes; at most {MAX_HEADER_BYTES:,} are accepted.")
            raw = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{label} cannot be read: {error.strerror or error}.") from None
    entries = _json(raw, label)
    metadata = _metadata(entries.pop("__metadata__", None), label)
    if len(entries) > MAX_TENSORS:
        raise CheckpointError(f"{label} lists {len(entries):,} tensors; at most {MAX_TENSORS:,} are accepted.")
    tensors = {name: _tensor(name, entry, 8 + length, label) for name, entry in entries.items()}
    _check_layout(tensors, 8 + length, size, label)
    return Header(stamp, tensors, metadata)


def _json(raw: bytes, name: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name occurs twice")
        return found

    try:
        entries = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{name} has a garbled header and is not a safetensors file, or is damaged.") from None
    if not isinstance(entries, dict):
        raise CheckpointError(f"{name} has a garbled header and is not a safetensors file, or is damaged.")
    return entries


def _metadata(found: Any, name: str) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise CheckpointError(f"{name} has metadata that is not text.")
    if sum(len(key) + len(value) for key, value in found.items()) > MAX_METADATA_BYTES:
        return {}  # training logs of many megabytes are harmless and of no use here
    return found


def _tensor(name: str, entry: Any, base: int, file: str) -> TensorInfo:
    shown = repr(name[:80])
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise CheckpointError(f"{file} has a tensor with an unusable name: {shown}.")
    if not isinstance(entry, dict):
        raise CheckpointError(f"{file} describes tensor {shown} wrongly.")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise CheckpointError(f"{file} stores tensor {shown} as {str(dtype)[:40]!r}, which is not known here.")
    if not _counts(shape) or len(shape) > MAX_DIMENSIONS or not _counts(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{file} describes the shape or place of tensor {shown} wrongly.")
    start, end = offsets
    if end - start != prod(shape) * BITS[dtype] // 8:
        raise CheckpointError(f"{file} gives tensor {shown} {end - start:,} bytes, which does not fit its shape {shape}.")
    return TensorInfo(dtype, tuple(shape), base + start, base + end)


def _counts(value: Any) -> bool:
    """A list of whole numbers from 0 to 2^63 (booleans are whole numbers in Python, not here)."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _check_layout(tensors: Mapping[str, TensorInfo], base: int, size: int, name: str) -> None:
    """The tensors follow one another without overlap or hole and end where the file ends."""
    position = base
    for key, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != position:
            raise CheckpointError(f"{name} is damaged: tensor {key[:80]!r} does not begin where the one before ends.")
        position = tensor.end
    if position > size:
        raise CheckpointError(f"{name} is cut short: {size:,} of {position:,} bytes are there.")
    if position < size:
        raise CheckpointError(f"{name} is damaged: {size - position:,} bytes follow after its last tensor.")
