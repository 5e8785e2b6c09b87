"""Denoisers in files of their own: found under whatever prefix and in diffusers' names too, and told apart by their shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..headers import Header
from .parts import Piece
from .reading import UNET

_MARKS = ("input_blocks.0.0.weight", "joint_blocks.0.x_block.attn.qkv.weight")
_PREFIXES = (UNET, "")
_OTHERS = ("control_model.", "controlnet_", "input_hint_block", "lora_", "zero_convs", "double_blocks.", "control_add_embedding")
_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTER = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_DIFFUSERS = ("conv_in.weight", "conv_out.weight", "time_embedding.linear_1.weight", "down_blocks.0.resnets.0.conv1.weight")


@dataclass(frozen=True)
class Denoiser:
    """What its shapes tell: the `family` it is of, how many numbers of text it listens to (`pooled`: of the pooled text), and the
    `channels` of the latents it makes."""

    family: str
    width: int
    channels: int
    pooled: bool = False

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> "Denoiser":
        """From original names without prefix; a width of 0 where it does not listen to any text."""
        if _MARKS[1] in shapes:
            pooled = shapes.get("y_embedder.mlp.0.weight", (0, 0))[1]
            return cls("sd3", pooled, shapes.get("x_embedder.proj.weight", (0, 16))[1], pooled=True)
        width = next((shape[1] for name, shape in sorted(shapes.items()) if name.endswith("attn2.to_k.weight")), 0)
        channels = shapes.get("out.2.weight", (4,))[0]
        if "label_emb.0.0.weight" not in shapes:
            return cls("sd2" if width == 1024 else "sd1", width, channels)
        return cls("sdxl_refiner" if width == 1280 else "sdxl", width, channels)


def denoiser(header: Header) -> dict[str, Piece]:
    """The pieces of the denoiser by original names without prefix; nothing where there is none of a known kind."""
    if any(mark in name for name in header.tensors for mark in _OTHERS):
        return {}
    for prefix in _PREFIXES:
        if any(prefix + mark in header.tensors for mark in _MARKS):
            named = {name[len(prefix) :]: name for name in header.tensors if name.startswith(prefix)}
            return {name: Piece(header.stamp, real, header.tensors[real]) for name, real in named.items()}
    if all(name in header.tensors for name in _DIFFUSERS):
        layers = len({name.split(".")[3] for name in header.tensors if name.startswith("down_blocks.0.resnets.")})
        named = {original(name, layers, header.tensors): name for name in header.tensors}
        return {name: Piece(header.stamp, real, header.tensors[real]) for name, real in named.items()}
    return {}


def original(name: str, layers: int, names: Mapping[str, object]) -> str:
    """The original name of a UNet's weight from diffusers', for `layers` resnets in a block on the way down; any other stays as it is."""
    for outer, old in _OUTER.items():
        if name.startswith(f"{outer}."):
            return old + name[len(outer) :]
    found = re.fullmatch(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    if found:
        side, block, kind, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if kind == "downsamplers":
            return f"input_blocks.{(layers + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            attends = any(other.startswith(f"up_blocks.{block}.attentions.") for other in names)
            return f"output_blocks.{(layers + 1) * block + layers}.{2 if attends else 1}.{rest}"
        place = (layers + 1) * block + index + (1 if side == "down_blocks" else 0)
        blocks = "input_blocks" if side == "down_blocks" else "output_blocks"
        return f"{blocks}.{place}.0.{_inner(rest)}" if kind == "resnets" else f"{blocks}.{place}.1.{rest}"
    found = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", name)
    if found:
        return f"middle_block.{2 * int(found[2])}.{_inner(found[3])}" if found[1] == "resnets" else f"middle_block.1.{found[3]}"
    return name


def _inner(rest: str) -> str:
    part, _, end = rest.partition(".")
    return f"{_RESNET.get(part, part)}.{end}"
