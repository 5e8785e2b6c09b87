"""Stable Cascade: a prior lays the picture out in 24 × 24 latents of 16 channels, and a decoder, told those, makes the latents that a
VQGAN turns into pixels.

Paper: Würstchen (Pernias et al. 2023), https://arxiv.org/abs/2306.00637
"""

from dataclasses import dataclass

from .family import Family, Looks


@dataclass(frozen=True)
class CascadeSettings:
    """`prior` are the pixels along one side of a latent of the prior; the decoder takes `decoder_steps` without guidance."""

    prior: float = 42.67
    decoder_steps: int = 10


_PRIOR_RGB = (
    (-0.0326, -0.0204, -0.0127), (-0.1592, -0.0427, 0.0216), (0.0873, 0.0638, -0.0020), (-0.0602, 0.0442, 0.1304),
    (0.0800, -0.0313, -0.1796), (-0.0810, -0.0638, -0.1581), (0.1791, 0.1180, 0.0967), (0.0740, 0.1416, 0.0432),
    (-0.1745, -0.1888, -0.1373), (0.2412, 0.1577, 0.0928), (0.1908, 0.0998, 0.0682), (0.0209, 0.0365, -0.0092),
    (0.0448, -0.0650, -0.1728), (-0.1658, -0.1045, -0.1308), (0.0542, 0.1545, 0.1325), (-0.0352, -0.1672, -0.2541),
)  # fmt: skip
"""Published with ComfyUI's latent formats (SC_Prior), as those of the decoder below (SC_B)."""

CASCADE = Family(
    name="cascade",
    title="Stable Cascade",
    native_size=(1024, 1024),
    pipelines=frozenset({"StableCascadeCombinedPipeline", "StableCascadePriorPipeline", "StableCascadeDecoderPipeline"}),
    files="pipelines.families.cascade_files",
    code="pipelines.families.cascade_code",
    latent_rgb_factors=((0.1121, 0.2006, 0.1023), (-0.2093, -0.0222, -0.0195), (-0.3087, -0.1535, 0.0366), (0.0290, -0.1574, -0.4078)),
    latent_rgb_bias=(0.0, 0.0, 0.0),
    looks={16: Looks(_PRIOR_RGB, scale=CascadeSettings.prior)},
    settings=CascadeSettings(),
    denoiser="decoder",
    more_denoisers=("prior",),
    patch=2,
    noise="cosine",
    latent_multiple=2,
    tasks=("txt2img",),
    pieces={
        "prior": "the prior (stage C)",
        "decoder": "the decoder (stage B)",
        "vae": "the VQGAN (stage A)",
        "text_encoder": "the text encoder (CLIP bigG)",
    },
    recommended={"scheduler": "wuerstchen", "schedule": "automatic", "num_inference_steps": 20, "guidance_scale": 4.0},
)
