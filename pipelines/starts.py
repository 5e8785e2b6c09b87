"""How a picture develops: its passes one after another, all that is random in them drawn in diffusers' order from one generator."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .denoise import Denoising, Enlarging, Guidance, Told, blended, denoise, in_sigma_space
from .encode import Source
from .inpaint import Known
from .names import SchedulerSpec
from .plan import EDITED_IN_CHANNELS, KNOWN_IN_CHANNELS, KNOWN_IN_LATENTS, Denoise, Enlarge
from .samplers import Adapted, Stepped, Trained, adapt, build_scheduler, levels_of, sample, set_steps, told, trained


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of denoising: what it is told and what it starts from, after the latents before it were made larger."""

    stage: Denoise
    spec: SchedulerSpec
    scheduler_config: Mapping[str, Any]
    told: tuple[Told, ...]
    source: Source | None = None
    enlarge: Enlarge | None = None
    family: str = ""


@dataclass(frozen=True, eq=False)
class Material:
    """What all pictures of a job develop from; holds no model, so that a paused job keeps none in memory."""

    passes: tuple[Pass, ...]
    device: torch.device

    @property
    def steps(self) -> int:
        return sum(one.stage.steps_run for one in self.passes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the final latents."""
        return self.passes[-1].stage.shape

    @property
    def source(self) -> Source | None:
        return self.passes[0].source

    def facts(self) -> dict[str, Any]:
        """What a recipe tells about the steps: of the first pass, and under "then" of each that follows."""
        first, *rest = ((_own_facts if one.spec.sampler else _adapted_facts)(one, self.device) for one in self.passes)
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


def develop(material: Material, seed: int) -> Denoising:
    """The denoising of the picture with `seed`, not begun yet; everything random in it comes from one CPU generator of that seed.

    Its `Stepped` count the steps of all passes together.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    latents: Tensor | None = None
    drawn: _Drawn | None = None
    done = 0
    for one in material.passes:
        if one.enlarge is not None:
            assert latents is not None
            latents = yield Enlarging(latents, one.enlarge)
        drawn = _draw(one, latents, drawn, generator, material.device)
        running = _pass(one, drawn, generator, material.device)
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


def _pass(one: Pass, drawn: "_Drawn", generator: torch.Generator, device: torch.device) -> Denoising:
    steps = (_own if one.spec.sampler else _adapted)(one, drawn, generator, device)
    stage = one.stage
    edits = stage.image_guidance_scale if stage.known == EDITED_IN_CHANNELS else None
    guidance = Guidance(one.told, stage.guidance_scale, drawn.channels, stage.model, edits)
    return denoise(steps, guidance, drawn.known)


@dataclass(frozen=True, eq=False)
class _Drawn:
    noise: Tensor | None  # (1, c, h, w) unit normal; None where the pass goes on from another
    latents: Tensor | None  # (1, c, h, w) to start from
    known: Known | None  # what is blended back
    channels: Tensor | None  # what is laid behind the latents


def _draw(one: Pass, before: Tensor | None, last: _Drawn | None, generator: torch.Generator, device: torch.device) -> _Drawn:
    """In the order in which diffusers' pipelines use the generator: posterior of the picture, noise, posterior of the masked one."""
    stage, source = one.stage, one.source
    if stage.start == "continued":
        return _Drawn(None, before, None if last is None else last.known, None)
    latents = before if stage.start == "latents" else None
    if source is not None and latents is None and (stage.start == "picture" or stage.known == KNOWN_IN_LATENTS):
        latents = source.sample(generator)
    noise = torch.randn((1, *stage.shape), generator=generator).to(device)
    if source is not None and stage.known == EDITED_IN_CHANNELS:
        return _Drawn(noise, None, None, source.mode())
    if source is None or source.mask is None:
        return _Drawn(noise, latents, None, None)
    # diffusers copies the latents here, and convolutions round by their order in memory
    latents = None if latents is None else latents.contiguous()
    masked = source.sample_masked(generator)  # drawn also where it goes unused: what follows depends on it
    if stage.known == KNOWN_IN_CHANNELS:
        return _Drawn(noise, latents, None, torch.cat([source.mask, masked], dim=1))
    assert latents is not None
    return _Drawn(noise, latents, Known(latents, noise, source.mask), None)


def _scheduler(one: Pass, device: torch.device) -> tuple[Any, Tensor]:
    """A fresh diffusers scheduler and the timesteps of the pass."""
    stage = one.stage
    scheduler = build_scheduler(one.spec, one.scheduler_config, stage.schedule)
    return scheduler, set_steps(scheduler, stage.steps, stage.first, stage.last, device)


def _adapted(one: Pass, drawn: _Drawn, generator: torch.Generator, device: torch.device) -> Adapted:
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
    steps = adapt(scheduler, x, timesteps, generator, told(one.spec, stage.settings).eta)
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


def _own(one: Pass, drawn: _Drawn, generator: torch.Generator, device: torch.device) -> Adapted:
    """One of our samplers over the levels of the pass."""
    model, _, schedule = _levels(one)
    levels = schedule[one.stage.first : one.stage.last + 1]
    if drawn.noise is None:
        assert drawn.latents is not None
        x = drawn.latents
    else:
        x = model.noised(None if one.stage.start == "noise" else drawn.latents, drawn.noise, levels[0])
    sampling = sample(one.spec, model, x, levels, generator, one.stage.settings, schedule)
    return in_sigma_space(sampling, model, drawn.known)


def _own_facts(one: Pass, device: torch.device) -> dict[str, Any]:
    model, schedule, levels = _levels(one)
    levels = levels[one.stage.first : one.stage.last + 1]
    return {"sampler": one.spec.sampler, "schedule": schedule, "sigmas": levels, "prediction_type": model.prediction_type}
