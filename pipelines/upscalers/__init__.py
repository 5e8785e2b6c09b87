"""Makes pictures and latents larger: the upscalers built in, and networks from the user's files. Light to import: no torch here."""

from .reading import UpscalerInfo, inspect
from .shelf import UPSCALERS, Upscaler, UpscalerShelf, is_latent
from .sizes import enlarged
from .using import upscale, upscale_latents, upscaling

__all__ = [
    "UPSCALERS", "Upscaler", "UpscalerInfo", "UpscalerShelf", "enlarged", "inspect", "is_latent", "upscale", "upscale_latents", "upscaling",
]  # fmt: skip
