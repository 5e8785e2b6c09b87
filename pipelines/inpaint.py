"""What inpainting keeps while the latents develop: the known part of them."""

from dataclasses import dataclass, replace

from torch import Tensor

from .samplers import Stepped


@dataclass(frozen=True, eq=False)
class Known:
    """The part of the latents that is kept: where `mask` (1, 1, h, w) is 0 they follow `latents` (1, c, h, w) with `noise`.

    With `soft` the greys of the mask are strengths: what has a strength of m is let go when the share 1 - m of the way is behind.

    Paper of the latter: Differential Diffusion (Levin & Fried 2023), https://arxiv.org/abs/2306.00950
    """

    latents: Tensor
    noise: Tensor
    mask: Tensor
    soft: bool = False

    def at(self, share: float) -> "Known":
        """What is kept when the share `share` (0 to 1) of the way from the start to the picture is behind."""
        if not self.soft:
            return self
        free = (self.mask > 0) & (self.mask >= 1 - share - 1e-6)
        return replace(self, mask=free.to(self.mask.dtype), soft=False)

    def blend(self, developed: Tensor, kept: Tensor) -> Tensor:
        return (1 - self.mask) * kept + self.mask * developed

    def shown(self, step: Stepped) -> Stepped:
        return replace(step, denoised=self.at(step.index / step.total).blend(step.denoised, self.latents))
