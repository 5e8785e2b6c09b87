"""Stable Cascade through the engine: batches, previews of both passes, the recipe, and what it cannot do said in a sentence."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from extensions.builtin.cascade import Cascade
from extensions.builtin.freeu import FreeU
from extensions.builtin.hires import Hires
from extensions.builtin.refiner import Refiner
from pipelines import infotext, recipe
from pipelines.components import Components
from pipelines.events import Decoded, EngineEvent, Failed, Finished, Started, Step
from pipelines.offload import Living
from pipelines.residence import Way
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run
from tests.pipelines.families.cascade_toys import CASCADE, components, toy_parts
from tests.pipelines.test_oracle import inputs

MODIFIERS = {each.name: each for each in (Cascade(), FreeU(), Hires(), Refiner())}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Components:
    folder = tmp_path_factory.mktemp("cascade")
    return components(toy_parts(folder), folder)


def ran(toy: Components, previews: bool = False, **given: Any) -> list[EngineEvent]:
    fields = {"scheduler": "wuerstchen", "width": 128, "height": 128, "guidance_scale": 4.0} | given
    return run(engine(Shelf(toy=toy, other=toy), modifiers=MODIFIERS, previews=previews), request(**fields))


def made(toy: Components, **given: Any) -> torch.Tensor:
    return latents(ran(toy, **given))[0]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, in spreads of the latents."""
    return float((one - other).abs().max() / other.std())


def recorded(events: list[EngineEvent]) -> dict[str, Any]:
    found = recipe.from_picture(of(events, Decoded)[0].data).recipe
    assert found is not None
    return found.scheduler


def test_a_batch_is_its_pictures(toy: Components) -> None:
    batch = latents(ran(toy, num_images_per_prompt=3, seed=5, negative_prompt="dog"))
    for index in range(3):
        assert apart(batch[index], made(toy, seed=5 + index, negative_prompt="dog")) < 4e-5


def test_jobs_in_different_passes_run_side_by_side(toy: Components) -> None:
    jobs = [request(scheduler="wuerstchen", width=128, height=128, num_inference_steps=steps, guidance_scale=4.0) for steps in (2, 6)]
    events = run(engine(Shelf(toy=toy), previews=True), *jobs)
    for index, steps in enumerate((2, 6)):
        assert apart(latents(events, str(index))[0], made(toy, num_inference_steps=steps)) < 4e-5


