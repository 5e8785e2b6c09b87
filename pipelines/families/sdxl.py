"""Stable Diffusion XL: a UNet that attends to two text encoders and is told the size of the picture; and its refiner."""

from .family import Family
from .sd_files import CLIP, OPEN_CLIP
from .sdxl_files import XLLayout

_SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "interpolation_type": "linear",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "clip_sample": False,
}

# Least squares over latents of photographs and drawings, against the pictures they came from at an eighth of their size.
_RGB_FACTORS = ((0.3654, 0.4090, 0.4122), (-0.2140, -0.0236, 0.0518), (0.0823, 0.0939, -0.0141), (-0.2712, -0.2116, -0.2069))
_RGB_BIAS = (0.1184, -0.0034, -0.0305)
_FILES, _CODE = "pipelines.families.sdxl_files", "pipelines.families.sdxl_unet"
_TINY_DECODERS = ("taesdxl_decoder.safetensors",)

SDXL = Family(
    name="sdxl",
    title="Stable Diffusion XL",
    native_size=(1024, 1024),
    pipelines=frozenset(
        {
            "StableDiffusionXLPipeline",
            "StableDiffusionXLImg2ImgPipeline",
            "StableDiffusionXLInpaintPipeline",
            "StableDiffusionXLInstructPix2PixPipeline",
        }
    ),
    files=_FILES,
    code=_CODE,
    text_layer=2,
    settings=XLLayout(
        text={
            "text_encoder": (CLIP, "conditioner.embedders.0.transformer.text_model."),
            "text_encoder_2": (OPEN_CLIP, "conditioner.embedders.1.model."),
        },
        scheduler_config=_SCHEDULER,
        pipeline_config={"force_zeros_for_empty_prompt": True},
    ),
    latent_rgb_factors=_RGB_FACTORS,
    latent_rgb_bias=_RGB_BIAS,
    tiny_decoder_files=_TINY_DECODERS,
    recommended={"scheduler": "dpmpp_2m", "schedule": "karras", "num_inference_steps": 30, "guidance_scale": 6.0},
)

SDXL_REFINER = Family(
    name="sdxl_refiner",
    title="Stable Diffusion XL Refiner",
    native_size=(1024, 1024),
    pipelines=frozenset({"StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"}),
    files=_FILES,
    code=_CODE,
    text_layer=2,
    settings=XLLayout(
        text={"text_encoder_2": (OPEN_CLIP, "conditioner.embedders.0.model.")},
        scheduler_config=_SCHEDULER,
        pipeline_config={"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True},
    ),
    latent_rgb_factors=_RGB_FACTORS,
    latent_rgb_bias=_RGB_BIAS,
    tiny_decoder_files=_TINY_DECODERS,
    tasks=("img2img", "inpaint"),
    recommended={"scheduler": "dpmpp_2m", "schedule": "karras", "num_inference_steps": 30, "guidance_scale": 6.0},
)
