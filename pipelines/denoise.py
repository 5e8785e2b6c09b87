"""The denoising loop, written once, as a coroutine: it asks for predictions and never calls the network.

Closing the coroutine cancels the picture, not resuming it pauses it; whoever drives it may answer many at once.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from .components import Conditioning
from .inpaint import Known
from .samplers import Adapted, Denoise, Model, ModelSigmas, Sampling, Stepped, model_input


@dataclass(frozen=True, eq=False)
class Predict:
    """Asks for the denoiser's output for `latents` (b, c, h, w) at `timestep` (b,), told `conditioning` (b, ...); b is 1 or 2."""

    latents: Tensor
    timestep: Tensor
    conditioning: Conditioning


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the denoiser is told: [negative, positive] weighted by `scale`, or the positive alone.

    `channels` (1, c', h, w) are laid behind the latents' own, for denoisers that take mask and masked picture that way.
    """

    conditioning: Conditioning
    scale: float
    channels: Tensor | None = None

    def ask(self, model: Model) -> Predict:
        rows = next(iter(self.conditioning.values())).shape[0]
        latents = model.latents if self.channels is None else torch.cat([model.latents, self.channels], dim=1)
        timestep = torch.as_tensor(model.timestep, dtype=torch.float32, device=latents.device).expand(rows)
        return Predict(latents if rows == 1 else torch.cat([latents] * rows), timestep, self.conditioning)

    def combine(self, output: Tensor) -> Tensor:
        """The guided output (1, c, h, w), in diffusers' arithmetic."""
        if output.shape[0] == 1:
            return output
        negative, positive = output.chunk(2)
        return negative + self.scale * (positive - negative)


Denoising = Generator[Predict | Stepped, Tensor | None, Tensor]


def denoise(steps: Adapted, guidance: Guidance, known: Known | None = None) -> Denoising:
    """Drives `steps` to its end: yields `Predict` and is sent the output for its rows, yields `Stepped` and is sent None.

    Returns the final latents (1, c, h, w). `known` puts the kept part of a picture into what a step reports as clean.
    """
    reply: Tensor | None = None
    while True:
        try:
            said = steps.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(said, Model):
            output = yield guidance.ask(said)
            assert output is not None
            reply = guidance.combine(output.float())
        else:
            yield said if known is None else known.shown(said)
            reply = None


def blended(steps: Adapted, known: Known, noised: Callable[[int], Tensor]) -> Adapted:
    """diffusers' inpainting over a scheduler: after every call, the n-th, the kept part is put back as `noised(n)` gives it."""
    reply: Tensor | None = None
    while True:
        try:
            said = steps.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(said, Stepped):
            yield said
            reply = known.blend(said.latents, noised(said.index))
        else:
            reply = yield said


def in_sigma_space(sampling: Sampling, sigmas: ModelSigmas, known: Known | None = None) -> Adapted:
    """Our own samplers in the adapter's place: their questions for a clean estimate become questions to the model.

    With `known`, the kept part of x is x0 plus its own noise at every sigma, and its clean estimate is x0: the sampler
    then carries that part along exactly, whatever its order.
    """
    reply: Tensor | None = None
    while True:
        try:
            said = sampling.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(said, Denoise):
            x = said.x if known is None else known.blend(said.x, known.at(said.sigma))
            output = yield Model(model_input(x, said.sigma), torch.tensor(sigmas.timestep(said.sigma)))
            assert output is not None
            denoised = sigmas.denoised(output, x, said.sigma)
            reply = denoised if known is None else known.blend(denoised, known.latents)
        else:
            yield said
            reply = None
