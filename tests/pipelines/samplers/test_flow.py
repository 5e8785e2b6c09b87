"""Flow matching against diffusers' own schedulers, and the ratio space against its definition."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler

from pipelines.errors import CheckpointError, InvalidRequest
from pipelines.inpaint import Known
from pipelines.names import FLOW_SCHEDULES, SCHEDULERS, SamplerSettings
from pipelines.samplers import Denoise, FlowSigmas, ModelSigmas, Settings, adapt, levels_of, sample, sigmas, told, trained
from pipelines.samplers.euler import ancestral_step
from pipelines.samplers.noise import independent
from pipelines.samplers.run import SAMPLERS

from .mixture import SD, SHAPE, SPREAD, centres, clean, difference, drive

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what diffusers does with NumPy 2

SD3 = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
FLUX = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": True,
    "base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15,
}  # fmt: skip
QWEN = FLUX | {"base_shift": 0.5, "max_shift": 0.9, "shift_terminal": 0.02, "max_image_seq_len": 8192}
SANA = {"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
ROWS = {name: spec for name, spec in SCHEDULERS.items() if "flow" in spec.kinds}


def exact(x, level):
    """E[x0 | (1 - level)·x0 + level·noise = x] for the mixture."""
    if level == 1:
        return centres().mean(0, keepdim=True).to(x)
    return clean(x / (1 - level), level / (1 - level))


def answer(ask: Denoise):
    estimate = exact(ask.x, ask.sigma)
    return torch.cat([estimate, estimate]) if ask.unguided else estimate


def velocity(x, level):
    return (x - exact(x, level)) / level


def noise(seed=3, dtype=torch.float64):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def made(name, x, levels, model, seed=11, **settings):
    run = sample(SCHEDULERS[name], model, x, levels, torch.Generator().manual_seed(seed), SamplerSettings(**settings))
    return drive(run, answer)


def diffusers_run(scheduler, x):
    """Any flow scheduler of diffusers over the exact velocity."""
    run = adapt(scheduler, x, scheduler.timesteps, torch.Generator())
    return drive(run, lambda ask: velocity(ask.latents, float(ask.timestep) / 1000))[0]


@pytest.mark.parametrize("config", [SD3, SD3 | {"shift": 1.0}, FLUX, FLUX | {"time_shift_type": "linear"}, QWEN], ids=str)
@pytest.mark.parametrize("steps", [2, 4, 28])
def test_automatic_is_what_diffusers_pipelines_take(config, steps):
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    model = trained(config, shape=(16, 128, 96))
    if config.get("use_dynamic_shifting"):
        patches, low, high = 64 * 48, config["base_image_seq_len"], config["max_image_seq_len"]
        mu = config["base_shift"] + (config["max_shift"] - config["base_shift"]) * (patches - low) / (high - low)
        scheduler.set_timesteps(sigmas=[1 + (1 / steps - 1) * index / max(steps - 1, 1) for index in range(steps)], mu=mu)
    else:
        scheduler.set_timesteps(steps)
    _, levels = levels_of(SCHEDULERS["euler"], "automatic", steps, model)
    assert levels == pytest.approx(scheduler.sigmas.tolist(), abs=1e-6)
    assert [model.timestep(level) for level in levels[:-1]] == pytest.approx(scheduler.timesteps.tolist(), rel=1e-6)


@pytest.mark.parametrize(("name", "cls"), [("euler", FlowMatchEulerDiscreteScheduler), ("heun", FlowMatchHeunDiscreteScheduler)])
def test_euler_and_heun_are_diffusers(name, cls):
    scheduler, model = cls.from_config({"shift": 3.0}), FlowSigmas(3.0)
    scheduler.set_timesteps(20)
    x = noise()
    ours, _ = made(name, x, sigmas("normal", 20, model), model)
    assert difference(ours, diffusers_run(scheduler, x)) < 2e-6


@pytest.mark.parametrize(("name", "solver"), [("dpmpp_2m", "midpoint"), ("res_multistep", "heun")])
def test_two_step_solvers_run_in_half_log_snr_as_diffusers(name, solver):
    """From a level below 1, where ours needs no stand-in for the infinite ratio."""
    scheduler = DPMSolverMultistepScheduler.from_config(SANA | {"solver_type": solver, "lower_order_final": False})
    scheduler.set_timesteps(20)
    levels = scheduler.sigmas.double().tolist()
    scheduler.set_begin_index(4)
    x = noise() * levels[4] + centres()[:1] * (1 - levels[4])
    run = adapt(scheduler, x, scheduler.timesteps[4:], torch.Generator())
    position = iter(levels[4:])
    theirs, _ = drive(run, lambda ask: velocity(ask.latents, next(position)))
    ours, _ = made(name, x, levels[4:], FlowSigmas(3.0))
    assert difference(ours, theirs) < 1e-5


@pytest.mark.parametrize("name", ROWS)
def test_every_row_runs_on_every_schedule_and_ends_finite(name):
    for config in (SD3, FLUX):
        model = trained(config)
        for schedule in ("automatic", *FLOW_SCHEDULES):
            for steps in (1, 2, 7):
                chosen, levels = levels_of(ROWS[name], schedule, steps, model)
                assert levels[-1] == 0 and levels[0] <= 1 and all(high > low for high, low in pairwise(levels)), (chosen, levels)
                result, reports = made(name, noise(dtype=torch.float32), levels, model)
                assert torch.isfinite(result).all(), (schedule, steps)
                assert [report.index for report in reports] == list(range(1, steps + 1))


@pytest.mark.parametrize("name", ROWS)
def test_arrives_at_the_data(name):
    model = FlowSigmas(3.0)
    _, levels = levels_of(ROWS[name], "automatic", 30, model)
    spreads = []
    for seed in range(4):
        result, reports = made(name, noise(seed), levels, model, seed)
        spreads.append(min(float((result - centre).std()) for centre in centres()))
        # what previews and inpainting see between the steps are latents of the flow model: never larger than noise and data
        assert all(float(report.latents.std()) < 1.6 for report in reports)
    assert (0.3 if name == "lcm" else 0.7) * SPREAD < sum(spreads) / len(spreads) < 1.4 * SPREAD


def test_the_ancestral_step_keeps_the_amount_of_noise():
    for sigma, next_sigma in ((1.0, 0.9), (0.7, 0.3), (0.2, 0.05)):
        for eta in (0.0, 0.4, 1.0):
            down, scale, up = ancestral_step(sigma, next_sigma, Settings(eta=eta, flow=True))
            assert (1 - down) * scale == pytest.approx(1 - next_sigma)
            assert math.hypot(down * scale, up) == pytest.approx(next_sigma)
            assert (up == 0) == (eta == 0)
    assert ancestral_step(0.5, 0.0, Settings(flow=True)) == (0.0, 1.0, 0.0)


def test_stochastic_rows_keep_the_law():
    """Of a Gaussian, over 16,384 numbers, in both spaces."""
    levels = sigmas("normal", 300, FlowSigmas(3.0))
    for name in ("euler_a", "dpm2_a", "dpmpp_sde", "seeds_2", "er_sde", "dpmpp_2s_a"):
        x = torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(1))
        mean = lambda x, s: x * ((1 - s) * SPREAD**2 / (((1 - s) * SPREAD) ** 2 + s**2))  # noqa: E731
        run = sample(SCHEDULERS[name], FlowSigmas(3.0), x, levels, torch.Generator().manual_seed(2))
        result, _ = drive(run, lambda ask, mean=mean: mean(ask.x, ask.sigma))
        assert float(result.std()) == pytest.approx(SPREAD, rel=0.05), name


def test_passes_join_where_one_stops():
    model = FlowSigmas(3.0)
    levels = sigmas("normal", 20, model)
    for name in ("euler", "heun", "dpmpp_2s_a"):
        whole, _ = made(name, noise(), levels, model, eta=0.0)
        half, _ = made(name, noise(), levels[:11], model, eta=0.0)
        assert difference(made(name, half, levels[10:], model, eta=0.0)[0], whole) < 1e-9


def test_latents_sent_back_after_a_step_are_used_in_ratio_space():
    model = FlowSigmas(3.0)
    levels = sigmas("normal", 5, model)
    run = sample(SCHEDULERS["dpmpp_2m"], model, noise(), levels, torch.Generator())
    ask = next(run)
    run.send(answer(ask))
    changed = torch.full(SHAPE, 0.5, dtype=torch.float64)
    assert difference(run.send(changed).x, changed) < 1e-12


def test_model_and_latents_meet_at_every_level():
    model, x0 = FlowSigmas(3.0), centres()[:1]
    for level in (0.1, 0.5, 0.999, 1.0):
        x = model.noised(x0, noise(), level)
        assert torch.equal(model.model_input(x, level), x)
        assert difference(model.denoised(noise() - x0, x, level), x0) < 1e-12
    assert torch.equal(model.noised(None, noise(), 1.0), noise())
    known = Known(x0, noise(), torch.zeros((1, 1, *SHAPE[2:])))
    assert torch.equal(model.noised(known.latents, known.noise, 0.0), x0)


def test_configurations_are_told_apart():
    assert isinstance(trained(SD), ModelSigmas)
    assert trained(SANA).shift == 3.0 and trained(SANA).automatic == "sgm_uniform"
    assert trained(FLUX, shape=(16, 128, 128)).shift == pytest.approx(math.exp(1.15))
    assert trained(FLUX, shape=(16, 32, 32)).shift == pytest.approx(math.exp(0.5))
    for wrong in ({"invert_sigmas": True}, {"shift": 0.0}, {"shift": math.inf}):
        with pytest.raises(CheckpointError, match="scheduler settings cannot be used"):
            trained(SD3 | wrong)


def test_what_a_flow_checkpoint_cannot_do_is_a_sentence():
    model = trained(SD3)
    for name in ("dpm_fast", "restart", "ddim"):
        with pytest.raises(InvalidRequest, match="cannot do flow checkpoints; take another, such as 'euler'"):
            SCHEDULERS[name].check(name, "automatic", model.kind)
    for schedule in ("align_your_steps", "turbo", "lcm"):
        with pytest.raises(InvalidRequest, match="does not go with a flow checkpoint; it takes: automatic, karras"):
            levels_of(SCHEDULERS["euler"], schedule, 4, model)
    with pytest.raises(InvalidRequest, match="sigma_max must be at most 1 for a flow checkpoint; got 3"):
        levels_of(SCHEDULERS["euler"], "karras", 4, model, SamplerSettings(sigma_max=3))


def test_churn_has_no_effect_where_it_would_lead_past_pure_noise():
    model = FlowSigmas(3.0)
    levels = sigmas("normal", 5, model)
    assert torch.equal(made("euler", noise(), levels, model, s_churn=50.0)[0], made("euler", noise(), levels, model)[0])
    assert told(SCHEDULERS["euler"], SamplerSettings(s_churn=5), "flow").flow
    assert independent(noise(), torch.Generator().manual_seed(1))(1.0, 0.5).shape == SHAPE
    assert set(SAMPLERS) == {spec.sampler for spec in SCHEDULERS.values() if spec.sampler}
