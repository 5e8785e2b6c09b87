"""Samplers that k-diffusion lacks: against their papers' formulas written out plainly, diffusers' classes, and what theory demands."""

import inspect
import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler

from pipelines.names import SCHEDULERS
from pipelines.samplers import SAMPLERS, ModelSigmas, Settings, adapt, levels_of, sample, set_steps, sigmas
from pipelines.samplers.noise import independent

from . import formulas
from .mixture import SD, SHAPE, SPREAD, clean, difference, drive, model_output

MODEL = ModelSigmas.from_config(SD)


def exact(ask):
    return clean(ask.x, ask.sigma)


def start(levels, seed=3):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * levels[0]


def made(name, x, levels, seed=11, **told):
    return drive(SAMPLERS[name](x, levels, independent(x, torch.Generator().manual_seed(seed)), Settings(**told)), exact)[0]


# -- CFG++ --------------------------------------------------------------------------------------------------------------

PLAIN = {
    "ddim_cfg_pp": "euler_ancestral", "euler_cfg_pp": "euler_ancestral", "dpmpp_2s_ancestral_cfg_pp": "dpmpp_2s_ancestral",
    "dpmpp_2m_cfg_pp": "dpmpp_2m", "res_multistep_cfg_pp": "res_multistep", "gradient_estimation_cfg_pp": "gradient_estimation",
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_cfg_pp_without_guidance_is_the_sampler_of_its_name(name, eta):
    levels = sigmas("karras", 12, MODEL)
    x = start(levels)
    run = SAMPLERS[name](x, levels, independent(x, torch.Generator().manual_seed(11)), Settings(eta=eta))
    alone, _ = drive(run, lambda ask: torch.cat([exact(ask)] * 2))
    assert difference(alone, made(PLAIN[name], x, levels, eta=eta)) < 1e-12


@pytest.mark.parametrize("name", [name for name in PLAIN if "eta" in inspect.signature(getattr(formulas, name)).parameters])
def test_cfg_pp_with_some_fresh_noise_is_its_formula(name):
    levels = sigmas("karras", 12, MODEL)
    x = start(levels)
    pair = lambda x, sigma: (clean(x, sigma) + 1.5 * (x / (1 + sigma) - clean(x, sigma)), clean(x, sigma))  # noqa: E731
    noises = [independent(x, torch.Generator().manual_seed(11)) for _ in range(2)]
    ours, _ = drive(SAMPLERS[name](x, levels, noises[0], Settings(eta=0.6)), lambda ask: torch.cat(pair(ask.x, ask.sigma)))
    assert difference(ours, getattr(formulas, name)(pair, x, levels, noises[1], eta=0.6)) < 1e-11


# -- what theory demands ------------------------------------------------------------------------------------------------

ORDERS = {
    "euler": 1, "heun": 2, "dpm_2": 2, "lms": 2, "dpmpp_2m": 2, "dpmpp_2m_sde": 2, "dpmpp_2m_sde_heun": 2, "dpmpp_3m_sde": 2,
    "res_multistep": 2, "dpmpp_2s_ancestral": 2, "dpmpp_sde": 2, "seeds_2": 2, "exp_heun_2_x0": 2, "seeds_3": 3, "dpm_fast": 2.4,
    "gradient_estimation": 1, "heunpp2": 1,
}  # fmt: skip


def falling(steps):
    return [5 * (0.2 / 5) ** (index / steps) for index in range(steps + 1)]


@pytest.fixture(scope="module")
def path():
    """Where the ODE's exact path from sigma 5 leads at 0.2."""
    return made("heun", start([5.0]), falling(1000))


@pytest.mark.parametrize("name", ORDERS)
def test_without_noise_it_converges_at_its_order(name, path):
    """Twice the steps leave 2^-order of the error."""
    x = start([5.0])
    # DPM fast fills 23 with steps of third order but one; SEEDS-3 soon knows the path better than it is known here
    few, many = {"dpm_fast": (23, 47), "seeds_3": (8, 16)}.get(name, (24, 48))
    errors = [difference(made(name, x, falling(steps), eta=0.0), path) for steps in (few, many)]
    assert math.log2(errors[0] / errors[1]) > ORDERS[name] - 0.35, errors


STOCHASTIC = [name for name, spec in SCHEDULERS.items() if spec.sampler and "eta" in spec.settings] + ["er_sde"]


@pytest.mark.parametrize("name", STOCHASTIC)
@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_with_noise_the_law_is_kept(name, eta):
    """Of a Gaussian: what comes out has the deviation of the data, over 16,384 numbers and as near as 60 steps come."""
    spec = SCHEDULERS[name]
    levels = sigmas("exponential", 60, ModelSigmas.from_config(SD))
    x = torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(3)) * math.sqrt(levels[0] ** 2 + SPREAD**2)
    noise = independent(x, torch.Generator().manual_seed(1))
    gaussian = lambda ask: torch.cat([ask.x * (SPREAD**2 / (SPREAD**2 + ask.sigma**2))] * (1 + ask.unguided))  # noqa: E731
    result, _ = drive(SAMPLERS[spec.sampler](x, levels[:-1], noise, Settings(eta=eta)), gaussian)
    assert float(result.std()) == pytest.approx(math.sqrt(SPREAD**2 + levels[-2] ** 2), rel={"dpm_adaptive": 0.2}.get(name, 0.06))


