"""A toy checkpoint for the catalog, and studios around the scripted engine that are stopped when their test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.studio import Studio

from .parts import make_studio


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one real checkpoint at toy size, named "toy"."""
    from tests.toys import save_toy  # here, so that collecting these tests stays quick

    root = tmp_path_factory.mktemp("models")
    save_toy(root / "checkpoints" / "toy")
    return root


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def studios(models: Path, outputs: Path) -> Iterator[Callable[..., Studio]]:
    """Starts a studio on `outputs`; in this process unless told otherwise."""
    started: list[Studio] = []

    def start(**kwargs: Any) -> Studio:
        studio = make_studio(outputs, models, **kwargs)
        studio.start()
        started.append(studio)
        return studio

    yield start
    for studio in started:
        studio.stop()


@pytest.fixture
def studio(studios: Callable[..., Studio]) -> Studio:
    return studios()
