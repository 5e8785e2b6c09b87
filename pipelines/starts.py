"""How a picture develops: its rounds, and in each its passes; all that is random drawn in diffusers' order."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .chores import Chore, Encoding, Enlarging, Stitching, Upscaling
from .denoise import Denoising, Guidance, Predict, Told, blended, denoise, in_sigma_space, within
from .encode import Source
from .inpaint import Known
from .names import SchedulerSpec
from .noise import PLAIN, Draws, Starting
from .openings import Opening, opened, scale_of
from .parameters import SEEDS
from .plan import EDITED_IN_CHANNELS, KNOWN_IN_CHANNELS, KNOWN_IN_LATENTS, Denoise, EncodePicture, Enlarge
from .rounds import WHOLE, Round
from .samplers import Adapted, Stepped, Trained, adapt, build_scheduler, levels_of, sample, set_steps, told, trained

ENLARGING_STEPS = 10
"""What enlarging a picture by an upscaler counts for in the progress of a job."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of denoising: what it is told and what it starts from, after the latents before it were made larger.

    Where it goes on from another, it counts from the `before` steps of that on, of `total` in both.
    """

    stage: Denoise
    spec: SchedulerSpec
    scheduler_config: Mapping[str, Any]
    told: tuple[Told, ...]
    enlarge: Enlarge | None = None
    family: str = ""
    opening: Opening | None = None
    before: int = 0
    total: int | None = None

    @property
    def by_calls(self) -> bool:
        """Whether what it is told changes with calls of the model instead of steps."""
        return bool(self.spec.calls) and self.opening is None


@dataclass(frozen=True, eq=False)
class Material:
    """What all pictures of a job develop from; holds no model, so that a paused job keeps none in memory.

    Each of the `rounds` takes all `passes`. A picture to start from is the `canvas` (RGB), `picture` says how it is encoded, and
    `source` is what comes of it for the first round, where it is the same for all pictures. Where the canvas is enlarged first,
    `larger` is how: by an upscaler, to (width, height).
    """

    passes: tuple[Pass, ...]
    device: torch.device
    rounds: tuple[Round, ...] = (WHOLE,)
    canvas: Image.Image | None = None
    picture: EncodePicture | None = None
    source: Source | None = None
    noise: Starting = PLAIN
    larger: tuple[str, tuple[int, int]] | None = None

    @property
    def steps(self) -> int:
        return len(self.rounds) * self.round_steps + (ENLARGING_STEPS if self.larger else 0)

    @property
    def round_steps(self) -> int:
        return sum(one.stage.steps_run for one in self.passes)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of the final latents; empty where there are none."""
        return self.passes[-1].stage.shape if self.passes else ()

    def facts(self) -> dict[str, Any]:
        """What a recipe tells about the steps: of the first pass, and under "then" of each that follows."""
        if not self.passes:
            return {}
        told = ((_own_facts if one.spec.sampler else _adapted_facts)(one, self.device) for one in self.passes)
        named = ({"denoiser": one.stage.denoiser} if one.stage.denoiser else {} for one in self.passes)
        first, *rest = (name | facts for name, facts in zip(named, told, strict=True))
        return first if not rest else {**first, "then": rest}


