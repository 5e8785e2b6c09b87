"""The names of every weight of a UNet, a VAE and a text encoder, in diffusers' layout and in Stable Diffusion's original one.

Each function takes a configuration (diffusers' keys) and gives pairs (diffusers name, original name) without prefix, from
the configuration alone: the catalog learns what is missing, the loader where to find what it needs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Pair = tuple[str, str]

_UNET_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_VAE_RESNET = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2", "conv_shortcut": "nin_shortcut"}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def _both(name: str, original: str) -> Iterator[Pair]:
    yield f"{name}.weight", f"{original}.weight"
    yield f"{name}.bias", f"{original}.bias"


def _resnet(name: str, original: str, inner: Mapping[str, str], shortcut: bool) -> Iterator[Pair]:
    for part, old in inner.items():
        if shortcut or part != "conv_shortcut":
            yield from _both(f"{name}.{part}", f"{original}.{old}")


def _transformer(name: str, original: str, depth: int) -> Iterator[Pair]:
    for part in ("norm", "proj_in", "proj_out"):
        yield from _both(f"{name}.{part}", f"{original}.{part}")
    for block in (f"transformer_blocks.{index}" for index in range(depth)):
        for part in ("norm1", "norm2", "norm3", "attn1.to_out.0", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2"):
            yield from _both(f"{name}.{block}.{part}", f"{original}.{block}.{part}")
        for part in (f"{attention}.to_{which}.weight" for attention in ("attn1", "attn2") for which in "qkv"):
            yield f"{name}.{block}.{part}", f"{original}.{block}.{part}"


def per_level(value: Any, levels: int) -> list[Any]:
    """diffusers writes one number for all levels, or one for each."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * levels


def unet(config: Mapping[str, Any]) -> Iterator[Pair]:
    """A UNet2DConditionModel of plain and cross-attention blocks."""
    widths = list(config["block_out_channels"])
    layers = per_level(config.get("layers_per_block", 2), len(widths))
    depths = per_level(config.get("transformer_layers_per_block", 1), len(widths))
    attends = [kind.startswith("CrossAttn") for kind in config["down_block_types"]]
    for name, original in (
        ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
        ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
    ):  # fmt: skip
        yield from _both(name, original)
    if config.get("addition_embed_type") == "text_time":
        for name, original in (("add_embedding.linear_1", "label_emb.0.0"), ("add_embedding.linear_2", "label_emb.0.2")):
            yield from _both(name, original)
    yield from _unet_down(widths, layers, depths, attends)
    for index in (0, 1):
        yield from _resnet(f"mid_block.resnets.{index}", f"middle_block.{2 * index}", _UNET_RESNET, shortcut=False)
    yield from _transformer("mid_block.attentions.0", "middle_block.1", depths[-1])
    yield from _unet_up(widths[::-1], layers[::-1], depths[::-1], [kind.startswith("CrossAttn") for kind in config["up_block_types"]])


def _unet_down(widths: list[int], layers: list[int], depths: list[int], attends: list[bool]) -> Iterator[Pair]:
    place, width_in = 1, widths[0]
    for level, width in enumerate(widths):
        block = f"down_blocks.{level}"
        for layer in range(layers[level]):
            yield from _resnet(f"{block}.resnets.{layer}", f"input_blocks.{place}.0", _UNET_RESNET, width_in != width)
            if attends[level]:
                yield from _transformer(f"{block}.attentions.{layer}", f"input_blocks.{place}.1", depths[level])
            place, width_in = place + 1, width
        if level < len(widths) - 1:
            yield from _both(f"{block}.downsamplers.0.conv", f"input_blocks.{place}.0.op")
            place += 1


def _unet_up(widths: list[int], layers: list[int], depths: list[int], attends: list[bool]) -> Iterator[Pair]:
    """All lists run from the deepest level up; each resnet also takes what the way down left at its place."""
    place, previous = 0, widths[0]
    for level, width in enumerate(widths):
        block, below = f"up_blocks.{level}", widths[min(level + 1, len(widths) - 1)]
        for layer in range(layers[level] + 1):
            skip = below if layer == layers[level] else width
            width_in = (previous if layer == 0 else width) + skip
            yield from _resnet(f"{block}.resnets.{layer}", f"output_blocks.{place}.0", _UNET_RESNET, width_in != width)
            if attends[level]:
                yield from _transformer(f"{block}.attentions.{layer}", f"output_blocks.{place}.1", depths[level])
            place += 1
        if level < len(widths) - 1:
            yield from _both(f"{block}.upsamplers.0.conv", f"output_blocks.{place - 1}.{2 if attends[level] else 1}.conv")
        previous = width


