"""Schedules against k-diffusion and diffusers; noise levels of a model against diffusers and against themselves."""

import itertools
import math

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from diffusers.schedulers import AysSchedules

from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.names import SCHEDULERS, SIGMA_SCHEDULES, SamplerSettings
from pipelines.samplers import SCHEDULES, FlowSigmas, ModelSigmas, levels_of, sigmas

from .k_diffusion_oracle import sampling
from .mixture import BUILT_IN, SD, SHAPE, clean, difference, model_output

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what diffusers does with NumPy 2

CONFIGS = {"sd": SD, "built-in": BUILT_IN, "cosine": SD | {"beta_schedule": "squaredcos_cap_v2"}}
config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def close(ours, theirs, tolerance=1e-5):
    assert ours == pytest.approx([float(sigma) for sigma in theirs], rel=tolerance)


def euler(config, steps, **kwargs):
    scheduler = EulerDiscreteScheduler.from_config(config, **kwargs)
    scheduler.set_timesteps(steps)
    return scheduler.sigmas


@config
@pytest.mark.parametrize("steps", [1, 2, 20, 150])
def test_karras_and_exponential_are_k_diffusions(config, steps):
    model = ModelSigmas.from_config(config)
    ends = steps, model.sigma_min, model.sigma_max
    close(sigmas("karras", steps, model), sampling().get_sigmas_karras(*ends))
    close(sigmas("exponential", steps, model), sampling().get_sigmas_exponential(*ends))


@config
@pytest.mark.parametrize("steps", [2, 10, 20, 25])
def test_diffusers_has_the_same(config, steps):
    model = ModelSigmas.from_config(config)
    # Euler interpolates sigma between trained levels where k-diffusion interpolates its logarithm
    close(sigmas("normal", steps, model), euler(config, steps, timestep_spacing="linspace"), 1e-4)
    close(sigmas("karras", steps, model), euler(config, steps, timestep_spacing="linspace", use_karras_sigmas=True))
    close(sigmas("exponential", steps, model), euler(config, steps, timestep_spacing="linspace", use_exponential_sigmas=True))
    close(sigmas("beta", steps, model), euler(config, steps, timestep_spacing="linspace", use_beta_sigmas=True))
    if 1000 % steps == 0:
        close(sigmas("simple", steps, model), euler(config, steps, timestep_spacing="trailing"))


def test_sgm_uniform_spaces_timesteps_evenly_down_to_clean():
    model = ModelSigmas.from_config(SD)
    timesteps = [model.timestep(sigma) for sigma in sigmas("sgm_uniform", 8, model)[:-1]]
    assert timesteps == pytest.approx([999 * (1 - index / 8) for index in range(8)])


@config
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_lists_fall_and_end_in_zero(schedule, config):
    model = ModelSigmas.from_config(config, "sdxl")
    if schedule == "align_your_steps" and config is not SD:
        return
    for steps, spare in itertools.product((1, 2, 5, 10, 20, 150), (False, True)):
        if steps > {"turbo": 10, "lcm": 50}.get(schedule, 150):
            continue
        levels = sigmas(schedule, steps, model, discard_penultimate=spare)
        assert len(levels) == steps + 1
        assert levels[-1] == 0.0
        assert all(isinstance(level, float) and math.isfinite(level) for level in levels)
        assert all(high > low for high, low in itertools.pairwise(levels))
        if schedule != "ddim_uniform":  # DDIM's own starts lower
            assert levels[0] == pytest.approx(model.sigma_max, rel=1e-4)


def test_a1111_spares_the_last_level_for_some_samplers_and_on_demand_for_all():
    model = ModelSigmas.from_config(SD)
    more = [*sigmas("karras", 21, model)[:-2], 0.0]
    for name, spared in (("dpm2", True), ("dpm2_a", True), ("dpmpp_3m_sde", True), ("dpmpp_2m", False)):
        assert (levels_of(SCHEDULERS[name], "karras", 20, model)[1] == more) == spared
        assert levels_of(SCHEDULERS[name], "karras", 20, model, SamplerSettings(discard_penultimate=True))[1] == more