def step_of(one: Pass, share: float, device: torch.device) -> int:
    """The first step of the schedule, from 0, that lies behind the share `share` of the way from noise to picture.

    diffusers' rule (denoising_end, denoising_start): by the model's timesteps, whatever the schedule.
    """
    whole = replace(one, stage=replace(one.stage, first=0, last=one.stage.steps))
    if one.spec.sampler:
        model, _, levels = _levels(whole)
        timesteps = [model.timestep(level) for level in levels[:-1]]
    else:
        scheduler, found = _scheduler(whole, device)
        timesteps = found[:: scheduler.order].tolist()
    trained_steps = int(one.scheduler_config.get("num_train_timesteps", 1000))
    cutoff = round(trained_steps - share * trained_steps)
    return sum(timestep >= cutoff for timestep in timesteps)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The final latents (1, c, h, w) of each round, and the canvas that the last of them is laid into."""

    latents: tuple[Tensor, ...]
    canvas: Image.Image | None


Developing = Generator[Predict | Chore | Stepped, Any, Outcome]


def develop(material: Material, seed: int, variation_seed: int = 0) -> Developing:
    """The picture with `seed`, not begun yet; everything random in a round comes from the `Draws` of its own seed; with a
    variation its noise is turned towards that of `variation_seed`.

    Its `Stepped` count the steps of all rounds and passes together. Each `Chore` is answered with what it asks for.
    """
    canvas, source = material.canvas, material.source
    latents: list[Tensor] = []
    done = material.steps - len(material.rounds) * material.round_steps
    if material.larger is not None:
        assert canvas is not None
        canvas = yield Upscaling(canvas, *material.larger)
    for index, now in enumerate(material.rounds):
        if index:
            canvas = yield Stitching(latents[-1], material.rounds[index - 1], canvas)
        if canvas is not None and (index or source is None):
            assert material.picture is not None
            source = yield Encoding(canvas, now, material.picture)
        # a seed is below 2**32, so that no round of one picture is another picture
        draws = Draws(material.noise, seed + index * SEEDS, variation_seed + index * SEEDS, material.device)
        asking = _round(material, source, draws, done + index * material.round_steps)
        latents.append((yield from within(asking, None if canvas is None else now.part_of(canvas.size))))
    return Outcome(tuple(latents), canvas)


def _round(material: Material, source: Source | None, draws: Draws, done: int) -> Generator[Predict | Chore | Stepped, Any, Tensor]:
    """One pass after another; `done` are the steps before the first."""
    latents: Tensor | None = None
    drawn: _Drawn | None = None
    others: Tensor | None = None  # what another denoiser made
    for before, one in zip((None, *material.passes), material.passes, strict=False):
        if before is not None and before.stage.denoiser != one.stage.denoiser:
            others = latents
        if one.stage.conditioned:
            assert others is not None
            one = replace(one, told=tuple(told.with_latents(one.stage.conditioned, others) for told in one.told))
        if one.enlarge is not None:
            assert latents is not None
            latents = yield Enlarging(latents, one.enlarge)
        if one.opening is not None:
            one = replace(one, told=(yield from opened(one.told, one.opening, draws.numbers)))
        drawn = _draw(one, source if drawn is None else None, latents, drawn, draws, material.device)
        running = _pass(one, drawn, draws, material.device)
        reply: Tensor | None = None
        while True:
            try:
                said = running.send(reply)
            except StopIteration as end:
                latents = end.value
                break
            if isinstance(said, Stepped):
                # second-order classes of diffusers are called more often than there are steps
                steps = max(1, said.index * one.stage.steps_run // said.total)
                said = replace(said, index=done + steps, total=material.steps)
            reply = yield said
        done += one.stage.steps_run
    assert latents is not None
    return latents


def _pass(one: Pass, drawn: "_Drawn", draws: Draws, device: torch.device) -> Denoising:
    steps = (_own if one.spec.sampler else _adapted)(one, drawn, draws, device)
    stage = one.stage
    edits = stage.image_guidance_scale if stage.known == EDITED_IN_CHANNELS else None
    guidance = Guidance(
        one.told,
        scale_of(stage, device),
        drawn.channels,
        stage.model,
        edits,
        stage.denoiser,
        variants=stage.guiding,
        before=one.before,
        total=one.total,
        by_calls=one.by_calls,
    )
    return denoise(steps, guidance, drawn.known)


@dataclass(frozen=True, eq=False)
class _Drawn:
    noise: Tensor | None  # (1, c, h, w) unit normal; None where the pass goes on from another
    latents: Tensor | None  # (1, c, h, w) to start from
    known: Known | None  # what is blended back
    channels: Tensor | None  # what is laid behind the latents


def _draw(one: Pass, source: Source | None, before: Tensor | None, last: _Drawn | None, draws: Draws, device: torch.device) -> _Drawn:
    """In the order in which diffusers' pipelines use the generator: posterior of the picture, noise, posterior of the masked one."""
    stage = one.stage
    if stage.start == "continued":
        return _Drawn(None, before, None if last is None or last.known is None else last.known.at(1), None)
    latents = before if stage.start == "latents" else None
    if source is not None and latents is None and (stage.start == "picture" or stage.known == KNOWN_IN_LATENTS):
        latents = source.sample(draws.torch)
    noise = draws.starting(stage.shape).to(device)
    if source is not None and stage.known == EDITED_IN_CHANNELS:
        return _Drawn(noise, None, None, source.mode())
    laid = noise * stage.noise_multiplier if stage.start == "picture" else noise
    if source is None or source.mask is None:
        return _Drawn(laid, latents, None, None)
    # diffusers copies the latents here, and convolutions round by their order in memory
    latents = None if latents is None else latents.contiguous()
    masked = source.sample_masked(draws.torch)  # drawn also where it goes unused: what follows depends on it
    begun = None if latents is None else source.begun(latents, draws.numbers)
    if stage.known == KNOWN_IN_CHANNELS:
        return _Drawn(laid, begun, None, torch.cat([(source.mask > 0).to(masked.dtype), masked], dim=1))
    assert latents is not None
    return _Drawn(laid, begun, Known(latents, noise, source.mask, source.soft), None)