def test_both_passes_are_counted_and_shown(toy: Components, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.preview.SHARE", 1e9)
    monkeypatch.setattr("pipelines.preview.SHORTEST_GAP", 0.0)
    events = ran(toy, previews=True, width=256)
    steps = of(events, Step)
    assert [event.step for event in steps] == list(range(1, 15)) and {event.total for event in steps} == {14}
    assert of(events, Started)[0].total == 14
    frames = [Image.open(io.BytesIO(event.frame)) for event in steps]
    assert len(frames) == 14 and {frame.size for frame in frames} == {(256, 128)}
    assert frames[3].tobytes() != frames[4].tobytes()


def test_a_grid_shows_pictures_of_both_passes(toy: Components, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.preview.SHARE", 1e9)
    monkeypatch.setattr("pipelines.preview.SHORTEST_GAP", 0.0)
    fields = {"scheduler": "wuerstchen", "width": 128, "height": 128, "num_images_per_prompt": 2}
    events = run(engine(Shelf(toy=toy), max_batch=1), request(**fields))
    frames = [Image.open(io.BytesIO(event.frame)) for event in of(events, Step)]
    assert len(frames) == 28 and {frame.size for frame in frames} == {(256, 128)}


def test_the_recipe_tells_both_passes_and_repeats_the_picture(toy: Components) -> None:
    events = ran(toy)
    told = recorded(events)
    (then,) = told["then"]
    assert (told["denoiser"], told["class"], len(told["timesteps"])) == ("prior", "DDPMWuerstchenScheduler", 4)
    assert (then["denoiser"], then["class"], len(then["timesteps"])) == ("decoder", "DDPMWuerstchenScheduler", 10)
    found = recipe.from_picture(of(events, Decoded)[0].data)
    again = run(engine(Shelf(toy=toy)), request(**{**found.recipe.request, "exact": True}))
    assert of(again, Finished)
    assert infotext.parse(found.infotext).draft["scheduler"] == "wuerstchen"


@pytest.mark.parametrize("scheduler", ["euler", "dpmpp_2m", "dpmpp_2m_sde", "restart", "dpm_fast", "er_sde", "lcm", "euler_cfg_pp"])
def test_our_samplers_do_both_passes(toy: Components, scheduler: str) -> None:
    found = made(toy, scheduler=scheduler, guidance_scale=1.5)
    assert torch.isfinite(found).all() and found.shape == (1, 4, 32, 32)


@pytest.mark.parametrize("scheduler", ["ddim", "unipc"])
def test_the_others_are_refused_in_a_sentence(toy: Components, scheduler: str) -> None:
    (failed,) = of(ran(toy, scheduler=scheduler), Failed)
    assert "cannot do cosine checkpoints; take another, such as 'euler'." in failed.message


@pytest.mark.parametrize("way", ["blocks", "layers"])
def test_both_denoisers_may_wait_in_main_memory(tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = toy_parts(tmp_path)
    expected = made(components(parts, tmp_path))
    # a device of its own: whatever visits it is a copy
    monkeypatch.setattr("pipelines.offload._brought", lambda tensor, device: tensor.clone())
    living = [Living(parts[name], way, torch.device("cpu"), torch.float32) for name in CASCADE.denoisers]
    rests = {name: tensor.data_ptr() for name, tensor in parts["prior"].state_dict().items()}
    assert torch.equal(made(components(parts, tmp_path)), expected)
    assert {name: tensor.data_ptr() for name, tensor in parts["prior"].state_dict().items()} == rests
    if way == "blocks":
        assert all(block._forward_hooks for block in parts["prior"].down_blocks[0])
    for each in living:
        each.end()


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_it_makes_pictures_from_words_only(toy: Components, task: str) -> None:
    blobs = Blobs()
    (failed,) = of(run(engine(Shelf(toy=toy), blobs), request(task, **inputs(task, blobs))), Failed)
    assert failed.message == "checkpoint 'toy' (Stable Cascade) is made for txt2img only."


def test_the_decoder_has_steps_and_guidance_of_its_own(toy: Components) -> None:
    events = ran(toy, negative_prompt="dog", modifiers={"cascade": {"num_inference_steps": 3, "guidance_scale": 1.5}})
    told = recorded(events)
    assert len(told["timesteps"]) == 4 and len(told["then"][0]["timesteps"]) == 3
    unguided = made(toy, negative_prompt="dog", modifiers={"cascade": {"num_inference_steps": 3}})
    assert not torch.equal(latents(events)[0], unguided)


def test_its_settings_are_for_stable_cascade_only(tmp_path: Path) -> None:
    from tests.pipelines.engines import toy as other

    (failed,) = of(run(engine(Shelf(toy=other(tmp_path)), modifiers=MODIFIERS), request(modifiers={"cascade": {}})), Failed)
    assert failed.message == "checkpoint 'toy' has no decoder of this kind; only Stable Cascade has."


@pytest.mark.parametrize("modifier", [{"refiner": {"checkpoint": "other"}}, {"freeu": {}}])
def test_what_does_not_go_with_it_says_so(toy: Components, modifier: dict[str, Any]) -> None:
    (failed,) = of(ran(toy, modifiers=modifier), Failed)
    assert re.match("(refiner|freeu) does not go with .*Stable Cascade", failed.message)


@pytest.mark.parametrize("upscaler", ["lanczos", "latent"])
def test_hires_goes_on_with_the_decoder_and_what_the_prior_laid_out(toy: Components, upscaler: str) -> None:
    events = ran(toy, modifiers={"hires": {"upscaler": upscaler, "scale": 1.5, "strength": 0.5}})
    assert latents(events)[0].shape == (1, 4, 48, 48) and torch.isfinite(latents(events)[0]).all()
    assert [one.get("denoiser") for one in recorded(events)["then"]] == ["decoder", "decoder"]


@pytest.mark.parametrize("prompt", ["a [cat:dog:0.5]", "a cat AND a dog :0.5", "(cat:1.4) " + "and more words " * 30])
def test_prompts_change_blend_and_go_on_in_both_passes(toy: Components, prompt: str) -> None:
    found = made(toy, prompt=prompt, negative_prompt="x")
    assert torch.isfinite(found).all() and not torch.equal(found, made(toy, prompt="a cat", negative_prompt="x"))
