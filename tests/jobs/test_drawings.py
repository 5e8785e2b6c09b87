"""Pictures that the engine makes without a job: answered, refused, given up, and lost with the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.drawings import Drawings
from jobs.studio import Studio
from pipelines.errors import StudioError
from pipelines.events import Drawn

from .parts import make_studio, until
from .scripted import png


@pytest.fixture
def studio(tmp_path: Path, models: Path) -> Iterator[Studio]:
    studio = make_studio(tmp_path / "outputs", models, in_process=False)
    studio.start()
    until(lambda: studio.health()["engine"] == "ready")
    yield studio
    studio.stop()


def test_they_come_from_the_engines_own_process(studio: Studio) -> None:
    assert studio._drawings.make("control", {"units": []}, (8, 8)) == png(7)
    with pytest.raises(StudioError, match="It cannot be drawn"):
        studio._drawings.make("fail", {}, (8, 8))


def test_an_engine_that_dies_answers_nothing_more(studio: Studio) -> None:
    with pytest.raises(StudioError, match="The engine stopped and is being restarted"):
        studio._drawings.make("die", {}, (8, 8))
    until(lambda: studio.health()["engine"] == "ready")
    assert studio._drawings.make("control", {}, (8, 8)) == png(7)


def test_nobody_waits_for_ever() -> None:
    asked: list[object] = []
    drawings = Drawings(asked.append, patience=0)
    with pytest.raises(StudioError, match="The engine is busy"):
        drawings.make("control", {}, (8, 8))
    drawings.apply(Drawn(asked[0].ticket, b"late"))  # type: ignore[attr-defined]
    drawings.lost("It is gone.")
