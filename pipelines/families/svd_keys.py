"""The names of Stable Video Diffusion's weights, in diffusers' layout and in the one in which it was published.

They are those of an image model (see `keys`), with a part for the time axis beside each layer and a number that mixes both.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from . import keys
from .keys import Pair

_BLOCK = re.compile(r"(?:(?:in|out)put_blocks\.\d+\.\d+|middle_block\.\d+)(?=\.)")
_FEED_FORWARD_IN = ("norm_in", "ff_in.net.0.proj", "ff_in.net.2")
_TEMPORAL_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3"}
_LAYER = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def _both(name: str, original: str) -> Iterator[Pair]:
    yield f"{name}.weight", f"{original}.weight"
    yield f"{name}.bias", f"{original}.bias"


def unet(config: Mapping[str, Any]) -> Iterator[Pair]:
    """A UNetSpatioTemporalConditionModel."""
    blocks = {each: [kind.replace("SpatioTemporal", "2D") for kind in config[each]] for each in ("down_block_types", "up_block_types")}
    mixed: set[str] = set()
    for name, original in keys.unet({**config, **blocks}):
        name, kind, rest = _cut(name)
        if not kind:
            yield name, original
            continue
        place = _BLOCK.match(original)
        assert place is not None
        beside = original[place.end() + 1 :]
        yield f"{name}.spatial_res_block.{rest}" if kind == "resnets" else f"{name}.{rest}", original
        if kind == "resnets" and not rest.startswith("conv_shortcut"):
            yield f"{name}.temporal_res_block.{rest}", f"{place.group()}.time_stack.{beside}"
        if rest.startswith("transformer_blocks."):
            yield f"{name}.temporal_{rest}", f"{place.group()}.time_stack.{beside.removeprefix('transformer_blocks.')}"
        if name not in mixed:
            mixed.add(name)
            yield from _mixed(name, place.group(), kind, config)
    for index, place in ((1, 0), (2, 2)):
        yield from _both(f"add_embedding.linear_{index}", f"label_emb.0.{place}")


def _cut(name: str) -> tuple[str, str, str]:
    """(layer, "resnets" or "attentions", the rest) of a weight's name; (name, "", "") outside of both."""
    found = re.match(r"(.*\.(resnets|attentions)\.\d+)\.(.*)", name)
    return (found[1], found[2], found[3]) if found else (name, "", "")


def _mixed(name: str, original: str, kind: str, config: Mapping[str, Any]) -> Iterator[Pair]:
    """What a layer has once: the number that mixes space and time, and what its temporal blocks have besides."""
    yield f"{name}.time_mixer.mix_factor", f"{original}.time_mixer.mix_factor"
    if kind == "resnets":
        return
    for index, place in ((1, 0), (2, 2)):
        yield from _both(f"{name}.time_pos_embed.linear_{index}", f"{original}.time_pos_embed.{place}")
    depths = keys.per_level(config.get("transformer_layers_per_block", 1), len(config["block_out_channels"]))
    for block in range(max(depths)):
        for part in _FEED_FORWARD_IN:
            yield from _both(f"{name}.temporal_transformer_blocks.{block}.{part}", f"{original}.time_stack.{block}.{part}")


def vae(config: Mapping[str, Any], encoder: str, decoder: str) -> Iterator[Pair]:
    """An AutoencoderKLTemporalDecoder; its halves lie in two places of the file, which the prefixes name."""
    for name, original in keys.vae({**config, "use_post_quant_conv": False}):
        resnet, kind, rest = _cut(name)
        if not name.startswith("decoder."):
            yield name, encoder + original
        elif kind != "resnets":
            yield name, decoder + original
        else:
            yield f"{resnet}.spatial_res_block.{rest}", decoder + original
            if rest == "norm1.weight":  # once
                yield from _temporal(resnet, decoder + original.removesuffix(".norm1.weight"))
    yield from _both("decoder.time_conv_out", f"{decoder}decoder.conv_out.time_mix_conv")


def _temporal(resnet: str, original: str) -> Iterator[Pair]:
    yield f"{resnet}.time_mixer.mix_factor", f"{original}.mix_factor"
    for part, old in _TEMPORAL_RESNET.items():
        yield from _both(f"{resnet}.temporal_res_block.{part}", f"{original}.time_stack.{old}")


def vision(config: Mapping[str, Any]) -> Iterator[Pair]:
    """A CLIPVisionModelWithProjection from OpenCLIP's layout; see `keys.open_clip`."""
    model = "vision_model"
    yield f"{model}.embeddings.class_embedding", "class_embedding"
    yield f"{model}.embeddings.patch_embedding.weight", "conv1.weight"
    yield f"{model}.embeddings.position_embedding.weight", "positional_embedding"
    yield from _both(f"{model}.pre_layrnorm", "ln_pre")
    yield from _both(f"{model}.post_layernorm", "ln_post")
    for index in range(int(config["num_hidden_layers"])):
        layer, original = f"{model}.encoder.layers.{index}", f"transformer.resblocks.{index}"
        for part, old in _LAYER.items():
            yield from _both(f"{layer}.{part}", f"{original}.{old}")
        for third, which in enumerate("qkv"):
            yield f"{layer}.self_attn.{which}_proj.weight", f"{original}.attn.in_proj_weight:{third}"
            yield f"{layer}.self_attn.{which}_proj.bias", f"{original}.attn.in_proj_bias:{third}"
    yield "visual_projection.weight", "proj:transposed"
