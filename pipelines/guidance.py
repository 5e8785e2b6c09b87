"""How the answers of one step become one output: guidance, and its variants as values with their arithmetic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Clean = Callable[[Tensor], Tensor]
"""The clean estimate that an output (1, c, h, w) stands for in this step: a number times the output, plus what is the same for all."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Outputs (1, c, h, w) of one step, float32; `negative` is None where it was not asked for, `blind` (told the negative, and no
    picture to edit) and `perturbed` (told the first positive) where there is no such row."""

    positives: tuple[Tensor, ...]
    weights: tuple[float, ...]
    scale: float | Tensor
    timestep: Tensor
    clean: Clean
    negative: Tensor | None = None
    blind: Tensor | None = None
    image_scale: float = 1.0
    perturbed: Tensor | None = None

    def guided(self, scale: float | Tensor) -> Tensor:
        """In diffusers' arithmetic; several positives each pull with their own weight. Without a negative they pull away from the
        first of them, as in A1111.

        Papers: Composable Diffusion Models (Liu et al. 2022) for several positives, InstructPix2Pix (Brooks et al. 2023) for `blind`.
        """
        if self.negative is None:
            first, *others = self.positives
            return first if not others else first + _pull(1.0, first, self.positives, self.weights)
        pull = _pull(scale, self.negative, self.positives, self.weights)
        if self.blind is None:
            return self.negative + pull
        return self.blind + pull + self.image_scale * (self.negative - self.blind)


def _pull(scale: float | Tensor, negative: Tensor, positives: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if tuple(weights) == (1.0,):
        return scale * (positives[0] - negative)
    return torch.stack([scale * weight * (one - negative) for weight, one in zip(weights, positives, strict=True)]).sum(dim=0)


@dataclass(frozen=True)
class Variant:
    """One change to guidance. Of several, each is given what the one before made of the answers."""

    def guides(self, share: float) -> bool:
        """Whether the negative is asked for when the share `share` of the steps, from 0 to below 1, is done."""
        return True

    @property
    def perturbs(self) -> bool:
        """Whether it asks for a row with perturbed attention."""
        return False

    def changed(self, guided: Tensor, answers: Answers) -> Tensor:
        """Another output (1, c, h, w) from the guided one."""
        return guided


@dataclass(frozen=True)
class Interval(Variant):
    """Guidance only behind the share `begin` of the steps and before the share `end`; elsewhere the prompt is predicted alone.

    Paper: Applying Guidance in a Limited Interval Improves Sample and Distribution Quality (Kynkäänniemi et al. 2024), arXiv
    2404.07724. The beginning is A1111's "ignore negative prompt during early sampling": the step at that very share still has none.
    """

    begin: float = 0.0
    end: float = 1.0

    def guides(self, share: float) -> bool:
        return (self.begin == 0 or share > self.begin) and share < self.end


@dataclass(frozen=True)
class Rescale(Variant):
    """Brings the guided output's deviation the share `share` of the way back to the positive's; diffusers' guidance_rescale.

    Paper: Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin et al. 2023), arXiv 2305.08891, section 3.4.
    """

    share: float

    def changed(self, guided: Tensor, answers: Answers) -> Tensor:
        if answers.negative is None:
            return guided
        axes = list(range(1, guided.ndim))
        wanted, has = (each.std(dim=axes, keepdim=True) for each in (answers.positives[0], guided))
        return self.share * (guided * (wanted / has)) + (1 - self.share) * guided


@dataclass(frozen=True)
class Perturb(Variant):
    """Away from what the model makes of the prompt where some of its self-attention sees each place alone; `scale` says how far,
    less `adaptive` for each of the thousand timesteps that are done.

    Paper: Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance (Ahn et al. 2024), arXiv 2403.17377.
    """

    scale: float
    adaptive: float = 0.0

    @property
    def perturbs(self) -> bool:
        return True

    def changed(self, guided: Tensor, answers: Answers) -> Tensor:
        assert answers.perturbed is not None
        scale: float | Tensor = self.scale
        if self.adaptive > 0:
            scale = (self.scale - self.adaptive * (1000 - answers.timestep)).clamp(min=0).to(guided.device)
        return guided + scale * (answers.positives[0] - answers.perturbed)


@dataclass(frozen=True)
class Threshold(Variant):
    """The contrast of a weaker guidance, `mimic_scale`, for the drawing of a strong one: what goes beyond the `percentile` of the
    clean estimate is cut, and the rest brought to the range that the weaker one has. `by_channel` does so in each channel.

    Papers: Imagen (Saharia et al. 2022), arXiv 2205.11487, section 2.3; for latents, with the weaker guidance as measure, McMonkey's
    Dynamic Thresholding, whose arithmetic for "MEAN" and "AD" this is.
    """

    mimic_scale: float
    percentile: float = 1.0
    by_channel: bool = True

    def changed(self, guided: Tensor, answers: Answers) -> Tensor:
        if answers.negative is None:
            return guided
        rest = answers.clean(torch.zeros_like(guided))
        factor = (answers.clean(torch.ones_like(guided)) - rest).mean()
        if factor == 0:  # a scheduler of which nothing is known
            return guided
        estimate = answers.clean(guided)
        mean = estimate.mean(dim=(-2, -1), keepdim=True)
        centred, mimicked = estimate - mean, answers.clean(answers.guided(self.mimic_scale))
        mimicked = mimicked - mimicked.mean(dim=(-2, -1), keepdim=True)
        wanted, has = self._reach(mimicked, 1.0), self._reach(centred, self.percentile)
        most = torch.maximum(wanted, has)
        return (centred.clamp(-most, most) / most * wanted + mean - rest) / factor

    def _reach(self, centred: Tensor, percentile: float) -> Tensor:
        spread = centred.abs().flatten(-2) if self.by_channel else centred.abs().flatten()
        return torch.quantile(spread, percentile, dim=-1)[..., None, None]
