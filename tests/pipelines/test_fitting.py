"""What of a request suits a checkpoint: told before it is asked for, and as the engine has it."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from pipelines import fitting
from pipelines.catalog import Catalog
from pipelines.errors import InvalidRequest
from pipelines.events import Failed, Finished
from pipelines.families import FAMILIES
from pipelines.names import AUTOMATIC, SCHEDULES
from pipelines.samplers.model import ModelSigmas
from pipelines.samplers.schedules import ALIGNED, sigmas
from tests.pipelines.engines import Shelf, engine, latents, of, request, run, toy
from tests.toys import save_toy, toy_components


def test_only_families_with_levels_are_offered_align_your_steps() -> None:
    assert set(fitting.ALIGNED_FAMILIES) == set(ALIGNED)
    assert "align_your_steps" in fitting.schedules(FAMILIES["sd1"], {}) and fitting.schedules(FAMILIES["sd1"], {})[0] == AUTOMATIC
    assert set(fitting.schedules(FAMILIES["sd2"], {})) == set(SCHEDULES) - {"align_your_steps"}
    assert "align_your_steps" not in fitting.schedules(FAMILIES["sd1"], {"beta_schedule": "linear", "beta_end": 0.02})
    assert "align_your_steps" not in fitting.schedules(FAMILIES["sd1"], {"rescale_betas_zero_snr": True})
    assert "turbo" not in fitting.schedules(FAMILIES["sd3"], {})


def test_every_schedule_that_is_offered_runs(tmp_path: Path) -> None:
    components = toy(tmp_path)
    offered = fitting.schedules(components.family, components.scheduler_config)
    events = run(engine(Shelf(toy=components)), *(request(scheduler="euler", schedule=name, num_inference_steps=3) for name in offered))
    assert not of(events, Failed) and len(of(events, Finished)) == len(offered)


def test_fields_without_effect(tmp_path: Path) -> None:
    save_toy(tmp_path / "checkpoints" / "plain")
    parts = toy_components(tmp_path / "tokenizer", in_channels=8)
    StableDiffusionPipeline(**parts).save_pretrained(tmp_path / "checkpoints" / "edits")
    plain, edits = (Catalog([tmp_path]).checkpoint(name) for name in ("plain", "edits"))
    assert set(plain.idle) == {"image_guidance_scale", "prompt_2", "negative_prompt_2"}
    assert set(edits.idle) == {"prompt_2", "negative_prompt_2"}
    assert all(why.endswith(".") for why in plain.idle.values())


def test_what_is_said_to_have_no_effect_has_none(tmp_path: Path) -> None:
    components = toy(tmp_path)
    events = run(engine(Shelf(toy=components)), request(), request(prompt_2="a dog", negative_prompt_2="a bird", exact=True))
    assert torch.allclose(latents(events, "0")[0], latents(events, "1")[0], atol=1e-5)


def test_a_schedule_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="align_your_steps"):
        sigmas("align_your_steps", 10, ModelSigmas([0.1 * index for index in range(1, 1001)], family="sd2"))
