"""The code of Stable Video Diffusion: what the denoiser is told of the picture that a clip begins with, and how it is called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from ..components import Components, Conditioning
from ..plan import EncodePrompt, OpenClip
from ..prompts.tree import Part
from .family import Family

SIDE = 224  # pixels of a picture that CLIP sees
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of its training's colours


def encode(components: Components, prompts: Sequence[Part], stage: EncodePrompt) -> Conditioning:
    """See `Family.encode`: there are no words to be told."""
    raise NotImplementedError(f"{components.family.title} is told no prompts")


def align(conditionings: Sequence[Conditioning]) -> list[Conditioning]:
    """See `Family.align`."""
    return list(conditionings)


def encode_opening(components: Components, picture: Image.Image, stage: OpenClip) -> Conditioning:
    """See `Family.encode_opening`: "encoder_hidden_states" (rows, 1, width) and "added_time_ids" (rows, 3). The negative row
    sees nothing. The model was trained on a frame rate one lower than is said."""
    encoder = components.modules["image_encoder"]
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0).permute(2, 0, 1)[None]
    seen = (resized(pixels * 2.0 - 1.0, SIDE) + 1.0) / 2.0
    normed = (seen - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)
    embedding = encoder(normed.to(components.device, next(encoder.parameters()).dtype)).image_embeds[:, None]
    ids = torch.tensor([[stage.fps - 1, stage.motion_bucket_id, stage.noise_aug_strength]], dtype=embedding.dtype, device=embedding.device)
    if not stage.guided:
        return {"encoder_hidden_states": embedding, "added_time_ids": ids}
    return {"encoder_hidden_states": torch.cat([torch.zeros_like(embedding), embedding]), "added_time_ids": ids.repeat(2, 1)}


def predict(denoiser: torch.nn.Module, latents: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
    """See `Family.predict`; `latents` are (b, frames, c, h, w), and each frame has the picture's "image_latents" (b, 1, c, h, w)
    behind its own channels."""
    dtype = next(denoiser.parameters()).dtype
    first = conditioning["image_latents"].expand(-1, latents.shape[1], -1, -1, -1)
    output = denoiser(
        torch.cat([latents.to(dtype), first.to(dtype)], dim=2),
        timesteps,
        encoder_hidden_states=conditioning["encoder_hidden_states"].to(dtype),
        added_time_ids=conditioning["added_time_ids"].to(dtype),
        return_dict=False,
    )[0]
    return output.to(latents.dtype)


def load_tokenizer(family: Family, component: str, folder: Path | None) -> Any:
    """See `Family.load_tokenizer`."""
    raise NotImplementedError(f"{family.title} has no tokenizer")


# -- resizing as in training -----------------------------------------------------------------------------------------------


def resized(pixels: Tensor, side: int) -> Tensor:
    """(1, 3, h, w) brought to side × side: blurred by half of what it shrinks, then bicubic with the corners kept."""
    blurred = pixels
    for axis in (3, 2):
        deviation = max((pixels.shape[axis] / side - 1.0) / 2.0, 0.001)
        blurred = _blurred(blurred, axis, int(max(2.0 * 2 * deviation, 3)) | 1, deviation)
    return interpolate(blurred, size=(side, side), mode="bicubic", align_corners=True)


def _blurred(pixels: Tensor, axis: int, length: int, deviation: float) -> Tensor:
    """A Gaussian of `length` taps along one axis (2 or 3), mirrored at the edges."""
    places = torch.arange(length, dtype=pixels.dtype) - length // 2
    weights = torch.exp(-places.pow(2.0) / (2 * torch.tensor(deviation, dtype=pixels.dtype).pow(2.0)))
    weights = weights / weights.sum()
    channels, half = pixels.shape[1], length // 2
    along = (1, length) if axis == 3 else (length, 1)
    edges = (half, half, 0, 0) if axis == 3 else (0, 0, half, half)
    kernel = weights.view(1, 1, *along).expand(channels, 1, *along)
    return conv2d(pad(pixels, edges, mode="reflect"), kernel, groups=channels)
