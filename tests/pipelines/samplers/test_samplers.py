"""Every sampler that k-diffusion has against it, on every schedule and with every setting, on a denoiser that is known exactly."""

import itertools
import math

import pytest
import torch

from pipelines.names import SCHEDULERS, SamplerSettings
from pipelines.samplers import SAMPLERS, SCHEDULES, Denoise, ModelSigmas, Settings, Stepped, levels_of, make_noise, sample, sigmas, told
from pipelines.samplers.noise import brownian, independent

from .k_diffusion_oracle import sampling
from .mixture import BUILT_IN, SD, SHAPE, SPREAD, centres, clean, difference, drive
from .parity import K_DIFFUSION, OWN_STEPS

STEPS = 20
CALLS = {
    "heun": 2, "heunpp2": 3, "dpm_2": 2, "dpm_2_ancestral": 2, "dpmpp_2s_ancestral": 2, "dpmpp_sde": 2, "seeds_2": 2, "seeds_3": 3,
    "exp_heun_2_x0": 2, "restart": 2,
}  # fmt: skip
ORACLES = {**K_DIFFUSION, "res_multistep": ("dpmpp_2m_sde", {"solver_type": "heun"}, True)}  # the same solver, found twice
WITH_ETA = [name for name, (_, _, noisy) in ORACLES.items() if noisy]
WITH_CHURN = ("euler", "heun", "dpm_2")
OWN = {name: spec for name, spec in SCHEDULERS.items() if spec.sampler}
PLAIN_SCHEDULES = [name for name in SCHEDULES if name not in ("align_your_steps", "turbo")]


def start(levels, dtype=torch.float32, seed=3):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=dtype) * levels[0]


def exact(ask):
    estimate = clean(ask.x, ask.sigma)
    return torch.cat([estimate, estimate]) if ask.unguided else estimate


def ours(name, x, levels, noise, settings=Settings()):
    return drive(SAMPLERS[name](x, levels, noise, settings), exact)


def oracle(name, x, levels, noise, **told):
    function, more, noisy = ORACLES[name]
    extra = {**more, **told}
    if noisy:
        extra["noise_sampler"] = lambda sigma, next_sigma: noise(float(sigma), float(next_sigma))
    model = lambda latents, sigma: clean(latents, float(sigma[0]))  # noqa: E731
    if name in OWN_STEPS:
        extra |= {"sigma_min": levels[-2], "sigma_max": levels[0]} | ({"n": len(levels) - 1} if name == "dpm_fast" else {})
    else:
        extra["sigmas"] = torch.tensor(levels, dtype=torch.float64)
    return getattr(sampling(), f"sample_{function}")(model, x, disable=True, **extra)


def tolerances(name, levels, schedule="karras"):
    if name in OWN_STEPS:  # the oracle keeps its place in single precision
        return ((torch.float64, 1e-4 if name == "dpm_adaptive" else 1e-5),)
    # steep ends (from sigma 19 to 0.01 in one step) magnify what single precision rounds, and a cubic through crowded levels more
    single = {"beta": 1e-4, "beta_timesteps": 1e-4, "linear_quadratic": 1e-3 if name == "lms" else 1e-4}.get(schedule, 1e-5)
    return (torch.float64, 1e-11), (torch.float32, single)


@pytest.mark.parametrize("config", [SD, BUILT_IN], ids=["sd", "built-in"])
@pytest.mark.parametrize("name", ORACLES)
def test_equals_k_diffusion(name, config):
    schedules = ["karras"] if name in OWN_STEPS else PLAIN_SCHEDULES
    for schedule in schedules:
        levels = sigmas(schedule, STEPS, ModelSigmas.from_config(config))
        for dtype, tolerance in tolerances(name, levels, schedule):
            x = start(levels, dtype)
            noises = [independent(x, torch.Generator().manual_seed(11)) for _ in range(2)]
            result, _ = ours(name, x, levels, noises[0])
            assert difference(result, oracle(name, x, levels, noises[1])) <= tolerance, schedule


@pytest.mark.parametrize(
    ("name", "eta", "s_noise"),
    # between the ODE and the SDE, an ancestral step (of RES) is another than the SDE's
    [(name, *told) for name in WITH_ETA for told in ((0.0, 1.0), (0.4, 1.0), (0.7, 1.05)) if name != "res_multistep" or not told[0]],
)
def test_eta_and_strength_of_noise_are_k_diffusions(name, eta, s_noise):
    levels = sigmas("karras", STEPS, ModelSigmas.from_config(SD))
    x = start(levels, torch.float64)
    noises = [independent(x, torch.Generator().manual_seed(11)) for _ in range(2)]
    result, _ = ours(name, x, levels, noises[0], Settings(eta=eta, s_noise=s_noise))
    drawn = (lambda *between: 0 * x) if eta == 0 else noises[1]  # ours asks for none where none is needed
    assert difference(result, oracle(name, x, levels, drawn, eta=eta, s_noise=s_noise)) <= tolerances(name, levels)[0][1]


