"""The denoising loop, written once, as a coroutine: it asks for predictions and never calls the network.

Closing the coroutine cancels the picture, not resuming it pauses it; whoever drives it may answer many at once.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .components import Conditioning
from .guidance import Answers, Variant
from .inpaint import Known
from .samplers import Adapted, Denoise, Model, Sampling, Stepped, Trained

Part = tuple[float, float, float, float]
"""Of a picture, as shares of its sides: left, top, right, bottom in 0..1."""


@dataclass(frozen=True)
class Row:
    """Where one row of a question stands: in step `step`, from 0, of the `steps` of its pass; `positive` unless it is told what
    is not wanted; `perturbed` if its attention is. `part` is what its round makes anew of the canvas; None: all of it."""

    step: int
    steps: int
    positive: bool
    perturbed: bool = False
    part: Part | None = None


@dataclass(frozen=True, eq=False)
class Predict:
    """Asks for the output of a model's denoiser for `latents` (b, c, h, w) at `timestep` (b,), told `conditioning` (b, ...).

    `model` is a checkpoint, "" for the job's own; b is 1 without guidance, else one for the negative and one for each prompt.
    `rows` says where each of them stands. `denoiser` is a component of the model, "" for its first.
    """

    latents: Tensor
    timestep: Tensor
    conditioning: Conditioning
    model: str = ""
    rows: tuple[Row, ...] = ()
    denoiser: str = ""


@dataclass(frozen=True, eq=False)
class Told:
    """What the denoiser is told up to step `until`: rows [negative, *positives], or the one positive alone; `weights` has a
    number for each positive. The last entry ends with the pass."""

    until: int
    conditioning: Conditioning
    weights: tuple[float, ...] = (1.0,)

    def with_latents(self, name: str, latents: Tensor) -> "Told":
        """Told `latents` (1, c, h, w) as `name` too; the negative is told none of them: zeros, as diffusers has it."""
        rows = next(iter(self.conditioning.values())).shape[0]
        negatives = [torch.zeros_like(latents)] * (rows - len(self.weights))
        return replace(self, conditioning={**self.conditioning, name: torch.cat([*negatives, *[latents] * len(self.weights)])})


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the denoiser is told step by step, with `scale` between the negative and the positives; of a clip it is
    (1, frames, 1, 1, 1), a number for each frame.

    `channels` (1, c', h, w) are laid behind the latents' own, for denoisers that take mask and masked picture that way. With
    `image_scale` they are a picture to edit, and a row told the negative without it comes before the others. `variants` change what
    is asked and what comes of it, in their order; a pass that is one of several counts its steps from `before` on, of `total`.
    `by_calls` counts calls of the model where else steps are counted: A1111 does so, and says of samplers with two calls a step that
    there are twice as many steps; so "[cat:dog:10]" is a dog from the sixth step of Heun on, and "[cat:dog:0.5]" in the middle.

    Paper of the latter: InstructPix2Pix (Brooks et al. 2023), https://arxiv.org/abs/2211.09800
    """

    told: tuple[Told, ...]
    scale: float | Tensor
    channels: Tensor | None = None
    model: str = ""
    image_scale: float | None = None
    denoiser: str = ""
    variants: tuple[Variant, ...] = ()
    before: int = 0
    total: int | None = None
    by_calls: bool = False

    def at(self, step: int) -> Told:
        """What holds in step `step`, counted from 0 within the pass. A1111 compares that count with ends that count from 1,
        so what holds "until 10" is told in eleven steps; prompts of ten years mean it so."""
        return next((told for told in self.told if step <= told.until), self.told[-1])

    def ask(self, model: Model, step: int) -> Predict:
        """The question for step `step`, counted from 0 within the pass."""
        told = self.at(step)
        conditioning = told.conditioning
        negatives = next(iter(conditioning.values())).shape[0] - len(told.weights)
        if negatives and not self.guides(step):
            conditioning, negatives = {name: tensor[1:] for name, tensor in conditioning.items()}, 0
        blind = []
        latents = model.latents if self.channels is None else torch.cat([model.latents, self.channels], dim=1)
        if self.image_scale is not None and self.channels is not None and negatives:
            blind = [torch.cat([model.latents, torch.zeros_like(self.channels)], dim=1)]
            conditioning = {name: torch.cat([tensor[:1], tensor]) for name, tensor in conditioning.items()}
        negatives += len(blind)
        if perturbed := int(any(variant.perturbs for variant in self.variants)):
            conditioning = {name: torch.cat([tensor, tensor[negatives : negatives + 1]]) for name, tensor in conditioning.items()}
        every = [*blind, *[latents] * (negatives - len(blind) + len(told.weights) + perturbed)]
        timestep = torch.as_tensor(model.timestep, dtype=torch.float32, device=latents.device).expand(len(every))
        last = len(every) - perturbed
        places = tuple(Row(step, self.told[-1].until, row >= negatives, row >= last) for row in range(len(every)))
        return Predict(latents if len(every) == 1 else torch.cat(every), timestep, conditioning, self.model, places, self.denoiser)

    def guides(self, step: int) -> bool:
        """Whether the negative is asked for in step `step`."""
        share = (self.before + step) / (self.total or self.told[-1].until)
        return all(variant.guides(share) for variant in self.variants)

    def combine(self, output: Tensor, told: Told, asked: Model) -> Tensor:
        """The guided output (1, c, h, w) from that of all rows which `ask` asked for."""
        rows = list(output.chunk(output.shape[0]))
        perturbed = rows.pop() if any(variant.perturbs for variant in self.variants) else None
        others = rows[: len(rows) - len(told.weights)]  # [blind, negative], the negative or nobody
        blind, negative = (None, None, *others)[-2:]
        positives = tuple(rows[len(others) :])
        timestep, edits = asked.timestep, 1.0 if self.image_scale is None else self.image_scale
        answers = Answers(positives, told.weights, self.scale, timestep, asked.clean, negative, blind, edits, perturbed)
        guided = answers.guided(self.scale)
        for variant in self.variants:
            guided = variant.changed(guided, answers)
        return guided


