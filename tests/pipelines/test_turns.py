"""Who takes far longer than was announced gives way to those who wait, goes on to the same pixels, and tells its calls."""

from itertools import pairwise

import pytest
import torch

from pipelines import turns
from pipelines.events import Cancelled, Finished, Started, Step
from pipelines.samplers import dpm_solver
from tests.pipelines.engines import Shelf, engine, latents, of, request, run, toy

LONG = {"scheduler": "dpm_adaptive", "num_inference_steps": 2, "exact": True}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("turns")
    return Shelf(toy=toy(folder), other=toy(folder, "other", seed=1))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SHORTEST", 6)
    monkeypatch.setattr(dpm_solver, "MOST_TRIES", 10)  # an untrained model gives a reason for ever smaller steps


@pytest.mark.parametrize("other", [{"width": 128}, {"checkpoint": "other"}, {"exact": True}])
def test_others_have_their_turn_and_nothing_is_changed_by_it(shelf: Shelf, other: dict) -> None:
    alone = latents(run(engine(shelf), request(**LONG)))[0]
    events = run(engine(shelf), request(**LONG), request(**other), request(**{"num_inference_steps": 3, **other}))
    assert [event.job for event in of(events, Finished)][-1] == "0"
    assert [event.job for event in of(events, Started)] == ["0", "1", "2"]
    assert torch.equal(latents(events)[0], alone)
    assert shelf.held == []


def test_two_of_that_kind_alternate(shelf: Shelf) -> None:
    alone = [latents(run(engine(shelf), request(**LONG, seed=seed)))[0] for seed in (1, 2)]
    events = run(engine(shelf), request(**LONG, seed=1), request(**LONG, seed=2))
    order = [event.job for event in of(events, Step)]
    assert sum(one != other for one, other in pairwise(order)) >= 4
    assert all(torch.equal(latents(events, str(job))[0], alone[job]) for job in range(2))


def test_who_keeps_to_what_was_announced_is_not_interrupted(shelf: Shelf) -> None:
    events = run(engine(shelf), request(scheduler="heun", num_inference_steps=20), request(width=128))
    assert [event.job for event in of(events, Finished)] == ["0", "1"]


def test_calls_are_told_where_steps_tell_little(shelf: Shelf) -> None:
    asked = []
    hook = shelf.models["toy"].denoiser.register_forward_pre_hook(lambda *_: asked.append(1))
    try:
        told = [event.calls for event in of(run(engine(shelf), request(**LONG)), Step)]
    finally:
        hook.remove()
    assert told == list(range(1, len(asked) + 1))
    assert {event.calls for event in of(run(engine(shelf), request()), Step)} == {0}


def test_cancel_acts_within_one_call(shelf: Shelf) -> None:
    studio = engine(shelf)

    def react(event: object) -> None:
        if isinstance(event, Step) and event.calls == 4:
            studio.cancel("0")

    events = run(studio, request(**LONG), react=react)
    assert of(events, Cancelled) == [Cancelled("0")]
    assert max(event.calls for event in of(events, Step)) <= 5