@pytest.mark.parametrize("name", WITH_CHURN)
@pytest.mark.parametrize(("s_churn", "s_tmin", "s_tmax"), [(5.0, 0.0, math.inf), (100.0, 0.1, 5.0)])
def test_churn_is_k_diffusions(name, s_churn, s_tmin, s_tmax, monkeypatch):
    levels = sigmas("karras", STEPS, ModelSigmas.from_config(SD))
    x = start(levels, torch.float64)
    told = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": 1.01}
    result, _ = ours(name, x, levels, independent(x, torch.Generator().manual_seed(11)), Settings(**told))
    stream = independent(x, torch.Generator().manual_seed(11))
    monkeypatch.setattr(torch, "randn_like", lambda x: stream(0.0, 0.0))
    assert difference(result, oracle(name, x, levels, None, **told)) <= 1e-11
    calm, _ = ours(name, x, levels, independent(x, torch.Generator().manual_seed(11)))
    assert difference(result, calm) > 1e-2


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
@pytest.mark.parametrize("name", OWN)
def test_every_row_on_every_schedule_and_any_number_of_steps(name, config):
    spec = OWN[name]
    model = ModelSigmas.from_config(config, "sd1")
    aligned = abs(model.sigma_max - 14.6) < 1
    for schedule, steps in [("automatic", 40), *itertools.product(("automatic", *spec.schedules), (1, 2, 5))]:
        if schedule == "align_your_steps" and not aligned:
            continue
        _, levels = levels_of(spec, schedule, steps, model)
        assert levels[-1] == 0 and len(levels) == steps + 1
        run = sample(spec, model, start(levels), levels, torch.Generator().manual_seed(1))
        result, reports = drive(run, exact)
        assert torch.isfinite(result).all(), (schedule, steps)
        assert reports[-1].index == reports[-1].total, (schedule, steps)
        assert all(report.total == reports[0].total and torch.isfinite(report.denoised).all() for report in reports)
        assert reports[-1].latents is result
        indices = [report.index for report in reports]
        if spec.sampler in OWN_STEPS:
            assert indices == sorted(indices) and indices[0] >= 1
        else:
            assert indices == list(range(1, reports[0].total + 1))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("config", [SD, BUILT_IN], ids=["sd", "built-in"])
def test_arrives_at_the_data(name, config):
    """Each sampler reaches one of the mixture's centres, at the mixture's own spread; consistency sampling at the centre itself."""
    model = ModelSigmas.from_config(config)
    _, levels = levels_of(OWN[name], "automatic" if name.startswith("dpm_") else "karras", 30, model)
    spreads = []
    for seed in range(6):
        result, _ = drive(sample(OWN[name], model, start(levels, seed=seed), levels, torch.Generator().manual_seed(seed)), exact)
        spreads.append(min(float((result - centre).std()) for centre in centres().float()))
    least = 0.4 if name == "lcm" else 0.7
    assert least * SPREAD < sum(spreads) / len(spreads) < 1.3 * SPREAD


