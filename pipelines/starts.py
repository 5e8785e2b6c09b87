"""Where a picture begins: its first latents, drawn in diffusers' order from its own generator, and the steps from there on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .components import Conditioning
from .denoise import Denoising, Guidance, blended, denoise, in_sigma_space
from .encode import Source
from .inpaint import Known
from .names import AUTOMATIC, SchedulerSpec
from .plan import KNOWN_IN_CHANNELS, KNOWN_IN_LATENTS, Denoise
from .samplers import SAMPLERS, Adapted, ModelSigmas, adapt, build_scheduler, make_noise, set_steps, sigmas


@dataclass(frozen=True, eq=False)
class Material:
    """What all pictures of a job develop from; holds no model, so that a paused job keeps none in memory."""

    stage: Denoise
    spec: SchedulerSpec
    scheduler_config: Mapping[str, Any]
    device: torch.device
    conditioning: Conditioning
    source: Source | None


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture's denoising, not begun yet, and what the recipe tells about its steps."""

    denoising: Denoising
    facts: Mapping[str, Any] = field(default_factory=dict)


def begin(material: Material, seed: int) -> Picture:
    """The denoising of the picture with `seed`; everything random in it comes from one CPU generator of that seed."""
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = _draw(material, generator)
    steps, facts = (_own if material.spec.sampler else _adapted)(material, drawn, generator)
    guidance = Guidance(material.conditioning, material.stage.guidance_scale, drawn.channels)
    return Picture(denoise(steps, guidance, drawn.known), facts)


@dataclass(frozen=True, eq=False)
class _Drawn:
    noise: Tensor  # (1, c, h, w) unit normal
    latents: Tensor | None  # (1, c, h, w) of the picture to start from
    known: Known | None  # what is blended back
    channels: Tensor | None  # what is laid behind the latents


def _draw(material: Material, generator: torch.Generator) -> _Drawn:
    """In the order in which diffusers' pipelines use the generator: posterior of the picture, noise, posterior of the masked one."""
    stage, source = material.stage, material.source
    from_picture = source is not None and (not stage.from_noise or stage.known == KNOWN_IN_LATENTS)
    latents = source.sample(generator) if source is not None and from_picture else None
    noise = torch.randn((1, *stage.shape), generator=generator).to(material.device)
    if source is None or source.mask is None:
        return _Drawn(noise, latents, None, None)
    # diffusers copies the latents here, and convolutions round by their order in memory
    latents = None if latents is None else latents.contiguous()
    masked = source.sample_masked(generator)  # drawn also where it goes unused: what follows depends on it
    if stage.known == KNOWN_IN_CHANNELS:
        return _Drawn(noise, latents, None, torch.cat([source.mask, masked], dim=1))
    assert latents is not None
    return _Drawn(noise, latents, Known(latents, noise, source.mask), None)


def _adapted(material: Material, drawn: _Drawn, generator: torch.Generator) -> tuple[Adapted, Mapping[str, Any]]:
    """A diffusers scheduler; same arithmetic as diffusers' pipelines."""
    stage = material.stage
    scheduler = build_scheduler(material.spec, material.scheduler_config, stage.schedule)
    timesteps = set_steps(scheduler, stage.steps, stage.strength, material.device)
    if material.source is not None and stage.strength == 1 and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # diffusers' picture pipelines always say where they begin
    if stage.from_noise or drawn.latents is None:
        x = drawn.noise * scheduler.init_noise_sigma
    else:
        x = scheduler.add_noise(drawn.latents, drawn.noise, timesteps[:1])
    steps = adapt(scheduler, x, timesteps, generator)
    facts = {"class": type(scheduler).__name__, "config": dict(scheduler.config), "timesteps": timesteps.tolist()}
    known = drawn.known
    if known is None:
        return steps, facts

    def noised(done: int) -> Tensor:
        if done == len(timesteps):
            return known.latents
        return scheduler.add_noise(known.latents, known.noise, timesteps[done : done + 1])

    return blended(steps, known, noised), facts


def _own(material: Material, drawn: _Drawn, generator: torch.Generator) -> tuple[Adapted, Mapping[str, Any]]:
    """One of our samplers over the last `steps_run` levels of its schedule."""
    stage, name = material.stage, material.spec.sampler
    assert name is not None
    model = ModelSigmas.from_config(material.scheduler_config)
    schedule = material.spec.automatic if stage.schedule == AUTOMATIC else stage.schedule
    levels = sigmas(schedule, stage.steps, model, name)[-stage.steps_run - 1 :]
    x = drawn.noise * levels[0]
    if not stage.from_noise and drawn.latents is not None:
        x = drawn.latents + x
    sampling = SAMPLERS[name](x, levels, make_noise(name, x, levels, generator))
    facts = {"sampler": name, "schedule": schedule, "sigmas": levels, "prediction_type": model.prediction_type}
    return in_sigma_space(sampling, model, drawn.known), facts