@pytest.mark.parametrize("rho", [0.0, 0.7, 1.0, 3.0])
def test_polyexponential_is_k_diffusions(rho):
    model = ModelSigmas.from_config(SD)
    ours = sigmas("polyexponential", 12, model, SamplerSettings(rho=rho))
    close(ours, sampling().get_sigmas_polyexponential(12, model.sigma_min, model.sigma_max, rho=rho or 1.0))


@pytest.mark.parametrize("schedule", ["karras", "exponential", "polyexponential", "normal", "beta", "kl_optimal"])
def test_range_and_curve_may_be_set(schedule):
    model = ModelSigmas.from_config(SD)
    levels = sigmas(schedule, 8, model, SamplerSettings(sigma_min=0.1, sigma_max=10.0))
    assert levels[0] == pytest.approx(10.0) and levels[-2] == pytest.approx(0.1)
    curved = sigmas("karras", 8, model, SamplerSettings(sigma_min=0.1, sigma_max=10.0, rho=3.0))
    close(curved, sampling().get_sigmas_karras(8, 0.1, 10.0, rho=3.0))


def test_a_range_without_levels_is_a_sentence():
    model = ModelSigmas.from_config(SD)
    with pytest.raises(InvalidRequest, match="sigma_min leaves no noise levels: they would go from 14") as caught:
        sigmas("karras", 8, model, SamplerSettings(sigma_min=20.0))
    assert caught.value.field == "sigma_min"
    with pytest.raises(InvalidRequest, match="sigma_max leaves no noise levels"):
        sigmas("karras", 8, model, SamplerSettings(sigma_max=0.01))


@pytest.mark.parametrize("steps", [1, 5, 20, 150])
def test_ddim_uniform_is_diffusers_leading(steps):
    close(sigmas("ddim_uniform", steps, ModelSigmas.from_config(SD)), euler(SD, steps, timestep_spacing="leading"), 1e-5)


