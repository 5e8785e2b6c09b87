"""Latents made larger between two passes: as latents, or by way of a picture and an upscaler."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .components import Components
from .decode import decode
from .encode import encoded_picture
from .plan import Enlarge
from .upscalers.shelf import is_latent
from .upscalers.using import upscale, upscale_latents

if TYPE_CHECKING:
    from .catalog import Catalog


def enlarge(latents: Tensor, stage: Enlarge, components: Components, catalog: "Catalog") -> Tensor:
    """Latents (1, c, h, w) for `stage.width` × `stage.height` pixels. Raises `UnknownName`, `OutOfMemory`, `BadNumbers`."""
    scale = components.vae_scale_factor
    if is_latent(stage.upscaler):
        return upscale_latents(latents, (stage.height // scale, stage.width // scale), stage.upscaler)
    picture = upscale(decode(latents, components), stage.upscaler, (stage.width, stage.height), components.device, catalog)
    with torch.no_grad():
        return encoded_picture(picture, components)
