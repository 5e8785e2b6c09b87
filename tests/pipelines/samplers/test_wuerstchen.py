"""Noise along a cosine: levels and times are diffusers', its steps too, and our samplers find what an exact model knows."""

import diffusers
import pytest
import torch

from pipelines.names import SCHEDULERS
from pipelines.samplers import adapt, build_scheduler, set_steps, trained
from pipelines.samplers.protocol import Model, Stepped

CONFIGS = [{"_class_name": "DDPMWuerstchenScheduler", "s": 0.008, "scaler": scaler} for scaler in (1.0, 2.0, 0.5)]
each_config = pytest.mark.parametrize("config", CONFIGS, ids=["plain", "bent up", "bent down"])


@each_config
def test_levels_and_times_are_diffusers(config):
    model, theirs = trained(config), diffusers.DDPMWuerstchenScheduler.from_config(config)
    for time in torch.linspace(0.02, 0.95, 20):
        signal = theirs._alpha_cumprod(time, time.device).double().item()
        sigma = model.sigma(time.item())
        assert sigma == pytest.approx(((1 - signal) / signal) ** 0.5, rel=1e-4)
        if 0.0001 < signal < 0.9999:
            assert model.timestep(sigma) == pytest.approx(time.item(), abs=1e-6)
    assert (model.kind, model.sigma_min, model.sigma_max) == ("cosine", pytest.approx(0.01, rel=1e-3), pytest.approx(100, rel=1e-3))
    assert list(model.sigmas) == sorted(set(model.sigmas)) and len(model.sigmas) == 1000


@each_config
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_run_is_diffusers_to_the_bit_and_tells_the_clean_estimate(config, steps):
    def output(x, time):
        return torch.sin(3 * x) * (0.5 + time)

    scheduler = build_scheduler(SCHEDULERS["wuerstchen"], config)
    timesteps = set_steps(scheduler, steps)
    start = torch.randn(1, 16, 3, 3, generator=torch.Generator().manual_seed(1))
    running, reply = adapt(scheduler, start, timesteps, torch.Generator().manual_seed(2)), None
    asked, reports = [], []
    try:
        while True:
            said = running.send(reply)
            if isinstance(said, Model):
                asked.append(said)
                reply = output(said.latents, said.timestep)
            else:
                assert isinstance(said, Stepped)
                reports.append(said.denoised)
                reply = None
    except StopIteration as end:
        made = end.value
    theirs, generator, x = diffusers.DDPMWuerstchenScheduler.from_config(config), torch.Generator().manual_seed(2), start
    theirs.set_timesteps(steps)
    for time in theirs.timesteps[:-1]:
        x = theirs.step(output(x, time), time.expand(1), x, generator=generator).prev_sample
    assert torch.equal(made, x) and len(asked) == len(reports) == steps
    for question, report in zip(asked, reports, strict=True):
        sigma = trained(config).sigma(float(question.timestep))
        clean = question.latents * (1 + sigma**2) ** 0.5 - sigma * output(question.latents, question.timestep)
        torch.testing.assert_close(report, clean, rtol=1e-3, atol=1e-2)


def test_only_such_checkpoints_take_the_class():
    from pipelines.errors import InvalidRequest

    with pytest.raises(InvalidRequest, match="cannot do diffusion checkpoints"):
        build_scheduler(SCHEDULERS["wuerstchen"], {"_class_name": "DDIMScheduler"})
