"""What happens to jobs in the engine: the order of events, cancelling, pausing, failing, going on after an earlier try."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.events import Cancelled, Decoded, Developed, Failed, Finished, Loading, Paused, Resumed, Started, Step, Work
from pipelines.recipe import from_picture
from pipelines.request import parse
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run, toy


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(toy=toy(tmp_path_factory.mktemp("toy")))


def kinds(events: list) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_job_loads_starts_steps_develops_decodes_and_finishes(shelf: Shelf) -> None:
    events = run(engine(shelf), request(num_inference_steps=3))
    assert kinds(events) == ["Loading", "Started", "Step", "Step", "Step", "Developed", "Decoded", "Finished"]
    assert of(events, Loading) == [Loading("0", "toy")]
    assert of(events, Started) == [Started("0", 3)]
    assert [step.step for step in of(events, Step)] == [1, 2, 3]
    (decoded,) = of(events, Decoded)
    assert (decoded.picture, decoded.seed, decoded.width, decoded.height) == (0, 7, 64, 64)
    assert Image.open(io.BytesIO(decoded.data)).size == (64, 64)
    assert shelf.held == []


def test_pictures_of_a_job_have_following_seeds_and_all_are_kept_before_one_is_decoded(shelf: Shelf) -> None:
    events = run(engine(shelf), request(num_images_per_prompt=3, num_inference_steps=2))
    assert of(events, Started) == [Started("0", 6)]
    assert [step.step for step in of(events, Step)] == [3, 6]
    assert [decoded.seed for decoded in of(events, Decoded)] == [7, 8, 9]
    assert kinds(events)[-7:] == ["Developed"] * 3 + ["Decoded"] * 3 + ["Finished"]


@pytest.mark.parametrize("scheduler", ["heun", "pndm", "dpm2", "dpmpp_sde"])
def test_steps_are_the_schedulers_however_often_the_model_is_asked(shelf: Shelf, scheduler: str) -> None:
    steps = [event.step for event in of(run(engine(shelf), request(scheduler=scheduler, num_inference_steps=4)), Step)]
    assert steps == sorted(steps) and steps[0] == 1 and steps[-1] == 4


def test_the_same_seed_gives_the_same_bytes(shelf: Shelf) -> None:
    runs = [of(run(engine(shelf), request(scheduler="dpmpp_sde", exact=True)), Decoded)[0].data for _ in range(2)]
    assert runs[0] == runs[1]


def test_cancel_acts_within_a_step_and_others_go_on(shelf: Shelf) -> None:
    studio = engine(shelf)

    def react(event: object) -> None:
        if isinstance(event, Step) and event.job == "0" and event.step == 2:
            studio.cancel("0")

    events = run(studio, request(num_inference_steps=150), request(num_inference_steps=6), react=react)
    assert of(events, Cancelled) == [Cancelled("0")]
    assert max(step.step for step in of(events, Step, "0")) <= 3
    assert of(events, Finished) == [Finished("1")]
    assert shelf.held == []


def test_a_waiting_job_can_be_cancelled_and_an_unknown_one_is_nothing(shelf: Shelf) -> None:
    studio = engine(shelf)
    studio.cancel("nobody")

    def react(event: object) -> None:
        if isinstance(event, Started) and event.job == "0":
            studio.cancel("1")

    events = run(studio, request(), request(width=128), react=react)
    assert of(events, Started, "1") == [] and of(events, Cancelled) == [Cancelled("1")]


def test_a_paused_job_waits_while_others_run_and_goes_on_to_the_same_pixels(shelf: Shelf) -> None:
    alone = latents(run(engine(shelf), request(scheduler="euler_a", num_inference_steps=6)))[0]
    studio = engine(shelf)

    def react(event: object) -> None:
        match event:
            case Step(job="0", step=3):
                studio.pause("0")
                studio.submit(Work("1", request(seed=1, exact=True)))
            case Finished(job="1"):
                studio.resume("0")

    events = run(studio, Work("0", request(scheduler="euler_a", num_inference_steps=6)), react=react)
    order = [event for event in events if isinstance(event, (Paused, Resumed, Finished))]
    assert order == [Paused("0"), Finished("1"), Resumed("0"), Finished("0")]
    assert torch.equal(latents(events)[0], alone)


def test_an_idle_engine_waits_for_orders_from_other_threads_and_ends_on_close(shelf: Shelf) -> None:
    studio, seen = engine(shelf), []
    thread = threading.Thread(target=lambda: seen.extend(studio.events()))
    thread.start()
    studio.submit(Work("late", request()))
    studio.submit(Work("paused", request()))
    studio.pause("paused")
    studio.close()
    thread.join(20)
    assert not thread.is_alive()
    assert shelf.held == []


def test_what_an_earlier_try_saved_is_not_made_again(shelf: Shelf) -> None:
    first = run(engine(shelf), request(num_images_per_prompt=3))
    kept = {event.picture: event.latents for event in of(first, Developed)}
    again = run(engine(shelf), Work("0", request(num_images_per_prompt=3), done=frozenset({0}), latents={1: kept[1]}))
    assert [event.picture for event in of(again, Developed)] == [2]
    assert [event.picture for event in of(again, Decoded)] == [1, 2]
    assert [step.step for step in of(again, Step)] == [9, 10, 11, 12]
    pictures = {event.picture: np.asarray(Image.open(io.BytesIO(event.data)), dtype=int) for event in of(again, Decoded)}
    for event in of(first, Decoded)[1:]:
        assert abs(np.asarray(Image.open(io.BytesIO(event.data)), dtype=int) - pictures[event.picture]).max() <= 1
    damaged = run(engine(shelf), Work("0", request(), latents={0: kept[1][:50]}))
    assert torch.equal(latents(damaged)[0], latents(run(engine(shelf), request()))[0])
    everything = run(engine(shelf), Work("0", request(), done=frozenset({0})))
    assert everything == [Started("0", 4), Finished("0")]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scheduler": "nope"}, "There is no scheduler named 'nope'"),
        ({"scheduler": "ddim", "schedule": "karras"}, "does not go with"),
        ({"modifiers": {"nope": {}}}, "There is no modifier named 'nope'"),
        ({"clip_skip": 11}, "clip_skip"),
        ({"checkpoint": "nope"}, "KeyError"),
    ],
)
def test_a_job_that_cannot_run_fails_with_a_sentence_and_the_next_one_runs(shelf: Shelf, fields: dict, sentence: str) -> None:
    events = run(engine(shelf), request(**fields), request())
    (failed,) = of(events, Failed)
    assert failed.job == "0" and sentence in failed.message and "\n" not in failed.message
    assert of(events, Finished) == [Finished("1")]
    assert shelf.held == []


def test_a_model_with_nan_fails_naming_the_checkpoint(tmp_path: Path) -> None:
    broken = toy(tmp_path, "sick")
    with torch.no_grad():
        broken.denoiser.conv_out.bias.fill_(float("nan"))
    (failed,) = of(run(engine(Shelf(sick=broken)), request(checkpoint="sick")), Failed)
    assert "'sick'" in failed.message and "NaN" in failed.message


def test_a_job_whose_pictures_all_fail_fails_once(shelf: Shelf) -> None:
    events = run(engine(shelf), request(scheduler="lcm", num_inference_steps=60, num_images_per_prompt=3), request())
    assert [event.job for event in of(events, Failed)] == ["0"] and "60 steps" in of(events, Failed)[0].message
    assert of(events, Finished) == [Finished("1")]


def test_the_same_words_are_encoded_once(shelf: Shelf) -> None:
    calls = []
    hook = shelf.models["toy"].text_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        studio = engine(shelf)
        run(studio, request(), request(seed=3), request(num_images_per_prompt=2))
        assert len(calls) == 2  # the prompt and the empty negative
        run(studio, request(clip_skip=1))
        assert len(calls) == 4
    finally:
        hook.remove()


def test_the_consumer_is_not_left_in_inference_mode(shelf: Shelf) -> None:
    run(engine(shelf), request(), react=lambda event: pytest.fail("leaked") if torch.is_inference_mode_enabled() else None)


def test_a_picture_carries_infotext_and_recipe_and_is_repeated_by_it(shelf: Shelf) -> None:
    asked = request(scheduler="euler_a", num_images_per_prompt=3, negative_prompt="a dog")
    made = of(run(engine(shelf), asked), Decoded)[2]
    found = from_picture(made.data)
    assert found.source == "safelight" and found.recipe is not None
    assert found.draft["prompt"] == "a cat" and found.draft["seed"] == 9 and "Seed: 9" in found.infotext
    said = found.recipe
    assert (said.picture, said.batch, said.dtype, said.device, said.request["num_images_per_prompt"]) == (2, 3, "float32", "cpu", 1)
    assert said.versions["torch"] == torch.__version__.split("+")[0] or said.versions["torch"] == torch.__version__
    assert said.scheduler["sampler"] == "euler_ancestral" and said.scheduler["sigmas"][-1] == 0
    (again,) = of(run(engine(shelf), parse(said.request)), Decoded)
    difference = np.asarray(Image.open(io.BytesIO(again.data)), dtype=int) - np.asarray(Image.open(io.BytesIO(made.data)), dtype=int)
    assert abs(difference).max() <= 1


def test_a_recipe_names_class_config_and_timesteps_also_of_a_picture_only_decoded(shelf: Shelf) -> None:
    first = run(engine(shelf), request(scheduler="unipc"))
    work = Work("0", request(scheduler="unipc"), latents={0: of(first, Developed)[0].latents})
    for events in (first, run(engine(shelf), work)):
        scheduler = from_picture(of(events, Decoded)[0].data).recipe.scheduler
        assert scheduler["class"] == "UniPCMultistepScheduler" and len(scheduler["timesteps"]) == 4
        assert scheduler["config"]["beta_schedule"] == "scaled_linear"


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_pictures_come_from_the_blob_store_and_bad_ones_are_told(shelf: Shelf, task: str) -> None:
    blobs = Blobs()
    given = {"image": blobs.add(Image.new("RGB", (100, 80), "red"))}
    if task == "inpaint":
        given["mask_image"] = blobs.add(Image.new("L", (100, 80), 255))
    (decoded,) = of(run(engine(shelf, blobs), request(task, **given)), Decoded)
    assert (decoded.width, decoded.height) == ((100, 80) if task == "inpaint" else (64, 64))
    given["image"] = blobs.add(b"no picture at all")
    (failed,) = of(run(engine(shelf, blobs), request(task, **given)), Failed)
    assert "picture" in failed.message.lower()


def test_the_status_names_what_is_loaded(shelf: Shelf) -> None:
    status = engine(shelf).status()
    assert (status["loaded"], status["memory_bytes"], status["device"]) == (["toy"], 0, "cpu")
