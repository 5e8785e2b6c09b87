"""The parts of a checkpoint on disk: which class each is, its configuration, and where each of its weights lies.

The catalog asks for parts to say what is broken; the loader builds modules from the same parts. Nothing here reads a weight.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from .. import headers
from ..errors import CheckpointError
from ..headers import Header, Stamp, TensorInfo
from . import keys, sd3_keys

_CONFIG_BYTES = 2**22


@dataclass(frozen=True)
class Architecture:
    """A class that can be loaded. `names` gives its weights' names where the configuration is of the plain kind."""

    make: str  # "module:callable" that makes the module from a configuration
    weights: str  # the stem of its file of weights in a folder
    names: Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]] | None = None
    plain: Callable[[Mapping[str, Any]], bool] = lambda config: True
    tied: Mapping[str, str] = field(default_factory=dict)  # weights that are another one again, and that files may leave out


_UNUSUAL = (
    "class_embed_type", "encoder_hid_dim", "num_class_embeds", "dual_cross_attention", "time_cond_proj_dim",
    "reverse_transformer_layers_per_block",
)  # fmt: skip


def _plain_unet(config: Mapping[str, Any]) -> bool:
    blocks = {*config["down_block_types"], *config["up_block_types"]}
    return (
        blocks <= {"DownBlock2D", "UpBlock2D", "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"}
        and config.get("mid_block_type", "UNetMidBlock2DCrossAttn") == "UNetMidBlock2DCrossAttn"
        and config.get("time_embedding_type", "positional") == "positional"
        and config.get("addition_embed_type") in (None, "text_time")
        and not any(config.get(key) for key in _UNUSUAL)
    )


def _plain_vae(config: Mapping[str, Any]) -> bool:
    return {*config["down_block_types"], *config["up_block_types"]} <= {"DownEncoderBlock2D", "UpDecoderBlock2D"}


ARCHITECTURES: Mapping[str, Architecture] = {
    "UNet2DConditionModel": Architecture("diffusers:UNet2DConditionModel.from_config", "diffusion_pytorch_model", keys.unet, _plain_unet),
    "AutoencoderKL": Architecture("diffusers:AutoencoderKL.from_config", "diffusion_pytorch_model", keys.vae, _plain_vae),
    "AutoencoderTiny": Architecture("pipelines.loading:tiny_decoder", "diffusion_pytorch_model"),
    "CLIPTextModel": Architecture("pipelines.loading:clip_text_model", "model", keys.clip),
    "CLIPTextModelWithProjection": Architecture("pipelines.loading:clip_text_model_with_projection", "model", keys.clip_with_projection),
    "CLIPVisionModelWithProjection": Architecture("pipelines.loading:clip_vision_model_with_projection", "model"),
    "T5EncoderModel": Architecture("pipelines.loading:t5_encoder", "model", keys.t5, tied={"encoder.embed_tokens.weight": "shared.weight"}),
    "SD3Transformer2DModel": Architecture("pipelines.loading:sd3_transformer", "diffusion_pytorch_model", sd3_keys.transformer),
    "PaellaVQModel": Architecture("pipelines.families.cascade_modules:vae", "diffusion_pytorch_model"),
    "StableCascadeUNet": Architecture("pipelines.families.cascade_modules:unet", "diffusion_pytorch_model"),
}


def architecture_of(name: str) -> Architecture:
    """A class by its name: one of the table, else a model of diffusers, whose folder needs no more than its own configuration.

    Only names that a family allows get here.
    """
    return ARCHITECTURES.get(name) or Architecture(f"diffusers:{name}.from_config", "diffusion_pytorch_model")


@dataclass(frozen=True)
class Piece:
    """One weight in a file: all of tensor `name`, or its `third`-th third along the first axis; `form` says what else is done
    to it ("swap": its halves along the first axis change places; "transposed": its two axes do)."""

    stamp: Stamp
    name: str
    info: TensorInfo
    third: int | None = None
    form: str = ""

    @property
    def span(self) -> tuple[int, int]:
        """Where its bytes begin and end in the file."""
        if self.third is None:
            return self.info.start, self.info.end
        length = (self.info.end - self.info.start) // 3
        return self.info.start + self.third * length, self.info.start + (self.third + 1) * length


