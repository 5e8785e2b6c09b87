"""Every sampler on every schedule against k-diffusion, on a denoiser that is known exactly."""

import itertools

import pytest
import torch

from pipelines.samplers import SAMPLERS, SCHEDULES, Denoise, ModelSigmas, Stepped, make_noise, sigmas
from pipelines.samplers.noise import brownian, independent

from .k_diffusion_oracle import sampling
from .mixture import BUILT_IN, SD, SHAPE, SPREAD, centres, clean, difference, drive

STEPS = 20
STOCHASTIC = ("euler_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde")
PAIRS = list(itertools.product(SAMPLERS, SCHEDULES))
CALLS = {"heun": 2, "dpm_2": 2, "dpmpp_sde": 2}


def start(levels, dtype=torch.float32, seed=3):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=dtype) * levels[0]


def ours(name, x, levels, noise):
    return drive(SAMPLERS[name](x, levels, noise), lambda ask: clean(ask.x, ask.sigma))


def oracle(name, x, levels, noise):
    extra = {"noise_sampler": lambda sigma, next_sigma: noise(float(sigma), float(next_sigma))} if name in STOCHASTIC else {}
    table = torch.tensor(levels, dtype=torch.float64)
    sampler = getattr(sampling(), f"sample_{name}")
    return sampler(lambda latents, sigma: clean(latents, float(sigma[0])), x, table, disable=True, **extra)


@pytest.mark.parametrize("config", [SD, BUILT_IN], ids=["sd", "built-in"])
@pytest.mark.parametrize(("name", "schedule"), PAIRS)
def test_equals_k_diffusion(name, schedule, config):
    levels = sigmas(schedule, STEPS, ModelSigmas.from_config(config))
    # beta jumps from sigma 19 to 0.01 there, which magnifies what single precision rounds
    single = 5e-5 if (config, schedule) == (BUILT_IN, "beta") else 1e-5
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, single)):
        x = start(levels, dtype)
        noises = [independent(x, torch.Generator().manual_seed(11)) for _ in range(2)]
        result, _ = ours(name, x, levels, noises[0])
        assert difference(result, oracle(name, x, levels, noises[1])) <= tolerance


@pytest.mark.filterwarnings("ignore:Should have t:UserWarning")  # the oracle asks past the ends of its tree
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_brownian_noise_is_that_of_k_diffusion(seed):
    levels = sigmas("karras", 12, ModelSigmas.from_config(SD))
    x = start(levels)
    expected = sampling().BrownianTreeNoiseSampler(x, torch.tensor(levels[-2]), torch.tensor(levels[0]), seed=[seed])
    noise = brownian(x, levels, seed)
    for sigma, next_sigma in itertools.pairwise(levels[:-1]):
        assert difference(noise(sigma, next_sigma), expected(torch.tensor(sigma), torch.tensor(next_sigma))) < 1e-6


def test_noise_depends_on_the_seed_alone_and_is_unit_normal():
    levels = sigmas("exponential", 40, ModelSigmas.from_config(SD))
    x = torch.zeros((1, 4, 32, 32))
    for name in ("euler_ancestral", "dpmpp_sde"):
        draws = [make_noise(name, x, levels, torch.Generator().manual_seed(seed))(levels[5], levels[6]) for seed in (1, 1, 2)]
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])
        assert abs(float(draws[0].std()) - 1) < 0.05


@pytest.mark.parametrize("config", [SD, BUILT_IN, SD | {"rescale_betas_zero_snr": True}], ids=["sd", "built-in", "zero-snr"])
@pytest.mark.parametrize(("name", "schedule"), PAIRS)
def test_any_number_of_steps_is_finite_and_counted(name, schedule, config):
    model = ModelSigmas.from_config(config)
    for steps in (1, 2, 3, 12):
        levels = sigmas(schedule, steps, model, sampler=name)
        x = start(levels)
        result, reports = ours(name, x, levels, make_noise(name, x, levels, torch.Generator().manual_seed(1)))
        assert torch.isfinite(result).all()
        assert [(report.index, report.total) for report in reports] == [(index, steps) for index in range(1, steps + 1)]
        assert reports[-1].latents is result


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("config", [SD, BUILT_IN], ids=["sd", "built-in"])
def test_arrives_at_the_data(name, config):
    """Each sampler reaches one of the mixture's centres, at the mixture's own spread."""
    levels = sigmas("karras", 30, ModelSigmas.from_config(config), sampler=name)
    spreads = []
    for seed in range(6):
        x = start(levels, seed=seed)
        result, _ = ours(name, x, levels, make_noise(name, x, levels, torch.Generator().manual_seed(seed)))
        spreads.append(min(float((result - centre).std()) for centre in centres().float()))
    assert 0.7 * SPREAD < sum(spreads) / len(spreads) < 1.3 * SPREAD


@pytest.mark.parametrize("name", SAMPLERS)
def test_estimates_asked_for_and_reported(name):
    levels = sigmas("karras", 6, ModelSigmas.from_config(SD))
    asked = []

    def answer(ask):
        assert isinstance(ask, Denoise) and isinstance(ask.sigma, float) and ask.x.shape == SHAPE
        asked.append(clean(ask.x, ask.sigma))
        return asked[-1]

    x = start(levels)
    _, reports = drive(SAMPLERS[name](x, levels, make_noise(name, x, levels, torch.Generator().manual_seed(1))), answer)
    calls = CALLS.get(name, 1)
    assert len(asked) == calls * 6 - (calls - 1)  # the last step always needs one
    assert all(report.denoised is asked[(report.index - 1) * calls] for report in reports)


@pytest.mark.parametrize("name", SAMPLERS)
def test_latents_sent_back_after_a_step_are_used(name):
    levels = sigmas("karras", 4, ModelSigmas.from_config(SD))
    x = start(levels)
    run = SAMPLERS[name](x, levels, make_noise(name, x, levels, torch.Generator().manual_seed(1)))
    message = next(run)
    while not isinstance(message, Stepped):
        message = run.send(clean(message.x, message.sigma))
    changed = torch.full(SHAPE, 2.5)
    asked = run.send(changed)
    assert asked.x is changed and asked.sigma == levels[1]


def test_a_question_must_be_answered():
    run = SAMPLERS["euler"](torch.zeros(SHAPE), [1.0, 0.0], independent(torch.zeros(SHAPE), torch.Generator()))
    next(run)
    with pytest.raises(TypeError, match="must be sent a tensor"):
        run.send(None)
