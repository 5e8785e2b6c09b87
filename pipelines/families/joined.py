"""Denoisers in files of their own, made whole with the VAE and the text encoders that lie on the shelves.

The pieces are laid into a header as one whole file of the family would have it; the family reads that, and what it finds is
led back to the files where it lies. So a family needs no more than its row in the table below.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import isclose

from ..errors import CheckpointError
from ..headers import Header, TensorInfo
from . import joined_names
from .family import Family, Parted
from .joined_text import Slot, TextFile
from .parts import Part, Piece
from .reading import FILE_VAE, UNET

_OWN_VAE, _OWN_TEXT = FILE_VAE[0], ("cond_stage_model.", "conditioner.", "text_encoders.")


@dataclass(frozen=True)
class Needs:
    """What a denoiser of a family is completed with. `told` says the text encoders to the user, `scaling_factor` tells VAEs apart
    whose configuration is there, and `mark` in its name one whose is not."""

    slots: tuple[Slot, ...]
    told: str
    scaling_factor: float
    mark: str = ""


_BIG = Slot("text_encoder_2", "open_clip", "conditioner.embedders.1.model.", projected=True, act="gelu")
NEEDS: Mapping[str, Needs] = {
    "sd3": Needs(
        (
            Slot("text_encoder", "clip", "text_encoders.clip_l.transformer.text_model."),
            Slot("text_encoder_2", "clip", "text_encoders.clip_g.transformer.", projected=True, act="gelu"),
        ),
        "its two CLIP text encoders (clip_l and clip_g)",
        1.5305,
        "3",
    ),
    "sdxl_refiner": Needs((replace(_BIG, prefix="conditioner.embedders.0.model."),), "its text encoder (clip_g)", 0.13025, "xl"),
    "sdxl": Needs(
        (Slot("text_encoder", "clip", "conditioner.embedders.0.transformer.text_model."), _BIG),
        "its two text encoders (clip_l and clip_g)",
        0.13025,
        "xl",
    ),
    "sd2": Needs(
        (Slot("text_encoder", "open_clip", "cond_stage_model.model.", act="gelu", most_layers=23),),
        "its text encoder (OpenCLIP ViT-H)",
        0.18215,
    ),
    "sd1": Needs((Slot("text_encoder", "clip", "cond_stage_model.transformer.text_model."),), "its text encoder (clip_l)", 0.18215),
}


@dataclass(frozen=True)
class Shelf:
    """What lies on the shelves: VAEs by name, and files of text encoders."""

    vaes: Sequence[tuple[str, Part]]
    texts: Sequence[TextFile]


def is_partial(header: Header) -> bool:
    """Whether the file holds a denoiser of a known kind and lacks its VAE or all text encoders."""
    return bool(joined_names.denoiser(header)) and not (_has(header, _OWN_VAE) and _has(header, *_OWN_TEXT))


def complete(header: Header, families: Mapping[str, Family], shelf: Shelf) -> Parted:
    """The checkpoint that a partial file makes with what is on the shelf. Raises `CheckpointError`, which says what is missing and
    where to put it."""
    name = header.stamp.path.name
    pieces = {UNET + key: piece for key, piece in joined_names.denoiser(header).items()}
    pieces |= {key: Piece(header.stamp, key, info) for key, info in header.tensors.items() if key.startswith((_OWN_VAE, *_OWN_TEXT))}
    known = joined_names.Denoiser.of({key.removeprefix(UNET): piece.info.shape for key, piece in pieces.items() if key.startswith(UNET)})
    family = families.get(known.family)
    needs = NEEDS.get(known.family)
    if family is None or needs is None:
        raise CheckpointError(f"{name} is a denoiser of no family that is known here.")
    notes, texts, virtual = [], {}, {}
    if not _has(header, *_OWN_TEXT):
        files = _texts(name, known, needs, shelf)
        texts = {slot.component: file.part(slot) for slot, file in zip(needs.slots, files, strict=True)}
        virtual = dict(_entries(needs.slots, files))
        notes.append(f"text from {' and '.join(file.name for file in files)}")
    if not _has(header, _OWN_VAE):
        vae_name, vae = _vae(name, known, needs, shelf)
        pieces |= {f"{_OWN_VAE}{key}": piece for key, piece in vae.pieces.items()}
        notes.append(f"VAE from {vae_name}")
    whole = Header(header.stamp, {**{key: piece.info for key, piece in pieces.items()}, **virtual}, header.metadata)
    parted = family.read_file(whole)
    if parted is None:
        raise CheckpointError(f"{name} is a denoiser of no family that is known here.")
    return _led_back(parted, header, pieces, texts, f"Completed with {', '.join(notes)}.")


def _has(header: Header, *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in header.tensors)


def _entries(slots: Sequence[Slot], files: Sequence[TextFile]) -> Iterator[tuple[str, TensorInfo]]:
    for slot, file in zip(slots, files, strict=True):
        for name, shape in file.as_in_a_whole_file(slot):
            yield slot.prefix + name, TensorInfo("F16", shape, 0, 0)


def _led_back(parted: Parted, header: Header, pieces: Mapping[str, Piece], texts: Mapping[str, Part], notice: str) -> Parted:
    parts = {}
    for component, part in parted.parts.items():
        if component in texts:
            parts[component] = texts[component]
            continue
        found = {
            name: replace(pieces[piece.name], third=piece.third, form=piece.form or pieces[piece.name].form)
            for name, piece in part.pieces.items()
        }
        parts[component] = replace(part, pieces=found)
    mark = parted.v_prediction_mark
    if mark is not None:
        mark = (pieces[mark[0]].name, mark[1]) if mark[0] in pieces else None
    notice = " ".join(filter(None, (parted.notice, notice)))
    return replace(parted, parts=parts, header=header, v_prediction_mark=mark, notice=notice)


def _texts(name: str, known: joined_names.Denoiser, needs: Needs, shelf: Shelf) -> tuple[TextFile, ...]:
    """The one choice of files, one for each slot, that is as wide as the denoiser listens. Raises `CheckpointError`."""
    fitting = [
        files
        for files in permutations(shelf.texts, len(needs.slots))
        if sum(file.listened(slot, known.pooled) for slot, file in zip(needs.slots, files, strict=True)) == known.width
        and all(file.fills(slot) for slot, file in zip(needs.slots, files, strict=True))
        and [file.width for file in files] == sorted(file.width for file in files)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise CheckpointError(f"{name} is a denoiser alone and lacks {needs.told}; put it into text_encoders/ as .safetensors.")
    choices = " or ".join(" with ".join(file.name for file in files) for files in fitting[:4])
    raise CheckpointError(f"{name} lacks {needs.told}, and several fit: {choices}; leave one of them in text_encoders/.")


def _vae(name: str, known: joined_names.Denoiser, needs: Needs, shelf: Shelf) -> tuple[str, Part]:
    """The VAE beside the file, or the one on the shelf that fits. Raises `CheckpointError`."""
    fitting = [(found, part) for found, part in shelf.vaes if _speaks(found, part, known.channels, needs)]
    stem = name.rpartition(".")[0]
    beside = [(found, part) for found, part in fitting if found.rpartition("/")[2].startswith(f"{stem}.vae.")]
    if len(beside or fitting) == 1:
        return (beside or fitting)[0]
    kind = f"a VAE of {known.channels} channels" + (f' with "{needs.mark}" in its name' if needs.mark else "")
    if not fitting:
        raise CheckpointError(f"{name} has no VAE of its own; put {kind} into vae/.")
    names = ", ".join(found for found, _ in fitting[:6])
    raise CheckpointError(
        f"{name} has no VAE of its own, and several fit: {names}; put a copy of the right one beside it as {stem}.vae.safetensors."
    )


def _speaks(name: str, part: Part, channels: int, needs: Needs) -> bool:
    """Whether a VAE's latents are those of the denoiser; those of Stable Diffusion 1 and XL look alike."""
    if part.config.get("latent_channels", 4) != channels:
        return False
    if "scaling_factor" in part.config:
        return isclose(float(part.config["scaling_factor"]), needs.scaling_factor, rel_tol=1e-3)
    others = {other.mark for other in NEEDS.values() if other.mark and other.mark != needs.mark}
    lower = name.lower()
    return channels != 4 or (needs.mark in lower if needs.mark else not any(mark in lower for mark in others - {"3"}))
