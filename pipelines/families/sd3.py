"""Stable Diffusion 3 and 3.5: a transformer over patches and words, trained by flow matching; two CLIPs, and T5 where it is there."""

from .family import Family

_RGB_FACTORS = (
    (-0.0273, 0.0484, 0.1220), (-0.0146, 0.0206, 0.0569), (0.1330, 0.0330, -0.0034), (0.1123, 0.0589, 0.1058),
    (0.0662, 0.0343, -0.0410), (0.0187, 0.1327, 0.0500), (0.1052, 0.0373, 0.0440), (-0.0519, 0.0671, 0.1025),
    (-0.0915, -0.0615, 0.0051), (-0.0281, 0.0290, 0.0023), (0.0073, 0.0179, 0.0360), (-0.0132, 0.0723, -0.0409),
    (-0.0059, 0.0089, 0.0512), (-0.0451, -0.0327, -0.1089), (-0.0896, -0.0687, -0.0560), (-0.1052, -0.1002, -0.0858),
)  # fmt: skip
"""Least squares over latents of photographs and drawings, against the pictures they came from at an eighth of their size."""

SD3 = Family(
    name="sd3",
    title="Stable Diffusion 3",
    native_size=(1024, 1024),
    pipelines=frozenset({"StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline"}),
    files="pipelines.families.sd3_files",
    from_shelf="text_encoder_3",
    code="pipelines.families.sd3_code",
    text_layer=2,
    latent_rgb_factors=_RGB_FACTORS,
    latent_rgb_bias=(0.0239, 0.0261, 0.0075),
    tiny_decoder_files=("taesd3_decoder.safetensors",),
    denoiser="transformer",
    noise="flow",
    latent_multiple=2,
    recommended={"scheduler": "euler", "schedule": "automatic", "num_inference_steps": 28, "guidance_scale": 4.5},
)
