"""The adapter against diffusers' own loop, bit for bit, and its clean estimates against an exact denoiser."""

import inspect

import diffusers
import pytest
import torch

from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.names import SCHEDULERS, SchedulerSpec
from pipelines.samplers import Model, ModelSigmas, Stepped, adapt, build_scheduler, set_steps

from .mixture import BUILT_IN, SD, SHAPE, clean, difference, drive, model_output

pytestmark = [  # what diffusers does with NumPy 2, and torchsde with the last digit of a sigma
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Should have t:UserWarning"),
]

CLASSES = (
    "DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "LMSDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler", "UniPCMultistepScheduler",
    "DEISMultistepScheduler", "SASolverScheduler", "LCMScheduler", "TCDScheduler",
)  # fmt: skip
DIFFUSERS = {name: spec for name, spec in SCHEDULERS.items() if spec.cls and "diffusion" in spec.kinds}
ZERO_SNR = SD | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
VARIANTS = [(name, schedule) for name, spec in DIFFUSERS.items() for schedule in ("automatic", *spec.schedules)]
each_class = pytest.mark.parametrize("cls", CLASSES)


def spec_of(cls, **config):
    return SchedulerSpec(cls, cls=cls, config=config)


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def run(scheduler, timesteps, x, model, generator):
    return drive(adapt(scheduler, x, timesteps, generator), lambda ask: model_output(ask.latents, float(ask.timestep), model))


def diffusers_loop(scheduler, timesteps, x, model, generator):
    """The loop of diffusers' Stable Diffusion pipelines."""
    accepted = inspect.signature(scheduler.step).parameters
    extra = {name: value for name, value in {"eta": 0.0, "generator": generator}.items() if name in accepted}
    for timestep in timesteps:
        output = model_output(scheduler.scale_model_input(x, timestep), float(timestep), model)
        x = scheduler.step(output, timestep, x, **extra, return_dict=False)[0]
    return x


def diffusers_steps(scheduler, steps, strength):
    """As diffusers' txt2img and img2img pipelines choose them."""
    scheduler.set_timesteps(steps)
    if strength == 1:
        return scheduler.timesteps
    begin = (steps - int(steps * strength)) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return scheduler.timesteps[begin:]


def ours(scheduler, steps, strength):
    return set_steps(scheduler, steps, steps - int(steps * strength))


@each_class
@pytest.mark.parametrize("config", [SD, BUILT_IN], ids=["epsilon", "v_prediction"])
@pytest.mark.parametrize("strength", [1, 0.6])
def test_equals_diffusers_loop_bit_for_bit(cls, config, strength):
    model, results = ModelSigmas.from_config(config), []
    spec = spec_of(cls, noise_sampler_seed=[5]) if cls == "DPMSolverSDEScheduler" else spec_of(cls)
    for choose, loop in ((ours, lambda *arguments: run(*arguments)[0]), (diffusers_steps, diffusers_loop)):
        scheduler, generator = build_scheduler(spec, config), seeded()
        timesteps = choose(scheduler, 10, strength)
        noise = torch.randn(SHAPE, generator=generator)
        x = noise * scheduler.init_noise_sigma if strength == 1 else scheduler.add_noise(torch.ones(SHAPE), noise, timesteps[:1])
        results.append(loop(scheduler, timesteps, x, model, generator))
    assert torch.equal(*results)
    assert torch.isfinite(results[0]).all()


@each_class
@pytest.mark.parametrize("config", [SD, BUILT_IN], ids=["epsilon", "v_prediction"])
def test_clean_estimate_is_exact(cls, config):
    """At every call, also the intermediate ones of second-order classes."""
    model = ModelSigmas.from_config(config)
    scheduler, asked = build_scheduler(spec_of(cls), config), []
    timesteps = set_steps(scheduler, 12)

    def answer(ask: Model):
        sigma = model.sigma(float(ask.timestep))
        asked.append(clean(ask.latents.double() * (1 + sigma**2) ** 0.5, sigma))
        return model_output(ask.latents, float(ask.timestep), model)

    generator = seeded()
    x = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    _, reports = drive(adapt(scheduler, x, timesteps, generator), answer)
    # classes that round a timestep between two levels ask about another sigma than they step from
    tolerance = 2e-2 if cls in ("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverSDEScheduler") else 1e-4
    assert len(reports) == len(asked)
    assert [report.index for report in reports] == list(range(1, len(timesteps) + 1))
    for report, exact in zip(reports, asked, strict=True):
        assert difference(report.denoised.double(), exact) < tolerance


@pytest.mark.parametrize("cls", ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "UniPCMultistepScheduler"])
def test_clean_estimate_of_flow_models(cls):
    """x = (1 - s)·x0 + s·noise; the model tells noise - x0."""
    spec = spec_of(cls, use_flow_sigmas=True, prediction_type="flow_prediction", num_train_timesteps=1000)
    scheduler, asked = build_scheduler(spec, {}), []

    def answer(ask: Model):
        x, sigma = ask.latents.double(), float(scheduler.sigmas[scheduler.step_index or 0])
        asked.append(clean(x / (1 - sigma + 1e-9), sigma / (1 - sigma + 1e-9)))
        return ((x - asked[-1]) / sigma).to(ask.latents)

    _, reports = drive(adapt(scheduler, torch.randn(SHAPE, generator=seeded()), set_steps(scheduler, 8), seeded()), answer)
    for report, exact in zip(reports, asked, strict=True):
        assert difference(report.denoised.double(), exact) < 1e-4


