"""Schedules against k-diffusion and diffusers; noise levels of a model against diffusers and against themselves."""

import itertools
import math

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.names import SIGMA_SCHEDULES
from pipelines.samplers import SCHEDULES, ModelSigmas, model_input, sigmas

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
def test_lists_start_at_the_top_fall_and_end_in_zero(schedule, config):
    model = ModelSigmas.from_config(config)
    for steps, sampler in itertools.product((1, 2, 5, 20, 150), (None, "euler", "dpm_2", "dpmpp_3m_sde")):
        levels = sigmas(schedule, steps, model, sampler)
        assert len(levels) == steps + 1
        assert levels[0] == pytest.approx(model.sigma_max)
        assert levels[-1] == 0.0
        assert all(isinstance(level, float) and math.isfinite(level) for level in levels)
        assert all(high > low for high, low in itertools.pairwise(levels))


def test_a1111_spares_the_last_level_for_dpm2_and_3m_sde():
    model = ModelSigmas.from_config(SD)
    more = sigmas("karras", 21, model)
    assert sigmas("karras", 20, model, "dpm_2") == [*more[:-2], 0.0]
    assert sigmas("karras", 20, model, "dpmpp_2m") == sigmas("karras", 20, model)


def test_names_are_those_of_the_table():
    assert tuple(SCHEDULES) == SIGMA_SCHEDULES
    with pytest.raises(UnknownName, match="There is no schedule named 'ays'; known: beta, "):
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
        output = model_output(model_input(x, sigma), model.timestep(sigma), model)
        assert difference(model.denoised(output, x, sigma), clean(x, sigma)) < 1e-9


def test_unknown_prediction_is_a_sentence():
    with pytest.raises(CheckpointError, match="predicts 'flow_prediction'; the samplers know"):
        ModelSigmas.from_config(SD | {"prediction_type": "flow_prediction"})
