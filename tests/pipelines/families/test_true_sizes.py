"""Stable Diffusion 1.5 and XL at true size, with weights of zeros that take no memory: recognised, loaded, one step taken."""

import json
import struct
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.catalog import Catalog
from pipelines.families import FAMILIES, keys, reading
from pipelines.manager import PipelineManager
from tests.pipelines.engines import Engine, latents, request, run
from tests.pipelines.test_oracle import ALL

VAE = {
    "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4, "latent_channels": 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4, "layers_per_block": 2,
}  # fmt: skip
UNET15 = {
    "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "attention_head_dim": 8, "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}  # fmt: skip
UNETXL = {
    "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "layers_per_block": 2,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "use_linear_projection": True,
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "transformer_layers_per_block": [1, 2, 10],
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
CLIP_L = {"vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_G = {
    "vocab_size": 49408, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "projection_dim": 1280,
}  # fmt: skip


def layout(xl: bool) -> Iterable[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every weight of the single file."""
    with torch.device("meta"):
        made = [
            (UNet2DConditionModel.from_config(UNETXL if xl else UNET15), UNETXL if xl else UNET15, keys.unet, "model.diffusion_model."),
            (AutoencoderKL.from_config(VAE), VAE, keys.vae, "first_stage_model."),
            (
                CLIPTextModel(CLIPTextConfig(**CLIP_L)), CLIP_L, keys.clip,
                f"{'conditioner.embedders.0' if xl else 'cond_stage_model'}.transformer.text_model.",
            ),
        ]  # fmt: skip
        if xl:
            second = CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G))
            made.append((second, CLIP_G, keys.open_clip_with_projection, "conditioner.embedders.1.model."))
    for module, config, names, prefix in made:
        state = module.state_dict()
        for name, original in names(config):
            original, _, form = original.partition(":")
            shape = tuple(state[name].shape)
            if form.isdigit():
                shape = (3 * shape[0], *shape[1:])
            yield prefix + original, shape


def write(path: Path, xl: bool) -> None:
    """The file without its weights: a hole of bfloat16 zeros, which takes no place on the disk or in memory."""
    header, end = {}, 0
    for name, shape in dict(layout(xl)).items():
        size = 2 * int(torch.Size(shape).numel())
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "gigabytes"), [("sd1", 2.13), ("sdxl", 6.94)])
def test_they_load_and_take_a_step(tmp_path: Path, family: str, gigabytes: float) -> None:
    shelf = tmp_path / "checkpoints"
    shelf.mkdir()
    path = shelf / "model.safetensors"
    write(path, family == "sdxl")
    assert path.stat().st_size / 1e9 == pytest.approx(gigabytes, abs=0.01)
    began = time.perf_counter()
    assert reading.checkpoint(path, FAMILIES).family.name == family
    seconds = time.perf_counter() - began
    # as the file has it, so that the zeros stay mapped; small, since this is a CPU
    manager = PipelineManager(Catalog([tmp_path]), dtype=torch.bfloat16)
    asked = request(checkpoint="model.safetensors", scheduler="euler", num_inference_steps=1, guidance_scale=1.0)
    made = latents(run(Engine(manager, ALL, {}, {}.__getitem__, previews=False), asked))[0]
    assert made.shape == (1, 4, 8, 8) and torch.isfinite(made).all()
    print(f"{family}: recognised in {seconds * 1000:.0f} ms, loaded and stepped in {time.perf_counter() - began:.1f} s")