@pytest.mark.parametrize(("name", "schedule"), VARIANTS)
@pytest.mark.parametrize("config", [SD, BUILT_IN, ZERO_SNR], ids=["sd", "built-in", "zero-snr"])
def test_every_row_of_the_table_runs_at_any_number_of_steps(name, schedule, config):
    model = ModelSigmas.from_config(config)
    for steps in (1, 2, 3, 8, 50):
        scheduler, generator = build_scheduler(DIFFUSERS[name], config, schedule), seeded()
        timesteps = set_steps(scheduler, steps)
        result, reports = run(scheduler, timesteps, torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma, model, generator)
        assert torch.isfinite(result).all(), steps
        assert all(torch.isfinite(report.denoised).all() for report in reports), steps


def test_automatic_keeps_the_checkpoints_spacing_and_a_schedule_replaces_it():
    spec = DIFFUSERS["unipc"]
    config = SD | {"use_karras_sigmas": True}
    assert build_scheduler(spec, config).config.timestep_spacing == "leading"
    assert build_scheduler(spec, config).config.use_karras_sigmas
    chosen = build_scheduler(spec, config, "exponential").config
    assert (chosen.timestep_spacing, chosen.use_karras_sigmas, chosen.use_exponential_sigmas) == ("linspace", False, True)
    own = SchedulerSpec("x", cls="UniPCMultistepScheduler", config={"timestep_spacing": "trailing"}, schedules=spec.schedules)
    assert build_scheduler(own, config, "karras").config.timestep_spacing == "trailing"


@pytest.mark.parametrize("schedule", ["karras", "exponential"])
def test_a_chosen_schedule_starts_at_the_largest_sigma(schedule):
    scheduler = build_scheduler(DIFFUSERS["unipc"], SD, schedule)
    set_steps(scheduler, 20)
    assert float(scheduler.sigmas[0]) == pytest.approx(ModelSigmas.from_config(SD).sigma_max, rel=1e-4)


def test_automatic_is_what_diffusers_from_config_gives():
    loaded = diffusers.PNDMScheduler.from_config(SD).config  # with diffusers' note of what the file left unsaid
    assert build_scheduler(spec_of("EulerDiscreteScheduler"), loaded).config == diffusers.EulerDiscreteScheduler.from_config(loaded).config


def test_a_row_overrules_what_the_checkpoint_left_unsaid():
    loaded = diffusers.DDIMScheduler.from_config({"_class_name": "DDIMScheduler"}).config
    assert loaded.clip_sample and "clip_sample" in loaded["_use_default_values"]
    assert not build_scheduler(DIFFUSERS["ddim"], loaded).config.clip_sample


def test_wrong_names_and_schedules_are_sentences():
    with pytest.raises(UnknownName, match="There is no scheduler class named 'NoSuchScheduler'"):
        build_scheduler(spec_of("NoSuchScheduler"), SD)
    with pytest.raises(InvalidRequest, match="does not go with scheduler 'DDIM'"):
        build_scheduler(DIFFUSERS["ddim"], SD, "karras")


def test_settings_that_diffusers_does_not_know_are_a_sentence():
    with pytest.raises(CheckpointError, match="DDIM cannot work with this checkpoint's scheduler settings: "):
        build_scheduler(DIFFUSERS["ddim"], SD | {"beta_schedule": "quartic"})
    with pytest.raises(CheckpointError, match="scheduler settings cannot be used: quartic"):
        ModelSigmas.from_config(SD | {"beta_schedule": "quartic"})


def test_steps_beyond_a_class_are_a_sentence():
    with pytest.raises(InvalidRequest, match="LCMScheduler cannot do 60 steps"):
        set_steps(build_scheduler(spec_of("LCMScheduler"), SD), 60)


def test_brownian_class_repeats_with_the_pictures_seed():
    results = []
    for seed in (1, 1, 2):
        scheduler = build_scheduler(spec_of("DPMSolverSDEScheduler"), SD)
        x = torch.ones(SHAPE) * scheduler.init_noise_sigma
        timesteps = set_steps(scheduler, 5)
        results.append(run(scheduler, timesteps, x, ModelSigmas.from_config(SD), seeded(seed))[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_latents_sent_back_after_a_step_are_used():
    scheduler = build_scheduler(DIFFUSERS["ddim"], SD)
    sampling = adapt(scheduler, torch.randn(SHAPE), set_steps(scheduler, 4), seeded())
    ask = next(sampling)
    assert isinstance(sampling.send(torch.zeros_like(ask.latents)), Stepped)
    changed = torch.full(SHAPE, 0.5)
    assert torch.equal(sampling.send(changed).latents, changed)
