"""A picture is the same alone, beside others of its job and beside strangers, whatever the sampler: all noise is its own."""

import pytest
import torch

from pipelines.names import SCHEDULERS
from tests.pipelines.engines import Shelf, engine, latents, request, run, toy

OWN = [name for name, spec in SCHEDULERS.items() if spec.sampler]
SAME = 1e-4
"""Batches round differently; samplers and guidance magnify that a little."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(toy=toy(tmp_path_factory.mktemp("toy")))


def asked(name, **fields):
    return request(scheduler=name, num_inference_steps=4, **fields)


def apart(a, b):
    """Root mean square of the difference, as a share of the spread."""
    return float((a - b).pow(2).mean().sqrt() / b.std())


def test_pictures_of_a_job_and_of_strangers_are_those_made_alone(shelf):
    together = run(engine(shelf), *(asked(name, num_images_per_prompt=2) for name in OWN))
    for job, name in enumerate(OWN):
        made = latents(together, str(job))
        for index in range(2):
            alone = latents(run(engine(shelf), asked(name, seed=7 + index)))[0]
            assert apart(made[index], alone) < SAME, (name, index)
        assert apart(made[0], made[1]) > 0.1, name


def test_cfg_pp_hears_the_negative_prompt_at_any_guidance(shelf):
    def made(name, **fields):
        return latents(run(engine(shelf), asked(name, **fields)))[0]

    for guidance in (0.6, 1.0):
        told = {"guidance_scale": guidance, "prompt": "a cat"}
        assert apart(made("euler_cfg_pp", **told), made("euler_cfg_pp", negative_prompt="zz", **told)) > 1e-3
    told = {"guidance_scale": 1.0, "prompt": "a cat", "exact": True}
    assert torch.equal(made("euler", **told), made("euler", negative_prompt="zz", **told))


def test_fresh_noise_follows_the_seed_and_the_settings(shelf):
    jobs = {
        "eta 1": asked("euler_a"),
        "again": asked("euler_a"),
        "eta 0": asked("euler_a", eta=0.0),
        "plain": asked("euler", schedule="normal"),
        "churned": asked("euler", schedule="normal", s_churn=10.0),
        "shifted": asked("euler_a", eta_noise_seed_delta=31337),
        "narrow": asked("euler", schedule="normal", sigma_min=0.3),
        "ddim": asked("ddim"),
        "ddim eta 1": asked("ddim", eta=1.0),
    }
    events = run(engine(shelf), *(job.model_copy(update={"exact": True}) for job in jobs.values()))
    made = {name: latents(events, str(job))[0] for job, name in enumerate(jobs)}
    assert torch.equal(made["eta 1"], made["again"])
    assert apart(made["eta 0"], made["plain"]) < SAME
    for one, other in (("eta 1", "eta 0"), ("plain", "churned"), ("eta 1", "shifted"), ("plain", "narrow"), ("ddim", "ddim eta 1")):
        assert apart(made[one], made[other]) > 1e-3, (one, other)
