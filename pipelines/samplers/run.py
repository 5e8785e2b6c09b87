"""From a row of the table and a request's settings to a running sampler, for diffusion and flow checkpoints alike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pipelines.names import AUTOMATIC, SAMPLER_DEFAULTS, SamplerSettings, SchedulerSpec

from .cfg_pp import (
    ddim_cfg_pp,
    dpmpp_2m_cfg_pp,
    dpmpp_2s_ancestral_cfg_pp,
    euler_cfg_pp,
    gradient_estimation_cfg_pp,
    res_multistep_cfg_pp,
)
from .dpm import dpm_2, dpm_2_ancestral, dpmpp_2s_ancestral, dpmpp_sde
from .dpm_solver import dpm_adaptive, dpm_fast
from .dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_3m_sde
from .euler import euler, euler_ancestral, heun, heunpp2
from .flow import PATCH, FlowSigmas, in_ratios, kind_of
from .model import ContinuousSigmas, ModelSigmas
from .multistep import gradient_estimation, ipndm, lms, res_multistep
from .noise import make_noise
from .philox import Numbers, anew
from .protocol import Sampler, Sampling, Settings
from .restart import restart
from .schedules import Trained, sigmas
from .seeds import er_sde, exp_heun_2_x0, lcm, seeds_2, seeds_3
from .wuerstchen import CosineSigmas

SAMPLERS: Mapping[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "heunpp2": heunpp2,
    "dpm_2": dpm_2,
    "dpm_2_ancestral": dpm_2_ancestral,
    "lms": lms,
    "ipndm": ipndm,
    "gradient_estimation": gradient_estimation,
    "res_multistep": res_multistep,
    "dpmpp_2s_ancestral": dpmpp_2s_ancestral,
    "dpmpp_sde": dpmpp_sde,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "dpmpp_2m_sde_heun": dpmpp_2m_sde_heun,
    "dpmpp_3m_sde": dpmpp_3m_sde,
    "seeds_2": seeds_2,
    "seeds_3": seeds_3,
    "exp_heun_2_x0": exp_heun_2_x0,
    "er_sde": er_sde,
    "lcm": lcm,
    "dpm_fast": dpm_fast,
    "dpm_adaptive": dpm_adaptive,
    "restart": restart,
    "ddim_cfg_pp": ddim_cfg_pp,
    "euler_cfg_pp": euler_cfg_pp,
    "dpmpp_2s_ancestral_cfg_pp": dpmpp_2s_ancestral_cfg_pp,
    "dpmpp_2m_cfg_pp": dpmpp_2m_cfg_pp,
    "res_multistep_cfg_pp": res_multistep_cfg_pp,
    "gradient_estimation_cfg_pp": gradient_estimation_cfg_pp,
}

OVER_SIGMA = frozenset({"euler", "euler_ancestral", "heun", "heunpp2", "dpm_2", "dpm_2_ancestral", "lms", "ipndm", "gradient_estimation"})
"""Solvers of dx/dsigma, which hold for flow models as they stand; the others see a flow model's signal-to-noise ratio."""


def trained(
    scheduler_config: Mapping[str, Any], family: str = "", shape: Sequence[int] = (16, 128, 128), patch_size: int = PATCH
) -> Trained:
    """What a checkpoint's scheduler configuration says about noise.

    `shape` (c, h, w) of the latents and `patch_size` count for flow checkpoints whose shift grows with the picture. Raises
    `CheckpointError`.
    """
    kind = kind_of(scheduler_config)
    if kind == "flow":
        return FlowSigmas.from_config(scheduler_config, family, (shape[-2] // patch_size) * (shape[-1] // patch_size))
    if scheduler_config.get("timestep_type") == "continuous":
        return ContinuousSigmas.from_config(scheduler_config, family)
    if kind == "cosine":
        return CosineSigmas.from_config(scheduler_config, family)
    return ModelSigmas.from_config(scheduler_config, family)


def levels_of(
    spec: SchedulerSpec, schedule: str, steps: int, model: Trained, settings: SamplerSettings = SAMPLER_DEFAULTS
) -> tuple[str, list[float]]:
    """The schedule that `automatic` stands for, or the chosen one, and its levels; raises as `sigmas` and `spec.check`.

    On flow models `automatic` is what diffusers' classes of that kind have: for solvers in log-SNR it has no level close to 0,
    where their extrapolation would go astray.
    """
    spec.check(spec.title, schedule, model.kind)
    if schedule == AUTOMATIC:
        schedule = model.automatic if model.automatic in spec.schedules else spec.automatic
        if model.kind == "flow" and spec.sampler not in OVER_SIGMA:
            schedule = "sgm_uniform"
    return schedule, sigmas(schedule, steps, model, settings, spec.discard_penultimate)


def told(spec: SchedulerSpec, settings: SamplerSettings, kind: str = "diffusion") -> Settings:
    """What the row's sampler is told; a setting that has no effect on the row keeps its default."""
    meant = {name: getattr(settings, name) for name in spec.settings}
    return Settings(
        eta=spec.eta if meant.get("eta", -1.0) < 0 else meant["eta"],
        s_churn=meant.get("s_churn", 0.0),
        s_tmin=meant.get("s_tmin", 0.0),
        s_tmax=meant.get("s_tmax", 0.0) or math.inf,
        s_noise=meant.get("s_noise", 1.0),
        flow=kind == "flow",
    )


def sample(
    spec: SchedulerSpec,
    model: Trained,
    x: Tensor,
    levels: Sequence[float],
    generator: Numbers,
    settings: SamplerSettings = SAMPLER_DEFAULTS,
    schedule: Sequence[float] | None = None,
) -> Sampling:
    """Our sampler of the row, from `x` (1, c, h, w) at levels[0] to levels[-1]; all noise comes from the picture's `generator`.

    `schedule` are all levels, where `levels` are only a part of them: a Brownian path spans them all, as A1111's does, so that
    passes share it. A1111's eta noise seed delta starts independent noise anew from the seed and that number.
    """
    name = spec.sampler
    assert name is not None
    if settings.eta_noise_seed_delta and "eta_noise_seed_delta" in spec.settings:
        generator = anew(generator, generator.initial_seed() + settings.eta_noise_seed_delta)
    sampler = SAMPLERS[name]
    if model.kind == "flow" and name not in OVER_SIGMA:
        sampler = in_ratios(sampler)
    return sampler(x, levels, make_noise(name, x, schedule or levels, generator), told(spec, settings, model.kind))
