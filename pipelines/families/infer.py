"""Configurations read off the shapes of the weights: a single file carries no configuration of its own.

Shapes are given by name, without prefix. Each function raises `KeyError` or `IndexError` when a weight it reads from is
missing; `parts` turns that into a sentence.
"""

from collections.abc import Mapping
from itertools import count, takewhile
from math import gcd
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]


def _groups(*widths: int) -> int:
    """Stable Diffusion normalises in 32 groups; models narrower than that (tests, toys) in as many as divide them."""
    common = gcd(*widths)
    return max(groups for groups in range(1, 33) if common % groups == 0)


def _indices(shapes: Shapes, pattern: str) -> list[int]:
    return list(takewhile(lambda index: pattern.format(index) in shapes, count()))


def unet(shapes: Shapes, heads: int | None, head_width: int | None) -> dict[str, Any]:
    """From original names. Shapes do not tell the number of attention heads: a family has a number of them, or a width of each."""
    widths, layers, depths = [], [0], [0]
    for place in count(1):
        block = f"input_blocks.{place}"
        if f"{block}.0.op.weight" in shapes:
            layers.append(0)
            depths.append(0)
        elif f"{block}.0.in_layers.0.weight" in shapes:
            layers[-1] += 1
            depths[-1] = len(_indices(shapes, block + ".1.transformer_blocks.{}.norm1.weight"))
            widths[len(layers) - 1 :] = [shapes[f"{block}.0.out_layers.3.weight"][0]]
        else:
            break
    mid = "middle_block.1"
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    mid_depth = len(_indices(shapes, mid + ".transformer_blocks.{}.norm1.weight"))
    return {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": layers[0],
        "down_block_types": down,
        "up_block_types": [kind.replace("Down", "Up") for kind in reversed(down)],
        "transformer_layers_per_block": [*(depth or mid_depth for depth in depths[:-1]), mid_depth],
        "cross_attention_dim": shapes[f"{mid}.transformer_blocks.0.attn2.to_k.weight"][1],
        "use_linear_projection": len(shapes[f"{mid}.proj_in.weight"]) == 2,
        "attention_head_dim": heads if heads else [max(1, width // (head_width or width)) for width in widths],
        "norm_num_groups": _groups(*widths),
    }


def vae(shapes: Shapes) -> dict[str, Any]:
    """From original names."""
    return _vae(shapes, "encoder.down.{}.block.0.conv2.weight", "encoder.down.0.block.{}.conv2.weight", "encoder.mid.attn_1.q.weight")


def diffusers_vae(shapes: Shapes) -> dict[str, Any]:
    """From diffusers' names, current or deprecated."""
    block = "encoder.down_blocks.{}.resnets.0.conv2.weight"
    return _vae(shapes, block, "encoder.down_blocks.0.resnets.{}.conv2.weight", "encoder.mid_block.attentions.0.group_norm.weight")


def _vae(shapes: Shapes, level: str, layer: str, attention: str) -> dict[str, Any]:
    widths = [shapes[level.format(index)][0] for index in _indices(shapes, level)]
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": len(_indices(shapes, layer)),
        "norm_num_groups": _groups(*widths),
        "mid_block_add_attention": attention in shapes,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }


def tiny_decoder(shapes: Shapes) -> dict[str, Any]:
    """From TAESD's names, which count the layers: a convolution, then runs of blocks that each end in a convolution."""
    places = sorted({int(name.split(".")[0]) for name in shapes})
    stages = "".join("b" if f"{place}.conv.0.weight" in shapes else "c" for place in places).removeprefix("c").split("c")[:-1]
    width, channels = shapes[f"{places[0]}.weight"][:2]
    return {
        "latent_channels": channels,
        "out_channels": shapes[f"{places[-1]}.weight"][0],
        "decoder_block_out_channels": [width] * len(stages),
        "num_decoder_blocks": [len(stage) for stage in stages],
    }


def clip(shapes: Shapes) -> dict[str, Any]:
    """From transformers' names."""
    layers = len(_indices(shapes, "encoder.layers.{}.layer_norm1.weight"))
    return _clip(shapes["embeddings.token_embedding.weight"], shapes["embeddings.position_embedding.weight"]) | {
        "num_hidden_layers": layers,
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "hidden_act": "quick_gelu",
    }


def open_clip(shapes: Shapes, most_layers: int) -> dict[str, Any]:
    """From OpenCLIP's names. Stable Diffusion 2 leaves the 24th layer unused, so it is not loaded."""
    layers = len(_indices(shapes, "transformer.resblocks.{}.ln_1.weight"))
    return _clip(shapes["token_embedding.weight"], shapes["positional_embedding"]) | {
        "num_hidden_layers": min(layers, most_layers),
        "intermediate_size": shapes["transformer.resblocks.0.mlp.c_fc.weight"][0],
        "hidden_act": "gelu",
    }


def _clip(tokens: tuple[int, ...], positions: tuple[int, ...]) -> dict[str, Any]:
    vocabulary, width = tokens
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_attention_heads": max(1, width // 64),
        "max_position_embeddings": positions[0],
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def t5(shapes: Shapes) -> dict[str, Any]:
    """From transformers' names."""
    buckets, heads = shapes["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    dense = "encoder.block.0.layer.1.DenseReluDense"
    gated = f"{dense}.wi_0.weight" in shapes
    vocabulary, width = shapes["shared.weight" if "shared.weight" in shapes else "encoder.embed_tokens.weight"]
    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": shapes["encoder.block.0.layer.0.SelfAttention.q.weight"][0] // heads,
        "d_ff": shapes[f"{dense}.{'wi_0' if gated else 'wi'}.weight"][0],
        "num_layers": len(_indices(shapes, "encoder.block.{}.layer.0.SelfAttention.q.weight")),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
    }
