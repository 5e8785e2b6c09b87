"""The denoising loop, written once, as a coroutine: it asks for predictions and never calls the network.

Closing the coroutine cancels the picture, not resuming it pauses it; whoever drives it may answer many at once.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .components import Conditioning
from .inpaint import Known
from .plan import Enlarge
from .samplers import Adapted, Denoise, Model, Sampling, Stepped, Trained


@dataclass(frozen=True, eq=False)
class Predict:
    """Asks for the output of a model's denoiser for `latents` (b, c, h, w) at `timestep` (b,), told `conditioning` (b, ...).

    `model` is a checkpoint, "" for the job's own; b is 1 without guidance, else one for the negative and one for each prompt.
    """

    latents: Tensor
    timestep: Tensor
    conditioning: Conditioning
    model: str = ""


@dataclass(frozen=True, eq=False)
class Enlarging:
    """Asks for `latents` (1, c, h, w) as `stage` wants them."""

    latents: Tensor
    stage: Enlarge


@dataclass(frozen=True, eq=False)
class Told:
    """What the denoiser is told up to step `until`: rows [negative, *positives], or the one positive alone; `weights` has a
    number for each positive. The last entry ends with the pass."""

    until: int
    conditioning: Conditioning
    weights: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the denoiser is told step by step, with `scale` between the negative and the positives.

    `channels` (1, c', h, w) are laid behind the latents' own, for denoisers that take mask and masked picture that way. With
    `image_scale` they are a picture to edit, and a row told the negative without it comes before the others.

    Paper of the latter: InstructPix2Pix (Brooks et al. 2023), https://arxiv.org/abs/2211.09800
    """

    told: tuple[Told, ...]
    scale: float
    channels: Tensor | None = None
    model: str = ""
    image_scale: float | None = None

    def at(self, step: int) -> Told:
        """What holds in step `step`, counted from 0 within the pass. A1111 compares that count with ends that count from 1,
        so what holds "until 10" is told in eleven steps; prompts of ten years mean it so."""
        return next((told for told in self.told if step <= told.until), self.told[-1])

    def ask(self, model: Model, told: Told) -> Predict:
        conditioning = told.conditioning
        rows = next(iter(conditioning.values())).shape[0]
        blind = []
        latents = model.latents if self.channels is None else torch.cat([model.latents, self.channels], dim=1)
        if self.image_scale is not None and self.channels is not None and rows > 1:
            blind = [torch.cat([model.latents, torch.zeros_like(self.channels)], dim=1)]
            conditioning = {name: torch.cat([tensor[:1], tensor]) for name, tensor in conditioning.items()}
        every = [*blind, *[latents] * rows]
        timestep = torch.as_tensor(model.timestep, dtype=torch.float32, device=latents.device).expand(len(every))
        return Predict(latents if len(every) == 1 else torch.cat(every), timestep, conditioning, self.model)

    def combine(self, output: Tensor, told: Told) -> Tensor:
        """The guided output (1, c, h, w), in diffusers' arithmetic; several positives each pull with their own weight.

        Paper of several positives: Compositional Visual Generation with Composable Diffusion Models (Liu et al. 2022).
        """
        if output.shape[0] == 1:
            return output
        rows = output.chunk(output.shape[0])
        if self.image_scale is not None:
            blind, negative, *positives = rows
            return blind + _pull(self.scale, negative, positives, told.weights) + self.image_scale * (negative - blind)
        negative, *positives = rows
        return negative + _pull(self.scale, negative, positives, told.weights)


def _pull(scale: float, negative: Tensor, positives: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if tuple(weights) == (1.0,):
        return scale * (positives[0] - negative)
    return torch.stack([scale * weight * (one - negative) for weight, one in zip(weights, positives, strict=True)]).sum(dim=0)


Denoising = Generator[Predict | Enlarging | Stepped, Tensor | None, Tensor]


def denoise(steps: Adapted, guidance: Guidance, known: Known | None = None) -> Denoising:
    """Drives `steps` to its end: yields `Predict` and is sent the output for its rows, yields `Stepped` and is sent None.

    Returns the final latents (1, c, h, w). `known` puts the kept part of a picture into what a step reports as clean.
    """
    reply: Tensor | None = None
    done = 0
    while True:
        try:
            said = steps.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(said, Model):
            told = guidance.at(done)
            output = yield guidance.ask(said, told)
            assert output is not None
            reply = guidance.combine(output.float(), told)
            if said.unguided:
                reply = torch.cat([reply, output[:1].float()])
        else:
            done = said.index * guidance.told[-1].until // said.total  # second-order classes are called more often than they step
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


def in_sigma_space(sampling: Sampling, sigmas: Trained, known: Known | None = None) -> Adapted:
    """Our own samplers in the adapter's place: their questions for a clean estimate become questions to the model.

    With `known`, the kept part of x is x0 plus its own noise at every sigma, and its clean estimate is x0: the sampler
    then carries that part along exactly, whatever its order.
    """
    reply: Tensor | None = None
    while True:
        try:
            said = sampling.send(reply)
        except StopIteration as end:  # some samplers stop just above 0
            return end.value if known is None else known.blend(end.value, known.latents)
        if isinstance(said, Denoise):
            x = said.x if known is None else known.blend(said.x, sigmas.noised(known.latents, known.noise, said.sigma))
            output = yield Model(sigmas.model_input(x, said.sigma), torch.tensor(sigmas.timestep(said.sigma)), said.unguided)
            assert output is not None
            denoised = sigmas.denoised(output, x, said.sigma)
            reply = denoised if known is None else known.blend(denoised, known.latents)
        else:
            yield said
            reply = None
