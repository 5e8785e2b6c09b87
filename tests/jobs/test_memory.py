"""What was asked for in memory is told truly: it waits for so many jobs, is read, is there, or could not be read and why."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extensions.engine import EngineConfig
from jobs.collection import annotations
from jobs.memory import ModelMemory
from jobs.messages import ToWorker
from jobs.studio import Studio, WorkerConfig
from pipelines import recipe
from pipelines.catalog import Catalog
from pipelines.names import SCHEDULERS

from .parts import FAST, until


class Machine:
    """What stands around: `status` as the engine last told it, and the orders it was given."""

    def __init__(self, models: Path) -> None:
        self.status: dict[str, Any] = {"loaded": []}
        self.orders: list[ToWorker] = []
        self.restarts, self.jobs = 0, 2
        there = (lambda: self.status, self.orders.append, dict, lambda: self.restarts, lambda: self.jobs)
        self.memory = ModelMemory(Catalog([models]), *there)

    def loads(self) -> list[dict[str, Any]]:
        return self.memory.told()["loads"]


@pytest.fixture
def machine(models: Path) -> Machine:
    return Machine(models)


def test_it_waits_for_jobs_then_is_read_then_is_there(machine: Machine) -> None:
    assert machine.loads() == []
    machine.memory.load("toy")
    assert machine.loads() == [{"checkpoint": "toy", "state": "waiting", "jobs": 2}]
    machine.jobs = 0
    assert machine.loads() == [{"checkpoint": "toy", "state": "waiting", "jobs": 0}]
    machine.status = {"loaded": [], "reading": "toy"}
    assert machine.loads() == [{"checkpoint": "toy", "state": "loading", "jobs": 0}]
    machine.status = {"loaded": ["toy"]}
    assert machine.loads() == [] and machine.memory.told()["load_errors"] == {}


def test_one_that_was_read_and_let_go_before_anybody_looked_is_done(machine: Machine) -> None:
    machine.memory.load("toy")
    machine.status = {"loaded": [], "read": {"toy": machine.memory._asked["toy"] + 1}}
    assert machine.loads() == []
    machine.status["read"]["toy"] -= 2
    assert len(machine.loads()) == 1, "that was an earlier time"


def test_an_engine_that_dies_forgets_what_it_was_asked_for_and_says_so(machine: Machine) -> None:
    machine.memory.load("toy")
    machine.status, machine.restarts = {}, 1
    assert machine.loads() == []
    assert machine.memory.told()["load_errors"] == {"toy": "The engine stopped before it was read; nothing was loaded."}
    machine.memory.load("toy")
    assert len(machine.loads()) == 1 and machine.memory.told()["load_errors"] == {}


# -- the product's engine ---------------------------------------------------------------------------------------------


@pytest.fixture
def studio(models: Path, tmp_path: Path) -> Iterator[Studio]:
    """With a checkpoint of its own, "toy", to write notes about."""
    shutil.copytree(models / "checkpoints" / "toy", tmp_path / "models" / "checkpoints" / "toy")
    outputs = tmp_path / "outputs"
    inner = outputs / ".safelight"
    config = EngineConfig((str(tmp_path / "models"),), "cpu", str(inner / "blobs"), notes=str(annotations(inner)))
    worker = WorkerConfig("extensions.engine:build_engine", config)
    studio = Studio(outputs, Catalog([tmp_path / "models"]), SCHEDULERS, {}, worker, in_process=True, version="1", limits=FAST)
    studio.start()
    until(lambda: studio.health()["engine"] == "ready", 120)
    yield studio
    studio.stop()


def test_a_load_waits_for_the_job_that_runs(studio: Studio) -> None:
    job = studio.submit({"width": 64, "height": 64, "num_inference_steps": 150, "num_images_per_prompt": 4})
    until(lambda: studio.job(job.id).state == "running", 60)
    shutil.copytree(studio._catalog.roots[0] / "checkpoints" / "toy", studio._catalog.roots[0] / "checkpoints" / "other")
    studio.memory.load("other")
    assert studio.health()["loads"] == [{"checkpoint": "other", "state": "waiting", "jobs": 1}]
    studio.cancel(job.id)
    until(lambda: studio.health()["loads"] == [] and "other" in studio.health()["loaded"], 60)


def test_a_dtype_chosen_for_a_checkpoint_is_in_the_plan_and_in_the_recipe(studio: Studio) -> None:
    def dtype_of_a_picture() -> str:
        job = studio.submit({"width": 64, "height": 64, "num_inference_steps": 2})
        view = until(lambda: (view := studio.job(job.id)).ended and view, 120)
        assert view.state == "finished", view.error
        found = recipe.from_picture(studio.picture(view.images[0])).recipe
        assert found is not None
        return found.dtype

    assert dtype_of_a_picture() == "float32"
    for chosen in ("bfloat16", "float16", "automatic"):
        assert studio.collection.annotate("checkpoint", "toy", {"dtype": chosen})["dtype"] == chosen
        assert dtype_of_a_picture() == ("float32" if chosen == "automatic" else chosen)
        told = "" if chosen == "automatic" else f" It is in {chosen}, as chosen for it."
        until(lambda: studio.health()["memory_plan"] == f"Everything is in main memory.{told}")
