"""T5 in a file of its own on the shelf of text encoders, for Stable Diffusion 3 checkpoints that come without it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from .. import headers
from ..errors import CheckpointError
from ..headers import Header
from . import infer, keys, t5
from .family import Parted
from .parts import Part, mapped_part
from .reading import Reading, shapes_of
from .sd3_files import LESS, T5

TOKENIZER = "tokenizer_3"
_FIRST = "encoder.block.0.layer.0.SelfAttention.q.weight"


def lacks(parted: Parted) -> bool:
    """Whether it could do with a T5 that it has not."""
    return parted.family.from_shelf == T5 and T5 not in parted.parts


def completed(parted: Parted, files: Iterable[tuple[str, Path]]) -> Parted:
    """With the one T5 among `files` that is as wide as the checkpoint listens, and has its vocabulary (a folder tokenizer_3) beside it.
    Unchanged, but for its notice, where there is none, or more than one."""
    fitting = list(_fitting(files, int(parted.parts["transformer"].config.get("joint_attention_dim", 0))))
    if not fitting:
        return parted
    if len(fitting) > 1:
        names = ", ".join(name for name, _, _ in fitting[:6])
        return _noticed(parted, f"Several T5 text encoders would fit: {names}; leave one of them in text_encoders/.")
    name, path, part = fitting[0]
    try:
        tokenizer = t5.tokenizer_folder(path.parent, TOKENIZER)
    except CheckpointError as error:
        return _noticed(parted, f"{name} would be its T5 text encoder, but {error}")
    notice = " ".join(filter(None, (f"T5 from {name}.", parted.notice.partition(LESS)[2].strip())))
    return replace(parted, parts={**parted.parts, T5: part}, tokenizers={**parted.tokenizers, T5: tokenizer}, notice=notice)


def _noticed(parted: Parted, more: str) -> Parted:
    return replace(parted, notice=f"{parted.notice} {more}".strip())


def _fitting(files: Iterable[tuple[str, Path]], width: int) -> Iterator[tuple[str, Path, Part]]:
    for name, path in files:
        try:
            part = _part(headers.read(path))
        except CheckpointError:
            continue  # another shelf's file, or a damaged one
        if part is not None and part.config["d_model"] == width and not part.missing:
            yield name, path, part


def _part(header: Header) -> Part | None:
    """None for a file that holds no T5, or one in scaled 8-bit floats. Raises `CheckpointError`."""
    first = next((name for name in header.tensors if name.endswith(_FIRST)), None)
    if first is None or any(name.endswith((".scale_weight", ".weight_scale", "scaled_fp8")) for name in header.tensors):
        return None
    prefix = first.removesuffix(_FIRST)
    with Reading(header.stamp.path.name, "T5 text encoder"):
        config = infer.t5(shapes_of(header, prefix))
        return mapped_part(T5, "T5EncoderModel", config, keys.t5(config), header, prefix)
