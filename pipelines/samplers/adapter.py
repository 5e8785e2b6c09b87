"""Runs any diffusers scheduler as a coroutine in the place of a sampler, in the scheduler's own space."""

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .protocol import Adapted, Model, answered, finish_step

VARIANCE_PRESERVING = frozenset(
    {
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "UniPCMultistepScheduler",
        "DEISMultistepScheduler",
        "SASolverScheduler",
    }
)
"""Classes that keep a table of sigmas although their latents are variance-preserving: x = a·x0 + b·noise with a² + b² = 1."""


def adapt(scheduler: Any, x: Tensor, timesteps: Sequence[Tensor] | Tensor, generator: torch.Generator, eta: float = 0.0) -> Adapted:
    """Steps `scheduler` (fresh, its timesteps set) from `x` through `timesteps`; the latents equal those of diffusers' own loop.

    Yields `Model`, is sent the guided model output; yields `Stepped` after every call of the scheduler. `x` stands in
    the scheduler's space: noise times `init_noise_sigma`, or `add_noise` at the first timestep. `eta` goes to classes that
    take one, 0 as diffusers' pipelines do.
    """
    extra = _extra_arguments(scheduler, generator, eta)
    own = None
    for index, timestep in enumerate(timesteps, 1):
        scaled = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
        estimating = partial(clean_estimate, scheduler, timestep=timestep, x=x)
        output = answered((yield Model(scaled, timestep, clean=estimating)))
        if own is None:  # before step(), which advances the scheduler's index
            estimate = estimating(output)
        stepped = scheduler.step(output, timestep, x, **extra)
        own = getattr(stepped, "pred_original_sample", None)
        x = yield from finish_step(index, len(timesteps), estimate if own is None else own, stepped.prev_sample)
    return x


def _extra_arguments(scheduler: Any, generator: torch.Generator, eta: float) -> dict[str, Any]:
    """What diffusers' `prepare_extra_step_kwargs` gives, plus a seed for the one class that ignores generators."""
    if getattr(scheduler, "noise_sampler_seed", 0) is None:
        scheduler.noise_sampler_seed = [generator.initial_seed()]  # a list: one Brownian tree per picture
    accepted = inspect.signature(scheduler.step).parameters
    return {name: value for name, value in {"eta": eta, "generator": generator}.items() if name in accepted}


def clean_estimate(scheduler: Any, output: Tensor, timestep: Tensor, x: Tensor) -> Tensor:
    """x0 from the guided model output at `x`, for classes whose step does not tell it; call before the step.

    A class with neither sigmas nor alphas gives no way to know: its latents come back as they are.
    """
    output, x = output.float(), x.float()
    name = type(scheduler).__name__
    if hasattr(scheduler, "sigmas"):
        sigma = _sigma(scheduler, timestep)
        if name.startswith("FlowMatch") or scheduler.config.get("use_flow_sigmas"):
            return x - sigma * output
        alpha = (1 + sigma**2) ** -0.5
        deviation = sigma * alpha
        if name not in VARIANCE_PRESERVING:  # latents of sigma space, x0 + sigma·noise
            x = x * alpha
    elif hasattr(scheduler, "alphas_cumprod"):
        signal = float(scheduler.alphas_cumprod[int(timestep)])
        alpha, deviation = signal**0.5, (1 - signal) ** 0.5
    else:
        return x
    return _solve(scheduler.config.get("prediction_type", "epsilon"), output, x, alpha, deviation)


def _sigma(scheduler: Any, timestep: Tensor) -> float:
    index = scheduler.step_index
    if index is None:
        index = scheduler.begin_index if scheduler.begin_index is not None else scheduler.index_for_timestep(timestep)
    return float(scheduler.sigmas[index])


def _solve(prediction_type: str, output: Tensor, x: Tensor, alpha: float, deviation: float) -> Tensor:
    """x = alpha·x0 + deviation·noise, solved for x0."""
    if prediction_type == "epsilon":
        return (x - deviation * output) / alpha
    if prediction_type == "v_prediction":
        return alpha * x - deviation * output
    return output
