"""What will be wanted next is read meanwhile: by the pages, by the manager, by the engine; and stops when it is not wanted any more."""

import gc
import importlib
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from pipelines import loading, loading_memory, loading_pages
from pipelines.ahead import ReadAhead, next_up
from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError, OutOfMemory
from pipelines.events import Failed, Finished, Loading, Step, Work
from pipelines.families import FAMILIES, reading
from pipelines.manager import PipelineManager
from pipelines.running import JobRun
from tests.pipelines.engines import engine, latents, of, request, run
from tests.toys import save_toy


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toys")
    for seed, name in enumerate("abc"):
        save_toy(root / "checkpoints" / name, seed)
    return root


def test_spans_that_are_neighbours_are_read_at_once() -> None:
    far = 10 * 2**20
    assert loading_pages.joined([(far, far + 5), (8, 10), (0, 8), (20, 30)]) == [(0, 30), (far, far + 5)]


def test_weights_are_read_to_the_last_byte_or_not_at_all(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = reading.checkpoint(toys / "checkpoints" / "a", FAMILIES).parts.values()
    read: list[int] = []
    monkeypatch.setattr(loading_pages, "_CHUNK", 4096)
    assert loading_pages.warm(parts, lambda: bool(read.append(1)))
    assert len(read) * 4096 >= sum(end - start for part in parts for piece in part.pieces.values() for start, end in (piece.span,))
    assert not loading_pages.warm(parts, lambda: True)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 0})())
    read.clear()
    assert not loading_pages.warm(parts, lambda: bool(read.append(1))) and not read


def test_one_target_after_another_and_none_twice() -> None:
    read: list[tuple[tuple[str, str], bool]] = []
    began, go = threading.Event(), threading.Event()

    def work(target: tuple[str, str], stopped: Callable[[], bool]) -> None:
        began.set()
        assert go.wait(10)
        read.append((target, stopped()))
        if target[0] == "broken":
            raise CheckpointError("It is broken.")

    ahead = ReadAhead(work)
    ahead.want(("a", ""))
    assert began.wait(10)
    ahead.want(("broken", ""))  # a is not wanted any more
    ahead.want(("broken", ""))
    go.set()
    assert ahead.idle(10) and read == [(("a", ""), True), (("broken", ""), False)]
    ahead.want(("broken", ""))
    assert ahead.idle(10) and len(read) == 2
    ahead.only(("other", ""))  # starts nothing
    assert ahead.idle(10) and len(read) == 2
    ahead.want(("a", ""))
    assert ahead.idle(10) and read[2:] == [(("a", ""), False)]


def test_who_is_next() -> None:
    def job(checkpoint: str, paused: bool = False) -> JobRun:
        made = JobRun.of(Work(checkpoint, request(checkpoint=checkpoint)), {}, {})
        made.paused = paused
        return made

    one, same, held, two = job("one"), job("one"), job("three", paused=True), job("two")
    assert next_up([one, same, held, two], [one]) == ("two", "automatic")
    assert next_up([one, same], [one]) is None and next_up([], []) is None


def ahead(manager: PipelineManager, name: str) -> bool:
    manager.ahead((name, "automatic"))
    assert manager._ahead.idle(60)
    return manager.is_loaded(name)