def _scheduler(one: Pass, device: torch.device) -> tuple[Any, Tensor]:
    """A fresh diffusers scheduler and the timesteps of the pass."""
    stage = one.stage
    scheduler = build_scheduler(one.spec, one.scheduler_config, stage.schedule)
    return scheduler, set_steps(scheduler, stage.steps, stage.first, stage.last, device)


def _adapted(one: Pass, drawn: _Drawn, draws: Draws, device: torch.device) -> Adapted:
    """A diffusers scheduler; same arithmetic as diffusers' pipelines."""
    stage = one.stage
    scheduler, timesteps = _scheduler(one, device)
    if drawn.noise is None:
        assert drawn.latents is not None
        x = drawn.latents
    elif stage.start == "noise" or drawn.latents is None:
        x = drawn.noise * getattr(scheduler, "init_noise_sigma", 1.0)  # flow matching begins with noise as it is
    else:
        x = _noised(scheduler, drawn.latents, drawn.noise, timesteps[:1])
    steps = adapt(scheduler, x, timesteps, draws.torch, told(one.spec, stage.settings).eta)
    known = drawn.known
    if known is None:
        return steps

    def noised(done: int) -> Tensor:
        if done == len(timesteps):
            return known.latents
        return _noised(scheduler, known.latents, known.noise, timesteps[done : done + 1])

    return blended(steps, known, noised)


def _noised(scheduler: Any, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """As noisy as the scheduler wants them at a timestep; flow matching has another word for it."""
    if hasattr(scheduler, "scale_noise"):
        return scheduler.scale_noise(latents, timestep, noise)
    return scheduler.add_noise(latents, noise, timestep)


def _adapted_facts(one: Pass, device: torch.device) -> dict[str, Any]:
    scheduler, timesteps = _scheduler(one, device)
    return {"class": type(scheduler).__name__, "config": dict(scheduler.config), "timesteps": timesteps.tolist()}


def _levels(one: Pass) -> tuple[Trained, str, list[float]]:
    """What the model was trained on, the schedule, and all its levels."""
    stage = one.stage
    model = trained(one.scheduler_config, one.family, stage.shape)
    return model, *levels_of(one.spec, stage.schedule, stage.steps, model, stage.settings)


def _own(one: Pass, drawn: _Drawn, draws: Draws, device: torch.device) -> Adapted:
    """One of our samplers over the levels of the pass."""
    model, _, schedule = _levels(one)
    levels = schedule[one.stage.first : one.stage.last + 1]
    if drawn.noise is None:
        assert drawn.latents is not None
        x = drawn.latents
    else:
        x = model.noised(None if one.stage.start == "noise" else drawn.latents, drawn.noise, levels[0])
    sampling = sample(one.spec, model, x, levels, draws.numbers, one.stage.settings, schedule)
    return in_sigma_space(sampling, model, drawn.known)


def _own_facts(one: Pass, device: torch.device) -> dict[str, Any]:
    model, schedule, levels = _levels(one)
    levels = levels[one.stage.first : one.stage.last + 1]
    return {"sampler": one.spec.sampler, "schedule": schedule, "sigmas": levels, "prediction_type": model.prediction_type}
