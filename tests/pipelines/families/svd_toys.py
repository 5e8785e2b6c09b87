"""A whole Stable Video Diffusion at toy size: real classes, random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, StableVideoDiffusionPipeline, UNetSpatioTemporalConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

FRAMES = 3


def toy_svd(seed: int = 0) -> dict[str, Any]:
    """The arguments of diffusers' StableVideoDiffusionPipeline; the scheduler is configured as that of the published models."""
    torch.manual_seed(seed)
    return {
        "image_encoder": CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=16, intermediate_size=16, projection_dim=16, num_hidden_layers=1, num_attention_heads=2, image_size=224,
                patch_size=56,
            )
        ).eval(),
        "unet": UNetSpatioTemporalConditionModel(
            sample_size=8, block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=16, num_attention_heads=(2, 2),
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            addition_time_embed_dim=8, projection_class_embeddings_input_dim=24, num_frames=FRAMES,
        ).eval(),
        "vae": AutoencoderKLTemporalDecoder(
            block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=1, sample_size=64
        ).eval(),
        "scheduler": EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction", use_karras_sigmas=True,
            sigma_min=0.002, sigma_max=700.0, steps_offset=1, timestep_spacing="leading", timestep_type="continuous",
        ),
        "feature_extractor": CLIPImageProcessorPil(),
    }  # fmt: skip


def save_toy_svd(folder: Path, seed: int = 0) -> Path:
    """A toy checkpoint as a diffusers folder; returns `folder`."""
    StableVideoDiffusionPipeline(**toy_svd(seed)).save_pretrained(folder)
    return folder
