"""Stable Video Diffusion: a UNet with a time axis that makes a clip from the picture it begins with.

Paper: Stable Video Diffusion: Scaling Latent Video Diffusion Models to Large Datasets (Blattmann et al. 2023), arXiv 2311.15127.
"""

from .family import Family
from .sd import SD1

SVD = Family(
    name="svd",
    title="Stable Video Diffusion",
    native_size=(1024, 576),
    pipelines=frozenset({"StableVideoDiffusionPipeline"}),
    files="pipelines.families.svd_files",
    code="pipelines.families.svd_code",
    # frame by frame its latents are those of Stable Diffusion 1 and 2
    latent_rgb_factors=SD1.latent_rgb_factors,
    latent_rgb_bias=SD1.latent_rgb_bias,
    tiny_decoder_files=SD1.tiny_decoder_files,
    tasks=("img2vid",),
    recommended={
        "scheduler": "euler",
        "num_inference_steps": 25,
        "fps": 7,
        "motion_bucket_id": 127,
        "noise_aug_strength": 0.02,
        "min_guidance_scale": 1.0,
        "max_guidance_scale": 3.0,
    },
)
