"""A studio around the scripted engine, and waiting for what it does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jobs.studio import Studio, WorkerConfig
from jobs.supervisor import Limits
from jobs.views import JobView
from pipelines.catalog import Catalog
from pipelines.names import SCHEDULERS

from .scripted import Script

T = TypeVar("T")
FAST = Limits(backoff=0.05)


def make_studio(outputs: Path, models: Path, *, in_process: bool = True, limits: Limits = FAST, **script: Any) -> Studio:
    tries = outputs.parent / "tries"
    tries.mkdir(parents=True, exist_ok=True)
    config = WorkerConfig("tests.jobs.scripted:build", Script(str(tries), **script))
    return Studio(outputs, Catalog([models]), SCHEDULERS, {}, config, in_process=in_process, limits=limits, version="1")


def draft(prompt: str = "", **fields: Any) -> dict[str, Any]:
    return {"prompt": prompt, "num_inference_steps": 4, "width": 64, "height": 64, **fields}


def until(look: Callable[[], T], timeout: float = 20.0) -> T:
    """The first true value of `look`."""
    deadline = time.monotonic() + timeout
    while not (value := look()):
        assert time.monotonic() < deadline, f"still {value!r}"
        time.sleep(0.005)
    return value


def ended(studio: Studio, job: str) -> JobView:
    return until(lambda: (view := studio.job(job)).ended and view)


def at_step(studio: Studio, job: str, step: int, attempt: int = 1) -> JobView:
    return until(lambda: (view := studio.job(job)).step == step and view.attempt == attempt and view.state == "running" and view)


def names(studio: Studio, job: str) -> list[str]:
    return [name for _, name, _ in studio.events(job)]