@pytest.mark.parametrize(("family", "table"), [("sd1", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_align_your_steps_are_the_papers(family, table):
    model = ModelSigmas.from_config(SD, family)
    eleven = sigmas("align_your_steps", 11, model)
    assert eleven[:10] == pytest.approx(AysSchedules[f"{table}Sigmas"][:10]) and eleven[10:] == [0.029, 0.0]
    more = sigmas("align_your_steps", 21, model)
    assert more[:-1:2] == pytest.approx(eleven[:-1])
    assert more[1] == pytest.approx(math.sqrt(more[0] * more[2]))
    for other in (ModelSigmas.from_config(SD, "sd2"), ModelSigmas.from_config(BUILT_IN, family)):
        with pytest.raises(InvalidRequest, match="'align_your_steps' is made for the noise levels of sd1, sdxl, svd only"):
            sigmas("align_your_steps", 10, other)


def test_kl_optimal_is_even_in_the_arctangent():
    model = ModelSigmas.from_config(SD)
    angles = [math.atan(sigma) for sigma in sigmas("kl_optimal", 9, model)[:-1]]
    gaps = [high - low for high, low in itertools.pairwise(angles)]
    assert gaps == pytest.approx([gaps[0]] * 8)
    assert math.tan(angles[-1]) == pytest.approx(model.sigma_min)


@pytest.mark.parametrize("steps", [2, 7, 20, 64])
def test_linear_quadratic_is_mochis(steps):
    assert sigmas("linear_quadratic", steps, FlowSigmas())[:-1] == pytest.approx(linear_quadratic_schedule(steps, 0.025))


def test_beta_over_timesteps_is_dense_at_both_ends_of_them():
    model = ModelSigmas.from_config(SD)
    timesteps = [model.timestep(sigma) for sigma in sigmas("beta_timesteps", 20, model)[:-1]]
    gaps = [high - low for high, low in itertools.pairwise([*timesteps, 0.0])]
    assert timesteps[0] == 999 and gaps[0] < gaps[9] / 2 and gaps[-1] < gaps[9] / 2
    assert timesteps[10] == pytest.approx(499.5)  # the middle of a symmetric distribution is its middle


def test_distilled_schedules_take_the_timesteps_of_the_distillation():
    model = ModelSigmas.from_config(SD)
    at = lambda schedule, steps: [round(model.timestep(sigma)) for sigma in sigmas(schedule, steps, model)[:-1]]  # noqa: E731
    assert at("turbo", 1) == [999] and at("turbo", 4) == [999, 899, 799, 699]
    for steps in (1, 4, 8, 50):
        scheduler = LCMScheduler.from_config(SD)
        scheduler.set_timesteps(steps)
        assert at("lcm", steps) == scheduler.timesteps.tolist()
    with pytest.raises(InvalidRequest, match="'turbo' cannot do 11 steps; it has 10"):
        sigmas("turbo", 11, model)
    assert len(levels_of(SCHEDULERS["dpm2"], "turbo", 10, model)[1]) == 11


def test_automatic_honours_what_few_step_checkpoints_say():
    trailing = ModelSigmas.from_config(SD | {"timestep_spacing": "trailing"})
    assert levels_of(SCHEDULERS["dpmpp_2m"], "automatic", 4, trailing) == ("simple", sigmas("simple", 4, trailing))
    assert levels_of(SCHEDULERS["dpmpp_2m"], "automatic", 4, ModelSigmas.from_config(SD))[0] == "karras"
    assert levels_of(SCHEDULERS["dpm_fast"], "automatic", 4, trailing)[0] == "karras"  # takes the ends alone


def test_names_are_those_of_the_table():
    assert tuple(SCHEDULES) == SIGMA_SCHEDULES
    with pytest.raises(UnknownName, match="There is no schedule named 'ays'; known: align_your_steps, beta, "):
        sigmas("ays", 20, ModelSigmas.from_config(SD))


def test_more_steps_than_trained_levels_is_said():
    with pytest.raises(InvalidRequest, match="fewer than 150 different noise levels"):
        sigmas("simple", 150, ModelSigmas.from_config(SD | {"num_train_timesteps": 100}))


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_levels_are_diffusers_own(schedule):
    config = SD | {"beta_schedule": schedule}
    signals = DDIMScheduler.from_config(config).alphas_cumprod
    assert ModelSigmas.from_config(config).sigmas == tuple((((1 - signals) / signals) ** 0.5).tolist())


def test_trained_betas_and_unset_keys():
    betas = [0.001 * index for index in range(1, 51)]
    assert len(ModelSigmas.from_config({"trained_betas": betas, "num_train_timesteps": 50}).sigmas) == 50
    unset = SD | {"_use_default_values": ["beta_start", "beta_end", "beta_schedule"]}  # diffusers means its own defaults by that
    assert ModelSigmas.from_config(unset) == ModelSigmas.from_config({"num_train_timesteps": 1000})


def test_zero_terminal_snr_is_finite():
    model = ModelSigmas.from_config(SD | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"})
    assert model.sigma_max == 4096.0
    assert all(high > low for low, high in itertools.pairwise(model.sigmas))


@config
def test_timestep_and_sigma_are_inverse(config):
    model = ModelSigmas.from_config(config)
    assert [model.timestep(sigma) for sigma in model.sigmas] == pytest.approx(list(range(1000)), abs=1e-9)
    for timestep in (0.0, 0.25, 1.5, 498.75, 998.5, 999.0):
        assert model.timestep(model.sigma(timestep)) == pytest.approx(timestep, abs=1e-9)
    assert model.timestep(model.sigma_min / 2) == 0.0
    assert model.timestep(model.sigma_max * 2) == 999.0


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_clean_estimate_of_every_prediction(prediction_type):
    model = ModelSigmas.from_config(BUILT_IN | {"prediction_type": prediction_type})
    for sigma in (0.02, 1.0, 150.0):
        x = torch.randn(SHAPE, dtype=torch.float64) * sigma
        output = model_output(model.model_input(x, sigma), model.timestep(sigma), model)
        assert difference(model.denoised(output, x, sigma), clean(x, sigma)) < 1e-9


def test_unknown_prediction_is_a_sentence():
    with pytest.raises(CheckpointError, match="predicts 'flow_prediction'; the samplers know"):
        ModelSigmas.from_config(SD | {"prediction_type": "flow_prediction"})
