"""Textual inversions: vectors that stand in a prompt where the embeddings of a word would (https://arxiv.org/abs/2208.01618)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import headers
from ..errors import CheckpointError, printable
from ..headers import FLOATS, Header, Stamp
from ..shelves import PICKLES

if TYPE_CHECKING:
    from torch import Tensor

SINGLE = ""
"""The kind of vectors that the file gives no encoder for: they are for the one encoder of a model that has only one."""

_ENCODERS: Mapping[str, tuple[str, ...]] = {
    "text_encoder": ("clip_l", SINGLE),
    "text_encoder_2": ("clip_g", SINGLE),
    "text_encoder_3": ("t5xxl",),
}
_MOST_VECTORS = 75  # what fits into one chunk of a prompt
_FAMILIES = {
    frozenset({("clip_l", 768), ("clip_g", 1280)}): "sdxl",
    frozenset({(SINGLE, 768)}): "sd1",
    frozenset({(SINGLE, 1024)}): "sd2",
    frozenset({(SINGLE, 1280)}): "sdxl_refiner",
    frozenset({("clip_g", 1280)}): "sdxl_refiner",
}


@dataclass(frozen=True)
class EmbeddingInfo:
    """`name` is what a prompt says; `widths` the width of the vectors by kind of encoder ("clip_l", "clip_g", "t5xxl" or
    `SINGLE`). `broken` says in one sentence why it cannot be used, or is None."""

    path: Path
    name: str
    vectors: int = 0
    widths: Mapping[str, int] = field(default_factory=dict)
    family: str | None = None
    broken: str | None = None


def inspect(path: Path) -> EmbeddingInfo:
    """Reads the header only; never raises."""
    name = printable(path.stem)
    try:
        _, kinds = _read(path)
    except CheckpointError as error:
        return EmbeddingInfo(path, name, broken=str(error))
    widths = {kind: shape[-1] for kind, (_, shape) in kinds.items()}
    vectors = max(_count(shape) for _, shape in kinds.values())
    return EmbeddingInfo(path, name, vectors, widths, _FAMILIES.get(frozenset(widths.items())))


def load(path: Path) -> dict[str, "Tensor"]:
    """The vectors for each kind of encoder, (n, width) float32 on the CPU. Raises `CheckpointError`."""
    import torch  # the page lists embeddings too and must stay light
    from safetensors import SafetensorError, safe_open

    header, kinds = _read(path)
    if Stamp.of(path) != header.stamp:  # a file cut short after mapping would end the process
        raise CheckpointError(f"{path.name} has changed while it was being read; try again.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            read = {kind: file.get_tensor(tensor).to(torch.float32, copy=True) for kind, (tensor, _) in kinds.items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} cannot be read: {str(error).splitlines()[0][:200].rstrip('.')}.") from None
    for kind, vectors in read.items():
        if not torch.isfinite(vectors).all():
            raise CheckpointError(f"{path.name} is damaged: its {kind or 'text encoder'} vectors are not finite.")
    return {kind: vectors.reshape(-1, vectors.shape[-1]) for kind, vectors in read.items()}


def for_encoder(embedding: Mapping[str, "Tensor"], text_encoder: str, width: int) -> "Tensor | None":
    """The vectors (n, width) of a loaded embedding for the encoder of this component name ("text_encoder", "text_encoder_2",
    ...) and width, or None where it has none: its name is then a word like any other."""
    kinds = _ENCODERS.get(text_encoder, ())
    return next((embedding[kind] for kind in kinds if kind in embedding and embedding[kind].shape[-1] == width), None)


def suits(info: EmbeddingInfo, text_encoder: str, width: int) -> bool:
    """Whether it has vectors for the encoder of this component name and width."""
    return any(info.widths.get(kind) == width for kind in _ENCODERS.get(text_encoder, ()))


def _read(path: Path) -> tuple[Header, dict[str, tuple[str, tuple[int, ...]]]]:
    """The header, and for each kind of encoder the name and shape of its tensor. Raises `CheckpointError`."""
    name = printable(path.name)
    if path.suffix.lower() in (*PICKLES, ".bin"):
        raise CheckpointError(f"{name} is a pickle, which can run code when opened; convert it to .safetensors.")
    header = headers.read(path)
    kinds = {kind: (tensor, header.shape(tensor)) for kind, tensor in _kinds(header)}
    if not kinds:
        raise CheckpointError(f"{name} is no textual inversion: {len(header.tensors):,} tensors are there, and not one of vectors alone.")
    for tensor, shape in kinds.values():
        if not 1 <= len(shape) <= 2 or 0 in shape or header.tensors[tensor].dtype not in FLOATS:
            raise CheckpointError(f"{name} is no textual inversion: {tensor[:80]!r} of shape {shape} is no list of vectors.")
        if _count(shape) > _MOST_VECTORS:
            raise CheckpointError(f"{name} has {_count(shape):,} vectors; at most {_MOST_VECTORS} fit into a prompt.")
    return header, kinds


def _kinds(header: Header) -> Iterator[tuple[str, str]]:
    """(kind, tensor): SDXL's `clip_l` and `clip_g`, A1111's `emb_params`, or the one tensor that diffusers names by its token."""
    several = [(kind, kind) for kind in ("clip_l", "clip_g", "t5xxl") if kind in header.tensors]
    if several:
        yield from several
    elif "emb_params" in header.tensors:
        yield SINGLE, "emb_params"
    elif len(header.tensors) == 1:
        yield SINGLE, next(iter(header.tensors))


def _count(shape: tuple[int, ...]) -> int:
    return shape[0] if len(shape) == 2 else 1