def test_restart_goes_the_last_part_again():
    x = start(sigmas("karras", 20, MODEL))
    for steps, again in ((19, 0), (20, 9), (35, 9), (40, 20)):
        levels = sigmas("karras", steps, MODEL)
        asked = []
        run = SAMPLERS["restart"](x, levels, independent(x, torch.Generator().manual_seed(1)), Settings())
        _, reports = drive(run, lambda ask: asked.append(ask.sigma) or exact(ask))
        assert len(reports) == steps
        rises = sum(later > sigma * 1.001 for sigma, later in pairwise(asked))
        assert rises == (0 if not again else 2 if steps >= 36 else 1)
    assert not torch.equal(made("restart", x, sigmas("karras", 20, MODEL), 1), made("restart", x, sigmas("karras", 20, MODEL), 2))


# -- diffusers' classes -------------------------------------------------------------------------------------------------

EVEN = SD | {"timestep_spacing": "trailing", "set_alpha_to_one": True, "steps_offset": 0}


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_euler_with_that_eta(eta):
    """The identity on which the names rest: DDIM's eta is the ancestral one."""
    scheduler, generator = DDIMScheduler.from_config(EVEN), torch.Generator().manual_seed(11)
    timesteps = set_steps(scheduler, 20)
    levels = [*(MODEL.sigmas[int(timestep)] for timestep in timesteps), 0.0]
    x = start(levels)
    variance_preserving = x / math.sqrt(1 + levels[0] ** 2)
    theirs, _ = drive(
        adapt(scheduler, variance_preserving, timesteps, generator, eta), lambda ask: model_output(ask.latents, float(ask.timestep), MODEL)
    )
    assert difference(made("euler_ancestral", x, levels, eta=eta), theirs) < 1e-4


def test_lcm_is_diffusers_at_its_own_timesteps():
    """But for the boundary terms, which differ from 0 and 1 by a millionth at most."""
    for steps in (1, 4, 8):
        scheduler, generator = LCMScheduler.from_config(SD), torch.Generator().manual_seed(11)
        timesteps = set_steps(scheduler, steps)
        _, levels = levels_of(SCHEDULERS["lcm"], "automatic", steps, MODEL)
        assert [MODEL.timestep(level) for level in levels[:-1]] == pytest.approx(timesteps.tolist())
        x = start(levels)
        theirs, _ = drive(
            adapt(scheduler, x / math.sqrt(1 + levels[0] ** 2), timesteps, generator),
            lambda ask: model_output(ask.latents, float(ask.timestep), MODEL),
        )
        ours, _ = drive(sample(SCHEDULERS["lcm"], MODEL, x, levels, torch.Generator().manual_seed(11)), exact)
        assert difference(ours, theirs) < 1e-4, steps
