"""The transformer of Stable Diffusion 3 and 3.5: its configuration from shapes, and every weight's name in both layouts."""

from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from math import isqrt
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
Pair = tuple[str, str]

MARK = "joint_blocks.0.x_block.attn.qkv.weight"
HEAD_WIDTH = 64
"""Of every Stable Diffusion 3; shapes do not tell it where queries are not normalised."""

_OUTER = {
    "pos_embed.proj": "x_embedder.proj", "context_embedder": "context_embedder", "proj_out": "final_layer.linear",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0", "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
}  # fmt: skip
_PICTURE = {
    "norm1.linear": "adaLN_modulation.1", "attn.to_out.0": "attn.proj", "ff.net.0.proj": "mlp.fc1", "ff.net.2": "mlp.fc2",
}  # fmt: skip
_TEXT = {
    "norm1_context.linear": "adaLN_modulation.1", "attn.to_add_out": "attn.proj",
    "ff_context.net.0.proj": "mlp.fc1", "ff_context.net.2": "mlp.fc2",
}  # fmt: skip


def infer(shapes: Shapes) -> dict[str, Any]:
    """From original names without prefix. Raises `KeyError` for a missing weight."""
    layers = len(list(takewhile(lambda index: f"joint_blocks.{index}.x_block.attn.qkv.weight" in shapes, count())))
    width, channels, patch, _ = shapes["x_embedder.proj.weight"]
    normalised = "joint_blocks.0.x_block.attn.ln_q.weight"
    head = shapes[normalised][0] if normalised in shapes else min(HEAD_WIDTH, width)
    return {
        "sample_size": 128,
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": shapes["final_layer.linear.weight"][0] // patch**2,
        "num_layers": layers,
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "caption_projection_dim": shapes["context_embedder.weight"][0],
        "pooled_projection_dim": shapes["y_embedder.mlp.0.weight"][1],
        "pos_embed_max_size": isqrt(shapes["pos_embed"][1]),
        "dual_attention_layers": [index for index in range(layers) if f"joint_blocks.{index}.x_block.attn2.qkv.weight" in shapes],
        "qk_norm": "rms_norm" if normalised in shapes else None,
    }


def transformer(config: Mapping[str, Any]) -> Iterator[Pair]:
    """(diffusers name, original name) of each weight of an SD3Transformer2DModel.

    `name:i` is the i-th third of a tensor that holds query, key and value. The original's last modulations say shift before
    scale, diffusers' scale before shift: `name:swap`.
    """
    yield "pos_embed.pos_embed", "pos_embed"
    for name, original in _OUTER.items():
        yield from _both(name, original)
    yield from _both("norm_out.linear", "final_layer.adaLN_modulation.1", "swap")
    layers = int(config["num_layers"])
    for index in range(layers):
        dual = index in (config.get("dual_attention_layers") or ())
        yield from _block(f"transformer_blocks.{index}", f"joint_blocks.{index}", dual, bool(config.get("qk_norm")), index == layers - 1)


def _block(name: str, original: str, dual: bool, normalised: bool, last: bool) -> Iterator[Pair]:
    """The last block leaves the text as it is and only looks at it."""
    picture, text = f"{original}.x_block", f"{original}.context_block"
    for part, old in _PICTURE.items():
        yield from _both(f"{name}.{part}", f"{picture}.{old}")
    for part, old in _TEXT.items() if not last else ():
        yield from _both(f"{name}.{part}", f"{text}.{old}")
    if last:
        yield from _both(f"{name}.norm1_context.linear", f"{text}.adaLN_modulation.1", "swap")
    for third, which in enumerate("qkv"):
        yield from _both(f"{name}.attn.to_{which}", f"{picture}.attn.qkv", str(third))
        yield from _both(f"{name}.attn.add_{which}_proj", f"{text}.attn.qkv", str(third))
        if dual:
            yield from _both(f"{name}.attn2.to_{which}", f"{picture}.attn2.qkv", str(third))
    if dual:
        yield from _both(f"{name}.attn2.to_out.0", f"{picture}.attn2.proj")
    for which in "qk" if normalised else "":
        yield f"{name}.attn.norm_{which}.weight", f"{picture}.attn.ln_{which}.weight"
        yield f"{name}.attn.norm_added_{which}.weight", f"{text}.attn.ln_{which}.weight"
        if dual:
            yield f"{name}.attn2.norm_{which}.weight", f"{picture}.attn2.ln_{which}.weight"


def _both(name: str, original: str, form: str = "") -> Iterator[Pair]:
    suffix = f":{form}" if form else ""
    yield f"{name}.weight", f"{original}.weight{suffix}"
    yield f"{name}.bias", f"{original}.bias{suffix}"
