"""A whole Stable Cascade at toy size: real classes, random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMWuerstchenScheduler, StableCascadeDecoderPipeline, StableCascadePriorPipeline, StableCascadeUNet
from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel
from transformers import CLIPTextModelWithProjection

from pipelines.components import Components
from pipelines.families import FAMILIES, cascade_modules
from tests.pipelines.families.sd3_toys import toy_clip
from tests.toys import toy_tokenizer

CASCADE = FAMILIES["cascade"]
WIDTH = 16  # of the text encoder
RES, TIME, ATTENTION = "SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"


def toy_prior() -> StableCascadeUNet:
    return randomised(
        StableCascadeUNet(
            in_channels=16, out_channels=16, timestep_ratio_embedding_dim=16, patch_size=1, conditioning_dim=64,
            block_out_channels=(64, 64), num_attention_heads=(1, 1), down_num_layers_per_block=(1, 2), up_num_layers_per_block=(2, 1),
            down_blocks_repeat_mappers=(1, 1), up_blocks_repeat_mappers=(1, 1), block_types_per_layer=((RES, TIME, ATTENTION),) * 2,
            clip_text_in_channels=WIDTH, clip_text_pooled_in_channels=WIDTH, clip_image_in_channels=12, clip_seq=2,
            switch_level=(False,), timestep_conditioning_type=("sca", "crp"),
        )
    )  # fmt: skip


def toy_decoder() -> StableCascadeUNet:
    return randomised(
        StableCascadeUNet(
            in_channels=4, out_channels=4, timestep_ratio_embedding_dim=16, patch_size=2, conditioning_dim=64,
            block_out_channels=(8, 64), num_attention_heads=(0, 1), down_num_layers_per_block=(1, 1), up_num_layers_per_block=(1, 1),
            down_blocks_repeat_mappers=(1, 1), up_blocks_repeat_mappers=(2, 1),
            block_types_per_layer=((RES, TIME), (RES, TIME, ATTENTION)), clip_text_pooled_in_channels=WIDTH, clip_seq=2,
            effnet_in_channels=16, pixel_mapper_in_channels=3, timestep_conditioning_type=("sca",),
        )
    )  # fmt: skip


def toy_vqgan() -> PaellaVQModel:
    return randomised(PaellaVQModel(bottleneck_blocks=2, embed_dim=8, num_vq_embeddings=16))


def randomised(module: Any) -> Any:
    """Some layers begin as zeros, and would hide what they are told."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "gamma" in name or not weight.any():
                weight.normal_(std=0.2)
    return module.eval()


def toy_text_encoder(vocabulary: int) -> CLIPTextModelWithProjection:
    return toy_clip(vocabulary, WIDTH, WIDTH, hidden_act="gelu")


def toy_parts(folder: Path, seed: int = 0) -> dict[str, Any]:
    """By diffusers' names, of both pipelines; `folder` is where the tokenizer's files are written."""
    tokenizer = toy_tokenizer(folder / "tokenizer")
    torch.manual_seed(seed)
    return {
        "tokenizer": tokenizer,
        "text_encoder": toy_text_encoder(len(tokenizer)),
        "prior": toy_prior(),
        "decoder": toy_decoder(),
        "vqgan": toy_vqgan(),
        "scheduler": DDPMWuerstchenScheduler(),
    }


def pipelines(parts: Mapping[str, Any]) -> tuple[StableCascadePriorPipeline, StableCascadeDecoderPipeline]:
    shared = {name: parts[name] for name in ("tokenizer", "text_encoder", "scheduler")}
    made = (
        StableCascadePriorPipeline(prior=parts["prior"], **shared),
        StableCascadeDecoderPipeline(decoder=parts["decoder"], vqgan=parts["vqgan"], **shared),
    )
    for pipeline in made:
        pipeline.set_progress_bar_config(disable=True)
    return made


def components(parts: Mapping[str, Any], folder: Path) -> Components:
    """The same as the engine gets them; `folder` is where `toy_parts` wrote the tokenizer."""
    vae = cascade_modules.vae({**parts["vqgan"].config, "block_out_channels": (3, 4, 8)})
    vae.load_state_dict({name: tensor for name, tensor in parts["vqgan"].state_dict().items() if name in vae.state_dict()})
    text_encoder = parts["text_encoder"]
    text_encoder.config.use_attention_mask = True
    return Components(
        checkpoint="toy",
        vae_name="automatic",
        family=CASCADE,
        modules={"prior": parts["prior"], "decoder": parts["decoder"], "vae": vae.eval(), "text_encoder": text_encoder},
        tokenizers={"text_encoder": CASCADE.load_tokenizer("text_encoder", folder / "tokenizer")},
        scheduler_config={"_class_name": "DDPMWuerstchenScheduler", **parts["scheduler"].config},
        device=torch.device("cpu"),
        dtype=torch.float32,
        latent_rgb_factors=CASCADE.latent_rgb_factors,
        latent_rgb_bias=CASCADE.latent_rgb_bias,
    )


def save_halves(folder: Path, parts: Mapping[str, Any]) -> None:
    """Both halves as diffusers folders, named as on the hub."""
    prior, decoder = pipelines(parts)
    prior.save_pretrained(folder / "stable-cascade-prior")
    decoder.save_pretrained(folder / "stable-cascade")
