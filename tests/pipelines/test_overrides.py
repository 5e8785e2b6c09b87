"""What a request says against its checkpoint reaches the scheduler, and what means nothing there is told in a sentence."""

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

from pipelines.errors import InvalidRequest
from pipelines.names import SCHEDULERS
from pipelines.overrides import overridden
from pipelines.plan import Denoise, plan
from pipelines.request import Txt2Img
from pipelines.samplers import levels_of, trained
from tests.pipelines.engines import Shelf, components, engine, latents, request, run
from tests.toys import toy_components

FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
VELOCITY = {"prediction_type": "v_prediction"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return toy_components(tmp_path_factory.mktemp("toy"))


def ours(parts, **fields):
    return latents(run(engine(Shelf(toy=components(parts))), request(**fields)))[0]


def theirs(parts, cls, asked, **config):
    scheduler = cls.from_config(parts["scheduler"].config, **config)
    pipeline = StableDiffusionPipeline(**parts | {"scheduler": scheduler})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        asked.prompt, num_inference_steps=asked.num_inference_steps, guidance_scale=asked.guidance_scale, width=64, height=64,
        generator=torch.Generator().manual_seed(asked.seed), output_type="latent",
    ).images  # fmt: skip


def stage(parts, asked):
    return next(one for one in plan(asked, components(parts)) if isinstance(one, Denoise))


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_spacing_of_diffusers_classes_is_their_own(parts, spacing):
    asked = request(scheduler="ddim", timestep_spacing=spacing)
    assert torch.equal(
        ours(parts, scheduler="ddim", timestep_spacing=spacing), theirs(parts, DDIMScheduler, asked, timestep_spacing=spacing)
    )


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_spacing_of_our_samplers_is_diffusers_too(parts, spacing):
    asked = request(scheduler="euler", timestep_spacing=spacing)
    spaced, config = overridden(stage(parts, asked), SCHEDULERS["euler"], parts["scheduler"].config, asked)
    _, levels = levels_of(SCHEDULERS["euler"], spaced.schedule, 4, trained(config))
    scheduler = EulerDiscreteScheduler.from_config(parts["scheduler"].config, timestep_spacing=spacing)
    scheduler.set_timesteps(4)
    torch.testing.assert_close(torch.tensor(levels), scheduler.sigmas, rtol=1e-4, atol=1e-4)
    if spacing != "leading":  # there diffusers' noise is stronger than its first level
        made, expected = (
            ours(parts, scheduler="euler", timestep_spacing=spacing),
            theirs(parts, type(scheduler), asked, timestep_spacing=spacing),
        )
        assert (made - expected).abs().max() < 1e-3 * expected.std()


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_what_the_denoiser_tells(parts, prediction_type):
    made = ours(parts, scheduler="ddim", prediction_type=prediction_type)
    assert torch.equal(made, theirs(parts, DDIMScheduler, request(scheduler="ddim"), prediction_type=prediction_type))
    own = ours(parts, scheduler="euler", prediction_type=prediction_type, timestep_spacing="linspace")
    expected = theirs(parts, EulerDiscreteScheduler, request(), prediction_type=prediction_type, timestep_spacing="linspace")
    assert (own - expected).abs().max() < 1e-3 * expected.std()


def test_zero_terminal_snr_begins_at_pure_noise(parts):
    asked = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    assert torch.equal(ours(parts, scheduler="ddim", **asked), theirs(parts, DDIMScheduler, request(), **asked))
    own = ours(parts, scheduler="euler", **asked)
    expected = theirs(parts, EulerDiscreteScheduler, request(), **asked)
    assert torch.isfinite(own).all() and (own - expected).abs().max() < 1e-2 * expected.std()


def test_nothing_asked_changes_nothing(parts):
    asked = request(scheduler="ddim")
    before = stage(parts, asked)
    config = dict(parts["scheduler"].config)
    assert overridden(before, SCHEDULERS["ddim"], config, asked) == (before, config)


def test_a_refiner_keeps_what_its_own_denoiser_tells(parts):
    asked = request(prediction_type="v_prediction", rescale_betas_zero_snr=True)
    one = stage(parts, asked)
    _, own = overridden(one, SCHEDULERS["euler"], {}, asked)
    assert own == {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    _, other = overridden(type(one)(**{**vars(one), "model": "refiner"}), SCHEDULERS["euler"], {}, asked)
    assert other == {}


@pytest.mark.parametrize(
    ("scheduler", "config", "fields", "words"),
    [
        ("euler", FLOW, {"timestep_spacing": "trailing"}, "timestep_spacing means nothing to flow checkpoints"),
        ("euler", FLOW, {"prediction_type": "epsilon"}, "prediction_type means nothing to flow checkpoints"),
        ("euler", FLOW, {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr means nothing to flow checkpoints"),
        ("euler", {}, {"rescale_betas_zero_snr": True}, "needs a checkpoint that predicts the velocity or the picture"),
        ("pndm", {}, {"prediction_type": "sample"}, "prediction_type 'sample' means nothing to scheduler PLMS"),
        ("pndm", VELOCITY, {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr means nothing to scheduler PLMS"),
        ("dpm_single", {}, {"timestep_spacing": "leading"}, "timestep_spacing means nothing to scheduler DPM.. Singlestep"),
        ("dpm_fast", {}, {"timestep_spacing": "leading"}, "schedule 'ddim_uniform' does not go with scheduler 'DPM fast'"),
    ],
)
def test_what_means_nothing_is_told(parts, scheduler, config, fields, words):
    asked = request(scheduler=scheduler, **fields)
    with pytest.raises(InvalidRequest, match=words):
        overridden(stage(parts, asked), SCHEDULERS[scheduler], config, asked)


def test_spacing_and_schedule_cannot_both_be_chosen():
    with pytest.raises(ValueError, match="leave one of them automatic"):
        Txt2Img(timestep_spacing="trailing", schedule="karras")
