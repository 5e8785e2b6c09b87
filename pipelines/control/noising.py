"""A picture at the noise levels of the rows of a question, and what a change of the clean estimate means for the model's output."""

import math

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from ..components import Components
from ..denoise import Predict
from ..errors import InvalidRequest
from ..samplers.model import ModelSigmas


class Levels:
    """The noise levels of a checkpoint whose UNet was trained on diffusion of pictures. Raises `InvalidRequest` for others."""

    def __init__(self, components: Components, what: str) -> None:
        if components.family.noise != "diffusion" or not isinstance(components.denoiser, UNet2DConditionModel):
            told = f"{what} goes with UNets of pictures, and {components.checkpoint!r} is {components.family.title}."
            raise InvalidRequest(told, "modifiers")
        self._sigmas = ModelSigmas.from_config(components.scheduler_config)

    def of(self, asked: Predict) -> Tensor:
        """(b, 1, 1, 1): sigma of each row."""
        levels = [self._sigmas.sigma(min(max(step, 0.0), len(self._sigmas.sigmas) - 1.0)) for step in asked.timestep.tolist()]
        return torch.tensor(levels, device=asked.latents.device).reshape(-1, 1, 1, 1)

    def noised(self, latents: Tensor, noise: Tensor, asked: Predict) -> Tensor:
        """Clean `latents` (1, c, h, w) as the model takes them, one for each row; channels behind the latents' own stay."""
        sigma = self.of(asked)
        rows = (latents + sigma * noise) / (1 + sigma**2).sqrt()
        return torch.cat([rows.to(asked.latents), asked.latents[:, latents.shape[1] :]], dim=1)

    def denoised(self, output: Tensor, asked: Predict) -> Tensor:
        """The clean estimate (b, c, h, w) from the model's output."""
        sigma = self.of(asked)
        x = asked.latents[:, : output.shape[1]]  # scaled to unit variance
        if self._sigmas.prediction_type == "epsilon":
            return x * (1 + sigma**2).sqrt() - sigma * output
        if self._sigmas.prediction_type == "v_prediction":
            return (x - output * sigma) / (1 + sigma**2).sqrt()
        return output

    def moved(self, output: Tensor, by: Tensor, asked: Predict) -> Tensor:
        """The output whose clean estimate is further by `by` (b, c, h, w)."""
        sigma = self.of(asked)
        if self._sigmas.prediction_type == "epsilon":
            return output - by / sigma
        if self._sigmas.prediction_type == "v_prediction":
            return output - by * (1 + sigma**2).sqrt() / sigma
        return output + by


def fixed_noise(picture: str, like: Tensor) -> Tensor:
    """Unit normal noise (1, c, h, w) that follows from a picture's id alone: the same in every step, job and batch."""
    generator = torch.Generator("cpu").manual_seed(int(picture[:15], 16))
    return torch.randn((1, *like.shape[1:]), generator=generator).to(like.device)


def low_pass(latents: Tensor, factor: int) -> Tensor:
    """(b, c, h, w) as a picture `factor` times smaller shows them."""
    if factor <= 1:
        return latents
    size = tuple(max(1, math.ceil(side / factor)) for side in latents.shape[-2:])
    small = torch.nn.functional.adaptive_avg_pool2d(latents, size)
    return torch.nn.functional.interpolate(small, size=latents.shape[-2:], mode="bilinear", align_corners=False)