def test_what_is_next_is_loaded_where_there_is_room_and_nothing_is_let_go_for_it(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    with manager.acquire("a") as a:
        assert ahead(manager, "b") and manager.loaded() == ["b", "a"]
        assert not ahead(manager, "nothing")
        with manager.acquire("b") as b:
            assert b.denoiser is not a.denoiser and not any(tensor.is_meta for tensor in b.denoiser.state_dict().values())
    full = PipelineManager(Catalog([toys]), budget_bytes=manager.memory_bytes() // 2)
    with full.acquire("a"):
        pass
    assert not ahead(full, "b") and full.loaded() == ["a"]


def test_reading_ahead_ends_as_soon_as_something_else_is_wanted(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = PipelineManager(Catalog([toys]))
    began, go = threading.Event(), threading.Event()
    real = loading.load

    def load(part, source, device, dtype, stopped=lambda: False):
        if source == "b":
            began.set()
            assert go.wait(30)
            assert stopped()
        return real(part, source, device, dtype, stopped)

    monkeypatch.setattr(loading, "load", load)
    with manager.acquire("a") as a:
        manager.ahead(("b", "automatic"))
        assert began.wait(60)
        with manager.acquire("a") as again:  # what is there never waits
            assert again is a
        threading.Timer(0.2, go.set).start()
        with manager.acquire("c"):
            assert manager.loaded() == ["c", "a"] and not manager.is_loaded("b")


def test_modules_made_meanwhile_on_another_thread_have_their_memory(toys: Path) -> None:
    made, inside = threading.Event(), threading.Event()
    with loading._WithoutMemory():
        other: list[torch.nn.Module] = []

        def make() -> None:
            other.append(torch.nn.Linear(2, 2))
            made.set()

        threading.Thread(target=make).start()
        assert made.wait(10) and torch.nn.Linear(2, 2).weight.is_meta
        inside.set()
    assert not other[0].weight.is_meta and not torch.nn.Linear(2, 2).weight.is_meta


def test_the_engine_reads_the_next_jobs_checkpoint_while_it_works(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    jobs = [request(checkpoint="a", num_inference_steps=6), request(checkpoint="b")]

    def react(event: object) -> None:
        if isinstance(event, Step) and event.job == "0" and event.step == 3:
            assert manager._ahead.idle(60) and manager.is_loaded("b")

    events = run(engine(manager), *jobs, react=react)
    assert [event.what for event in of(events, Loading)] == ["a"]  # b was there when its turn came


def test_memory_is_found_by_letting_go_of_what_nobody_uses(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = PipelineManager(Catalog([toys]))
    with manager.acquire("a") as parts:
        gone = weakref.ref(parts.denoiser)
    del parts
    real, tries = loading.load, []

    def load(part, source, *given):
        tries.append(source)
        if len(tries) == 1:
            raise OutOfMemory("There is not enough memory.")
        return real(part, source, *given)

    monkeypatch.setattr(loading, "load", load)
    with manager.acquire("b"):
        gc.collect()
        assert manager.loaded() == ["b"] and gone() is None
        assert not manager.spare() and not ahead(manager, "c")  # nothing is loaded ahead of need from now on
    assert manager.spare() and manager.loaded() == [] and manager.memory_bytes() == 0


SWAPS = 30


def test_swaps_leave_nothing_behind(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]), budget_bytes=1)
    alive: list[weakref.ref] = []
    sizes = set()
    for turn in range(SWAPS):
        with manager.acquire("ab"[turn % 2]) as parts:
            alive += [weakref.ref(module) for module in parts.modules.values()]
            sizes.add(manager.memory_bytes())
            assert manager.memory_bytes() == sum(map(loading_memory.module_bytes, parts.modules.values()))
        del parts
    gc.collect()
    assert len(sizes) == 1 and sum(reference() is not None for reference in alive) == 3
    assert manager.status() == {**manager.status(), "loaded": ["b"], "device": "cpu", "memory_plan": "Everything is in main memory."}


@pytest.mark.parametrize("place", ["engine.finished", "engine.prepare", "batching.forward"])
def test_a_job_that_runs_out_of_memory_goes_on_without_the_models_that_nobody_uses(
    toys: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    manager = PipelineManager(Catalog([toys]))
    manager.load("b")
    plain = latents(run(engine(manager), request(checkpoint="a")))[0]
    assert set(manager.loaded()) == {"a", "b"}
    module, name = place.split(".")
    real, tries = getattr(importlib.import_module(f"pipelines.{module}"), name), []

    def short(*given: object) -> object:
        tries.append(place)
        if len(tries) == 1:
            raise OutOfMemory("There is not enough memory.") if place == "engine.finished" else torch.OutOfMemoryError("out of memory")
        return real(*given)

    monkeypatch.setattr(f"pipelines.{place}", short)
    events = run(engine(manager), request(checkpoint="a"))
    assert of(events, Finished) and len(tries) > 1 and "b" not in manager.loaded()
    assert torch.equal(latents(events)[0], plain)
    if place == "batching.forward":
        return  # which then goes on with fewer at a time
    tries.clear()
    (failed,) = of(run(engine(manager), request(checkpoint="a", seed=8)), Failed)  # nothing is left to let go
    assert "not enough memory" in failed.message
