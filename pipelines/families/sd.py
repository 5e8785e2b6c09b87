"""Stable Diffusion 1 and 2: a UNet that attends to the hidden states of one CLIP text encoder."""

from .family import Family
from .sd_files import FileLayout

_SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
    "prediction_type": "epsilon",
}
_PIPELINES = frozenset(
    {
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionInpaintPipeline",
        "StableDiffusionInstructPix2PixPipeline",
        "LatentConsistencyModelPipeline",
    }
)

# Least squares over latents of photographs and drawings, against the pictures they came from at an eighth of their size.
_RGB_FACTORS = ((0.2971, 0.2369, 0.2113), (0.1645, 0.2550, 0.1502), (-0.1317, 0.1560, 0.2119), (-0.1971, -0.2711, -0.4869))
_RGB_BIAS = (-0.0506, -0.1148, -0.1294)
_FILES, _CODE = "pipelines.families.sd_files", "pipelines.families.clip_unet"
_TINY_DECODERS = ("taesd_decoder.safetensors",)

SD2 = Family(
    name="sd2",
    title="Stable Diffusion 2",
    native_size=(768, 768),
    pipelines=_PIPELINES,
    files=_FILES,
    code=_CODE,
    settings=FileLayout(
        text="open_clip",
        text_width=1024,
        text_prefixes=("cond_stage_model.model.",),
        unet_head_width=64,
        most_text_layers=23,
        pad_token="!",
        scheduler_config=_SCHEDULER,
        v_prediction_mark=("model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias", 0.09),
    ),
    latent_rgb_factors=_RGB_FACTORS,
    latent_rgb_bias=_RGB_BIAS,
    tiny_decoder_files=_TINY_DECODERS,
    recommended={"scheduler": "dpmpp_2m", "schedule": "karras", "num_inference_steps": 25, "guidance_scale": 7.0},
)

SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1",
    native_size=(512, 512),
    pipelines=_PIPELINES,
    files=_FILES,
    code=_CODE,
    settings=FileLayout(
        text="clip",
        text_prefixes=("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
        unet_heads=8,
        scheduler_config=_SCHEDULER,
    ),
    latent_rgb_factors=_RGB_FACTORS,
    latent_rgb_bias=_RGB_BIAS,
    tiny_decoder_files=_TINY_DECODERS,
    recommended={"scheduler": "dpmpp_2m", "schedule": "karras", "num_inference_steps": 25, "guidance_scale": 7.0},
)