def vae(config: Mapping[str, Any]) -> Iterator[Pair]:
    """An AutoencoderKL of plain blocks."""
    widths = list(config["block_out_channels"])
    layers = int(config.get("layers_per_block", 1))
    attends = config.get("mid_block_add_attention", True)
    if config.get("use_quant_conv", True):
        yield from _both("quant_conv", "quant_conv")
    if config.get("use_post_quant_conv", True):
        yield from _both("post_quant_conv", "post_quant_conv")
    for half in ("encoder", "decoder"):
        for name, original in (("conv_in", "conv_in"), ("conv_norm_out", "norm_out"), ("conv_out", "conv_out")):
            yield from _both(f"{half}.{name}", f"{half}.{original}")
        for index in (0, 1):
            yield from _resnet(f"{half}.mid_block.resnets.{index}", f"{half}.mid.block_{index + 1}", _VAE_RESNET, shortcut=False)
        for name, original in _VAE_ATTENTION.items() if attends else ():
            yield from _both(f"{half}.mid_block.attentions.0.{name}", f"{half}.mid.attn_1.{original}")
    yield from _vae_levels("encoder.down_blocks", "encoder.down", "downsamplers.0.conv", "downsample.conv", widths, layers)
    yield from _vae_levels("decoder.up_blocks", "decoder.up", "upsamplers.0.conv", "upsample.conv", widths[::-1], layers + 1)


def _vae_levels(name: str, original: str, resize: str, old_resize: str, widths: list[int], layers: int) -> Iterator[Pair]:
    """The original counts the decoder's levels from the picture down, diffusers from the latents up."""
    last, width_in = len(widths) - 1, widths[0]
    for level, width in enumerate(widths):
        old = last - level if "decoder" in original else level
        for layer in range(layers):
            yield from _resnet(f"{name}.{level}.resnets.{layer}", f"{original}.{old}.block.{layer}", _VAE_RESNET, width_in != width)
            width_in = width
        if level < last:
            yield from _both(f"{name}.{level}.{resize}", f"{original}.{old}.{old_resize}")


_CLIP_LAYER = ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2", "self_attn.out_proj")
_OPEN_CLIP_LAYER = ("ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj", "attn.out_proj")


def clip(config: Mapping[str, Any]) -> Iterator[Pair]:
    """A CLIPTextModel; the original layout has transformers' own names."""
    names: Iterable[str] = ("embeddings.token_embedding.weight", "embeddings.position_embedding.weight")
    yield from ((name, name) for name in names)
    for layer in (f"encoder.layers.{index}" for index in range(int(config["num_hidden_layers"]))):
        for part in (*_CLIP_LAYER, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
            yield from _both(f"{layer}.{part}", f"{layer}.{part}")
    yield from _both("final_layer_norm", "final_layer_norm")


def open_clip(config: Mapping[str, Any]) -> Iterator[Pair]:
    """The same CLIPTextModel from OpenCLIP's layout; `name:i` is the i-th third of a tensor that holds query, key and value."""
    yield "embeddings.token_embedding.weight", "token_embedding.weight"
    yield "embeddings.position_embedding.weight", "positional_embedding"
    for index in range(int(config["num_hidden_layers"])):
        layer, original = f"encoder.layers.{index}", f"transformer.resblocks.{index}"
        for part, old in zip(_CLIP_LAYER, _OPEN_CLIP_LAYER, strict=True):
            yield from _both(f"{layer}.{part}", f"{original}.{old}")
        for third, which in enumerate("qkv"):
            yield f"{layer}.self_attn.{which}_proj.weight", f"{original}.attn.in_proj_weight:{third}"
            yield f"{layer}.self_attn.{which}_proj.bias", f"{original}.attn.in_proj_bias:{third}"
    yield from _both("final_layer_norm", "ln_final")


def clip_with_projection(config: Mapping[str, Any]) -> Iterator[Pair]:
    """A CLIPTextModelWithProjection in transformers' own names."""
    yield from ((f"text_model.{name}", f"text_model.{original}") for name, original in clip(config))
    yield "text_projection.weight", "text_projection.weight"


def open_clip_with_projection(config: Mapping[str, Any]) -> Iterator[Pair]:
    """The same CLIPTextModelWithProjection from OpenCLIP's layout, which multiplies by its projection from the other side."""
    yield from ((f"text_model.{name}", original) for name, original in open_clip(config))
    yield "text_projection.weight", "text_projection:transposed"


def t5(config: Mapping[str, Any]) -> Iterator[Pair]:
    """A T5EncoderModel in transformers' own names; its embedding has two, of which files may leave out either."""
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated-")
    inner = ("wi_0", "wi_1", "wo") if gated else ("wi", "wo")
    names = ["shared.weight", "encoder.embed_tokens.weight"]
    for block in range(int(config["num_layers"])):
        layer = f"encoder.block.{block}.layer"
        names += [f"{layer}.0.SelfAttention.{which}.weight" for which in "qkvo"]
        names += [f"{layer}.0.SelfAttention.relative_attention_bias.weight"] if block == 0 else []
        names += [f"{layer}.{place}.layer_norm.weight" for place in (0, 1)]
        names += [f"{layer}.1.DenseReluDense.{which}.weight" for which in inner]
    yield from ((name, name) for name in (*names, "encoder.final_layer_norm.weight"))