@dataclass(frozen=True)
class Part:
    """One component: its class, configuration, and a piece for each of its weights by diffusers' name.

    `missing` names weights that a plain configuration calls for and the file has not.
    """

    component: str
    architecture: str
    config: Mapping[str, Any]
    pieces: Mapping[str, Piece]
    missing: tuple[str, ...] = ()

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        return tuple({piece.stamp: None for piece in self.pieces.values()})

    @property
    def elements(self) -> int:
        """How many numbers its weights are."""
        pieces = set(self.pieces.values())  # a tied weight is there once
        return sum((end - start) * 8 // headers.BITS[piece.info.dtype] for piece in pieces for start, end in (piece.span,))

    @property
    def dtypes(self) -> set[str]:
        return {piece.info.dtype for piece in self.pieces.values()}

    def with_config(self, **changes: Any) -> "Part":
        return replace(self, config={**self.config, **changes})


def label(path: Path) -> str:
    """A name for a file inside a checkpoint: "my-model/unet/config.json"."""
    return "/".join(path.parts[-3:])


def _component(folder: Path) -> str:
    return "/".join(folder.parts[-2:])


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object from a file that nobody vouches for. Raises `CheckpointError`."""
    where = label(path)
    try:
        if path.stat().st_size > _CONFIG_BYTES:
            raise CheckpointError(f"{where} is larger than {_CONFIG_BYTES:,} bytes, which is no configuration.")
        found = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{where} is missing.") from None
    except OSError as error:
        raise CheckpointError(f"{where} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{where} is not valid JSON.") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{where} is not a JSON object.")
    return found


def expected(name: str, config: Mapping[str, Any], where: str) -> list[tuple[str, str]]:
    """(diffusers name, original name) of each weight, or nothing where the configuration is not plain.

    Raises `CheckpointError`, which says `where`.
    """
    kind = architecture_of(name)
    try:
        if kind.names is None or not kind.plain(config):
            return []
        pairs = list(islice(kind.names(config), headers.MAX_TENSORS + 1))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{where} has an incomplete or damaged configuration.") from None
    if len(pairs) > headers.MAX_TENSORS:
        raise CheckpointError(f"{where} has a configuration of more than {headers.MAX_TENSORS:,} weights.")
    return pairs


def folder_part(folder: Path, component: str, architectures: Iterable[str]) -> Part:
    """A component in diffusers' layout: config.json and safetensors, whole or in shards. Raises `CheckpointError`."""
    config = read_json(folder / "config.json")
    allowed = tuple(architectures)
    named = config.get("_class_name") or next(iter(config.get("architectures") or ()), None) or allowed[0]
    if named not in allowed:
        raise CheckpointError(f"{_component(folder)} is a {str(named)[:60]}, where {' or '.join(allowed)} is needed.")
    pieces = {
        modern_name(name, named): Piece(header.stamp, name, info)
        for header in weight_files(folder, architecture_of(named).weights)
        for name, info in header.tensors.items()
    }
    pieces |= _tied(named, pieces)
    missing = tuple(name for name, _ in expected(named, config, _component(folder)) if name not in pieces)
    return Part(component, named, config, pieces, missing)


def _tied(architecture_name: str, pieces: Mapping[str, Piece]) -> dict[str, Piece]:
    """Pieces for the tied weights that the files name once."""
    found = {}
    for name, other in architecture_of(architecture_name).tied.items():
        for missing, there in ((name, other), (other, name)):
            if missing not in pieces and there in pieces:
                found[missing] = pieces[there]
    return found


def modern_name(name: str, architecture_name: str = "") -> str:
    """Today's name of a weight: older transformers wrote a prefix, older diffusers other names in the VAE's attention."""
    if architecture_name != "CLIPTextModelWithProjection":  # which still has the prefix
        name = name.removeprefix("text_model.")
    if ".attentions." in name and "transformer_blocks" not in name:
        for old, new in ((".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")):
            name = name.replace(old, new)
    return name


def weight_files(folder: Path, stem: str) -> Iterator[Header]:
    """The headers of a component's safetensors: the plain file, its shards, or else a variant such as fp16."""
    found = (folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json")
    variants = (*sorted(folder.glob(f"{stem}.*.safetensors")), *sorted(folder.glob(f"{stem}.safetensors.index.*.json")))
    for path in (*found, *sorted(variants, key=lambda path: "fp16" not in path.name)):
        if path.is_file() and "-of-" not in path.name:
            break
    else:
        pickled = any(folder.glob("*.bin"))
        raise CheckpointError(
            f"{_component(folder)} has its weights as .bin only, which can run code when opened; safetensors are needed."
            if pickled
            else f"{_component(folder)} has no weights ({stem}.safetensors)."
        )
    if path.suffix == ".safetensors":
        yield headers.read(path, label(path))
        return
    listed = read_json(path).get("weight_map")
    shards = sorted(set(map(str, listed.values()))) if isinstance(listed, dict) else []
    if not shards or any(Path(shard).name != shard or not shard.endswith(".safetensors") for shard in shards):
        raise CheckpointError(f"{label(path)} does not name its shards as plain files.")
    yield from (headers.read(folder / shard, label(folder / shard)) for shard in shards)


def mapped_part(
    component: str, architecture: str, config: Mapping[str, Any], pairs: Iterable[tuple[str, str]], header: Header, prefix: str
) -> Part:
    """A component inside a single file: `pairs` lead from diffusers' names to the file's, which begin with `prefix`; after a
    colon a pair says which third of the tensor is meant, or the form it is brought into (see `Piece`)."""
    pieces, absent = {}, {}
    for name, original in pairs:
        original, _, form = original.partition(":")
        info = header.tensors.get(prefix + original)
        if info is None:
            absent[name] = prefix + original
        else:
            third = int(form) if form.isdigit() else None
            pieces[name] = Piece(header.stamp, prefix + original, info, third, "" if form.isdigit() else form)
    pieces |= _tied(architecture, pieces)
    return Part(component, architecture, config, pieces, tuple(original for name, original in absent.items() if name not in pieces))
