"""Names and shapes of Stable Cascade's stages as they were published, and what they tell of a configuration.

What shapes do not tell is as in all that were published: heads 64 wide, no change of size within the prior, latents that attend to
each other.
"""

from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from typing import Any

from .infer import Shapes

VAE_MARK = "vquantizer.codebook.weight"
HEAD = 64
_KINDS = {
    "channelwise.0.weight": "SDCascadeResBlock",
    "mapper.weight": "SDCascadeTimestepBlock",
    "kv_mapper.1.weight": "SDCascadeAttnBlock",
}
_ATTENTION = {"attn.in_proj_weight": "weight", "attn.in_proj_bias": "bias"}


def stage_of(shapes: Shapes) -> str | None:
    """Which denoiser they are: "prior" (stage C), "decoder" (stage B), or None."""
    if "clf.1.weight" not in shapes or "embedding.1.weight" not in shapes:
        return None
    if "clip_txt_mapper.weight" in shapes:
        return "prior"
    return "decoder" if "effnet_mapper.0.weight" in shapes else None


def unet(shapes: Shapes) -> Iterator[tuple[str, str]]:
    """(diffusers name, the file's) of each weight; see `mapped_part`. Files in diffusers' names come through as they are."""
    for name in shapes:
        fused = next((end for end in _ATTENTION if name.endswith(end)), None)
        if fused:
            stem = name.removesuffix(fused)
            yield from ((f"{stem}to_{letter}.{_ATTENTION[fused]}", f"{name}:{third}") for third, letter in enumerate("qkv"))
        else:
            yield name.replace("attn.out_proj.", "to_out.0.").replace("clip_mapper.", "clip_txt_pooled_mapper."), name


def infer(shapes: Shapes) -> dict[str, Any]:
    """A StableCascadeUNet's configuration. Raises `KeyError` when a weight it reads from is missing."""
    down, up = _blocks(shapes, "down"), _blocks(shapes, "up")
    widths = [shapes[f"down_blocks.{level}.0.depthwise.weight"][0] for level in range(len(down))]
    heads = [width // HEAD if "SDCascadeAttnBlock" in kinds else 0 for width, (kinds, _) in zip(widths, down, strict=True)]
    patch = round((shapes["clf.1.weight"][0] / (16 if stage_of(shapes) == "prior" else 4)) ** 0.5)
    attention = next(name for name in shapes if name.endswith("kv_mapper.1.weight"))
    pooled = "clip_mapper.weight" if "clip_mapper.weight" in shapes else "clip_txt_pooled_mapper.weight"
    conds = [name for name in ("sca", "crp") if f"down_blocks.0.1.mapper_{name}.weight" in shapes]
    return {
        "in_channels": shapes["embedding.1.weight"][1] // patch**2,
        "out_channels": shapes["clf.1.weight"][0] // patch**2,
        "timestep_ratio_embedding_dim": shapes["down_blocks.0.1.mapper.weight"][1],
        "patch_size": patch,
        "conditioning_dim": shapes[attention][1],
        "block_out_channels": widths,
        "num_attention_heads": heads,
        "down_num_layers_per_block": [layers for _, layers in down],
        "up_num_layers_per_block": [layers for _, layers in up],
        "down_blocks_repeat_mappers": _repeats(shapes, "down", len(down)),
        "up_blocks_repeat_mappers": _repeats(shapes, "up", len(up)),
        "block_types_per_layer": [kinds for kinds, _ in down],
        "clip_text_in_channels": _inputs(shapes, "clip_txt_mapper.weight"),
        "clip_text_pooled_in_channels": shapes[pooled][1],
        "clip_image_in_channels": _inputs(shapes, "clip_img_mapper.weight"),
        "clip_seq": shapes[pooled][0] // shapes[attention][1],
        "effnet_in_channels": _inputs(shapes, "effnet_mapper.0.weight"),
        "pixel_mapper_in_channels": _inputs(shapes, "pixels_mapper.0.weight"),
        "kernel_size": shapes["down_blocks.0.0.depthwise.weight"][-1],
        "dropout": 0.0,
        "timestep_conditioning_type": conds,
        "switch_level": [False] * (len(down) - 1) if "down_downscalers.1.1.blocks.0.weight" in shapes else None,
    }


def _inputs(shapes: Shapes, name: str) -> int | None:
    return shapes[name][1] if name in shapes else None


def _blocks(shapes: Shapes, way: str) -> list[tuple[list[str], int]]:
    """(kinds of block in one layer, how many layers) of each level."""
    found = []
    for level in takewhile(lambda level: f"{way}_blocks.{level}.0.channelwise.0.weight" in shapes, count()):
        kinds: list[str] = []
        while kind := next((kind for mark, kind in _KINDS.items() if f"{way}_blocks.{level}.{len(kinds)}.{mark}" in shapes), None):
            kinds.append(kind)
        layers = kinds.count(kinds[0])
        found.append((kinds[: len(kinds) // layers], layers))
    return found


def _repeats(shapes: Shapes, way: str, levels: int) -> list[int]:
    stems = (f"{way}_repeat_mappers.{level}." for level in range(levels))
    return [1 + sum(name.startswith(stem) and name.endswith(".weight") for name in shapes) for stem in stems]


def vae(shapes: Shapes) -> Iterator[tuple[str, str]]:
    """(diffusers name, the file's) of each weight that is used: latents are not brought to the codebook."""
    yield from ((name, name) for name in shapes if name.startswith(("in_block.", "out_block.", "down_blocks.", "up_blocks.")))


def infer_vae(shapes: Shapes) -> Mapping[str, Any]:
    """A PaellaVQModel's configuration. Raises `KeyError`."""
    width = shapes["up_blocks.0.0.weight"][0]
    smallest = shapes["in_block.1.weight"][0]
    blocks = sum(
        name.startswith("up_blocks.") and name.endswith("channelwise.2.weight") and shape[0] == width for name, shape in shapes.items()
    )
    return {
        "embed_dim": width,
        "levels": (width // smallest).bit_length(),
        "bottleneck_blocks": blocks,
        "latent_channels": shapes["up_blocks.0.0.weight"][1],
        "num_vq_embeddings": shapes[VAE_MARK][0],
    }
