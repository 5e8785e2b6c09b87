"""Jobs that run together give the pictures they give alone, take their turns, and do not fail for each other."""

import pytest
import torch
from PIL import Image

from pipelines import batching
from pipelines.events import Decoded, Failed, Finished, Started, Step, Work
from pipelines.names import SCHEDULERS
from pipelines.request import Request
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run, toy


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("toys")
    return Shelf(toy=toy(folder), other=toy(folder, "other", seed=1))


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture
def passes(shelf: Shelf) -> list[int]:
    """Rows of each forward pass."""
    rows: list[int] = []
    hook = shelf.models["toy"].denoiser.register_forward_pre_hook(lambda module, args: rows.append(args[0].shape[0]))
    yield rows
    hook.remove()


def asked(task: str, blobs: Blobs, **fields: object) -> Request:
    if task != "txt2img":
        fields["image"] = blobs.add(Image.linear_gradient("L").resize((64, 64)).convert("RGB"))
        fields.setdefault("strength", 0.75)
    if task == "inpaint":
        fields["mask_image"] = blobs.add(Image.radial_gradient("L").resize((64, 64)).point(lambda value: 255 * (value < 128)))
    return request(task, **fields)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Root mean square of the difference, as a share of the spread."""
    return float((one - other).square().mean().sqrt() / other.std())


@pytest.mark.parametrize("scheduler", ["euler", "euler_a", "dpmpp_sde", "dpmpp_3m_sde", "ddim", "ddpm", "sa_solver", "lcm"])
@pytest.mark.parametrize("task", ["txt2img", "img2img", "inpaint"])
def test_picture_i_of_a_job_is_the_single_picture_of_seed_plus_i(shelf: Shelf, blobs: Blobs, task: str, scheduler: str) -> None:
    many = latents(run(engine(shelf, blobs), asked(task, blobs, scheduler=scheduler, num_images_per_prompt=3)))
    for index, made in many.items():
        alone = latents(run(engine(shelf, blobs), asked(task, blobs, scheduler=scheduler, seed=7 + index)))[0]
        assert apart(made, alone) < 4e-6


def test_jobs_with_different_schedulers_steps_seeds_and_guidance_run_together(shelf: Shelf, blobs: Blobs, passes: list[int]) -> None:
    jobs = [
        asked("txt2img", blobs, scheduler="euler_a", num_inference_steps=9, seed=1),
        asked("txt2img", blobs, scheduler="unipc", num_inference_steps=6, seed=2, guidance_scale=1),
        asked("img2img", blobs, scheduler="dpmpp_2m", num_inference_steps=8, seed=3, prompt="a dog"),
        asked("inpaint", blobs, scheduler="heun", num_inference_steps=5, seed=4, guidance_scale=9, negative_prompt="grey"),
        asked("txt2img", blobs, scheduler="pndm", num_inference_steps=7, seed=5, num_images_per_prompt=2),
    ]
    together = run(engine(shelf, blobs), *jobs)
    assert max(passes) == 2 + 1 + 2 + 2 + 4
    assert len(of(together, Finished)) == len(jobs)
    for index, job in enumerate(jobs):
        alone = latents(run(engine(shelf, blobs), job))
        for picture, made in latents(together, str(index)).items():
            assert apart(made, alone[picture]) < 4e-6


def test_every_scheduler_runs_in_one_batch_with_all_others(shelf: Shelf) -> None:
    jobs = [request(scheduler=name, num_inference_steps=3) for name, spec in SCHEDULERS.items() if "diffusion" in spec.kinds]
    events = run(engine(shelf, max_batch=len(jobs)), *jobs)
    assert len(of(events, Finished)) == len(jobs)


def test_an_exact_job_runs_alone_and_each_of_its_pictures_too(shelf: Shelf, passes: list[int]) -> None:
    alone = [latents(run(engine(shelf), request(seed=7 + index)))[0] for index in range(2)]
    passes.clear()
    events = run(engine(shelf), request(), request(exact=True, num_images_per_prompt=2), request())
    exact = latents(events, "1")
    assert all(torch.equal(exact[index], alone[index]) for index in range(2))
    assert passes.count(2) == 2 * 4 and passes.count(4) == 4  # the other two jobs shared theirs


@pytest.mark.parametrize("difference", [{"width": 128}, {"checkpoint": "other"}, {"prompt": "a very long prompt " * 9}])
def test_what_does_not_fit_waits_for_its_turn(shelf: Shelf, passes: list[int], difference: dict) -> None:
    events = run(engine(shelf), request(), request(**difference), request())
    assert [event.job for event in of(events, Finished)] == ["0", "2", "1"]
    assert max(passes) == 4


def test_a_waiting_job_is_overtaken_at_most_eight_times(shelf: Shelf) -> None:
    studio = engine(shelf, max_batch=2)
    more = iter(range(2, 40))

    def react(event: object) -> None:  # each job that ends is followed by a new one that fits with those that run
        if isinstance(event, Started) and event.job != "1":
            index = next(more, None)
            if index is not None:
                studio.submit(Work(str(index), request(num_inference_steps=2 + index % 3)))
        if isinstance(event, Finished) and event.job == "1":
            studio.close()

    events = run(studio, request(num_inference_steps=3), request(width=128), react=react)
    order = [event.job for event in of(events, Started)]
    assert order.index("1") == 1 + batching.OVERTAKEN_AT_MOST


def test_a_job_of_more_pictures_than_fit_takes_several_turns(shelf: Shelf, passes: list[int]) -> None:
    events = run(engine(shelf, max_batch=2), request(num_images_per_prompt=5, num_inference_steps=2))
    assert passes == [4, 4, 4, 4, 2, 2]
    assert [event.picture for event in of(events, Decoded)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
@pytest.mark.parametrize(("fits", "largest"), [(6, 6), (3, 2), (1, 1)])
def test_short_of_memory_the_batch_is_halved_and_nothing_is_lost(shelf: Shelf, error: Exception, fits: int, largest: int) -> None:
    rows = []

    def too_many(module: object, args: tuple) -> None:
        if args[0].shape[0] > fits:
            raise error
        rows.append(args[0].shape[0])

    plain = latents(run(engine(shelf), request(num_images_per_prompt=5)))
    hook = shelf.models["toy"].denoiser.register_forward_pre_hook(too_many)
    try:
        scarce = latents(run(engine(shelf), request(num_images_per_prompt=5)))
    finally:
        hook.remove()
    assert max(rows) <= largest if fits != 6 else max(rows) in (4, 6)
    assert all(apart(scarce[index], plain[index]) < 1e-5 for index in plain)


def test_without_memory_for_one_row_the_job_fails_with_a_sentence(shelf: Shelf) -> None:
    def never(module: object, args: tuple) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = shelf.models["toy"].denoiser.register_forward_pre_hook(never)
    try:
        events = run(engine(shelf), request(num_images_per_prompt=2))
    finally:
        hook.remove()
    (failed,) = of(events, Failed)
    assert failed.message == "There is not enough memory for one picture of 64×64; choose a smaller size."


def test_the_error_of_one_job_is_not_the_others(shelf: Shelf) -> None:
    def picky(module: object, args: tuple) -> None:
        if ((args[1] > 300) & (args[1] < 400)).any():  # where only one of the jobs comes by
            raise ValueError("no such timestep")

    hook = shelf.models["toy"].denoiser.register_forward_pre_hook(picky)
    try:
        events = run(engine(shelf), request(num_inference_steps=12, scheduler="ddim"), request(num_inference_steps=2, scheduler="ddim"))
    finally:
        hook.remove()
    assert [(event.job, "no such timestep" in event.message) for event in of(events, Failed)] == [("0", True)]
    assert of(events, Finished) == [Finished("1")]
    assert len(of(events, Step, "1")) == 2