@pytest.mark.parametrize("name", [name for name, spec in OWN.items() if spec.sampler not in (*OWN_STEPS, "restart")])
def test_a_pass_that_stops_early_goes_on_as_one(name):
    """Samplers without memory reach the same from the middle; all others at least come close, and all end at the level they are told."""
    spec = OWN[name]
    model = ModelSigmas.from_config(SD)
    _, levels = levels_of(spec, "karras", 30, model)
    settings = SamplerSettings(eta=0.0)
    x = start(levels, torch.float64)
    whole, _ = drive(sample(spec, model, x, levels, torch.Generator().manual_seed(1), settings), exact)
    half, _ = drive(sample(spec, model, x, levels[:21], torch.Generator().manual_seed(1), settings), exact)
    joined, _ = drive(sample(spec, model, half, levels[20:], torch.Generator().manual_seed(1), settings), exact)
    if spec.sampler in ("euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "seeds_2"):
        assert difference(joined, whole) < 1e-9
    elif spec.sampler not in ("lcm", "er_sde"):  # whose noise goes on elsewhere
        assert difference(joined, whole) < 0.05


@pytest.mark.parametrize("name", sorted(name for name in SAMPLERS if name not in OWN_STEPS and not name.endswith("cfg_pp")))
def test_estimates_asked_for_and_reported(name):
    levels = sigmas("karras", 6, ModelSigmas.from_config(SD))
    asked = []

    def answer(ask):
        assert isinstance(ask, Denoise) and isinstance(ask.sigma, float) and ask.x.shape == SHAPE
        asked.append(exact(ask))
        return asked[-1]

    x = start(levels)
    _, reports = drive(SAMPLERS[name](x, levels, make_noise(name, x, levels, torch.Generator().manual_seed(1)), Settings()), answer)
    calls = CALLS.get(name, 1)
    # the last step always needs one; Heun++ needs two for the last but one
    assert len(asked) == calls * 6 - (calls - 1) - (1 if name == "heunpp2" else 0)
    told = asked[: calls * 5 : calls] if name != "heunpp2" else asked[:12:3]
    assert all(report.denoised is estimate for report, estimate in zip(reports, told, strict=False))
    assert reports[-1].denoised is asked[-1]


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 7, 20])
def test_dpm_fast_asks_as_often_as_it_is_told(steps):
    levels = sigmas("karras", steps, ModelSigmas.from_config(SD))
    asked = []
    x = start(levels)
    _, reports = drive(
        SAMPLERS["dpm_fast"](x, levels, independent(x, torch.Generator()), Settings()), lambda ask: asked.append(ask) or exact(ask)
    )
    assert len(asked) == steps == reports[-1].index


def test_dpm_adaptive_ends_whatever_the_model_says():
    levels = sigmas("karras", 20, ModelSigmas.from_config(SD))
    x = start(levels)
    for wrong in (lambda ask: torch.full_like(ask.x, math.nan), lambda ask: torch.randn(SHAPE) * 1e6):
        asked = []
        drive(SAMPLERS["dpm_adaptive"](x, levels, independent(x, torch.Generator()), Settings()), lambda ask: asked.append(1) or wrong(ask))
        assert len(asked) < 5000


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {*OWN_STEPS, "restart"}))
def test_latents_sent_back_after_a_step_are_used(name):
    levels = sigmas("karras", 4, ModelSigmas.from_config(SD))
    x = start(levels)
    run = SAMPLERS[name](x, levels, make_noise(name, x, levels, torch.Generator().manual_seed(1)), Settings())
    message = next(run)
    while not isinstance(message, Stepped):
        message = run.send(exact(message))
    changed = torch.full(SHAPE, 2.5)
    asked = run.send(changed)
    assert asked.x is changed and asked.sigma == levels[1]


def test_a_question_must_be_answered():
    run = SAMPLERS["euler"](torch.zeros(SHAPE), [1.0, 0.0], independent(torch.zeros(SHAPE), torch.Generator()), Settings())
    next(run)
    with pytest.raises(TypeError, match="must be sent a tensor"):
        run.send(None)


def test_a_sampler_is_told_only_what_it_knows():
    given = SamplerSettings(eta=0.3, s_churn=4, s_tmax=0, s_noise=1.1)
    assert told(SCHEDULERS["euler_a"], given) == Settings(eta=0.3, s_noise=1.1)
    assert told(SCHEDULERS["euler"], given) == Settings(eta=0.0, s_churn=4, s_tmax=math.inf, s_noise=1.1)
    assert told(SCHEDULERS["dpmpp_2m"], given) == Settings(eta=0.0)
    assert told(SCHEDULERS["dpmpp_sde"], SamplerSettings()).eta == 1.0
    assert told(SCHEDULERS["ddim"], given).eta == 0.3


def test_a1111s_seed_delta_moves_ancestral_noise_and_leaves_brownian_paths():
    model = ModelSigmas.from_config(SD)

    def made(name, delta):
        _, levels = levels_of(SCHEDULERS[name], "karras", 4, model)
        settings = SamplerSettings(eta_noise_seed_delta=delta)
        return drive(sample(SCHEDULERS[name], model, start(levels), levels, torch.Generator().manual_seed(5), settings), exact)[0]

    assert not torch.equal(made("euler_a", 0), made("euler_a", 31337))
    assert torch.equal(made("dpmpp_sde", 0), made("dpmpp_sde", 31337))
    _, levels = levels_of(SCHEDULERS["euler_a"], "karras", 4, model)
    stream = independent(start(levels), torch.Generator().manual_seed(5 + 31337))
    assert torch.equal(made("euler_a", 31337), ours("euler_ancestral", start(levels), levels, stream)[0])