Denoising = Generator[Predict | Stepped, Tensor | None, Tensor]


def within(asking: Generator[Any, Any, Tensor], part: Part | None) -> Generator[Any, Any, Tensor]:
    """`asking`, whose questions to the denoiser say which part of the canvas they are about."""
    if part is None:
        return (yield from asking)
    reply: Any = None
    while True:
        try:
            said = asking.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(said, Predict):
            said = replace(said, rows=tuple(replace(row, part=part) for row in said.rows))
        reply = yield said


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
            output = yield guidance.ask(said, done)
            assert output is not None
            reply = guidance.combine(output.float(), guidance.at(done), said)
            if said.unguided:
                reply = torch.cat([reply, output[:1].float()])
            done += guidance.by_calls
        else:
            if not guidance.by_calls:
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
            reply = known.at(said.index / said.total).blend(said.latents, noised(said.index))
        else:
            reply = yield said


def in_sigma_space(sampling: Sampling, sigmas: Trained, known: Known | None = None) -> Adapted:
    """Our own samplers in the adapter's place: their questions for a clean estimate become questions to the model.

    With `known`, the kept part of x is x0 plus its own noise at every sigma, and its clean estimate is x0: the sampler
    then carries that part along exactly, whatever its order.
    """
    reply: Tensor | None = None
    kept = None if known is None else known.at(0)
    while True:
        try:
            said = sampling.send(reply)
        except StopIteration as end:  # some samplers stop just above 0
            return end.value if kept is None else kept.blend(end.value, kept.latents)
        if isinstance(said, Denoise):
            x = said.x if kept is None else kept.blend(said.x, sigmas.noised(kept.latents, kept.noise, said.sigma))
            clean = partial(sigmas.denoised, x=x, sigma=said.sigma)
            output = yield Model(sigmas.model_input(x, said.sigma), torch.tensor(sigmas.timestep(said.sigma)), said.unguided, clean)
            assert output is not None
            denoised = clean(output)
            reply = denoised if kept is None else kept.blend(denoised, kept.latents)
        else:
            yield said
            kept = None if known is None else known.at(said.index / said.total)
            reply = None
