"""Notes and pictures beside model files, from Civitai's helpers and A1111, sound and damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.sidecar import Sidecar, read

CIVITAI = {
    "id": 7,
    "name": "v2.1",
    "baseModel": "SDXL 1.0",
    "trainedWords": ["inkwash, monochrome", "brush", "brush"],
    "description": None,
    "model": {"name": "Ink Wash", "description": "<p>Draws <b>ink</b> &amp; water.</p><p>Two<br>lines</p>", "tags": ["style", "ink"]},
    "images": [{"url": "https://example.com/a.png"}],
}
A1111 = {
    "description": "Mine",
    "sd version": "SD1",
    "activation text": "inkwash, wet paper",
    "preferred weight": 0.7,
    "notes": "low steps\nwork",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ink.v2.safetensors"
    path.touch()
    return path


def write(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_nothing_beside(model: Path, tmp_path: Path) -> None:
    assert read(model) == read(tmp_path / "absent.safetensors") == read(tmp_path) == Sidecar()


def test_civitai(model: Path) -> None:
    write(model.with_name("ink.v2.civitai.info"), CIVITAI)
    assert read(model) == Sidecar(
        title="Ink Wash v2.1",
        description="Draws ink & water.\nTwo\nlines",
        trigger_words=("inkwash, monochrome", "brush"),
        base_model="SDXL 1.0",
        tags=("style", "ink"),
    )


def test_the_users_own_words_come_first(model: Path) -> None:
    write(model.with_name("ink.v2.civitai.info"), CIVITAI)
    write(model.with_name("ink.v2.json"), A1111)
    found = read(model)
    assert (found.description, found.notes, found.base_model) == ("Mine", "low steps\nwork", "SD1")
    assert (found.trigger_words, found.preferred_weight, found.title) == (("inkwash", "wet paper"), 0.7, "Ink Wash v2.1")


def test_other_helpers(model: Path) -> None:
    write(model.with_name("ink.v2.cm-info.json"), {"ModelName": "Ink", "BaseModel": "SD 1.5", "TrainedWords": ["x"], "Tags": ["t"]})
    assert read(model) == Sidecar(title="Ink", base_model="SD 1.5", trigger_words=("x",), tags=("t",))


def test_pictures(model: Path) -> None:
    for name in ("ink.v2.webp", "ink.v2.jpg", "ink.v2.png", "ink.v2.preview.jpeg", "ink.v2.preview.png"):
        model.with_name(name).write_bytes(b"x")
        assert read(model).preview == model.with_name(name)
    folder = model.with_name("folder")
    folder.mkdir()
    model.with_name("folder.preview.png").write_bytes(b"x")
    assert read(folder).preview == model.with_name("folder.preview.png")
    model.with_name("ink.v2.preview.png").write_bytes(b"")
    assert read(model).preview == model.with_name("ink.v2.preview.jpeg")


@pytest.mark.parametrize(
    "damaged", ["", "{", "[1, 2]", "null", '"text"', "[" * 100_000, '{"model": [], "trainedWords": 5, "name": {}}', "\ufeff{}"]
)
def test_damaged_notes_tell_nothing(model: Path, damaged: str) -> None:
    for name in ("ink.v2.civitai.info", "ink.v2.json", "ink.v2.cm-info.json"):
        write(model.with_name(name), damaged)
    model.with_name("ink.v2.preview.png").mkdir()
    assert read(model) == Sidecar()


@pytest.mark.parametrize("weight", [0, True, "0.7", 1e9, float("inf"), None, [1]])
def test_weights_that_are_none(model: Path, weight: Any) -> None:
    write(model.with_name("ink.v2.json"), {"preferred weight": weight})
    assert read(model).preferred_weight is None


def test_sizes_are_bounded(model: Path) -> None:
    words = [f"word {number} {'x' * 1000}" for number in range(1000)]
    write(model.with_name("ink.v2.civitai.info"), {"description": "a\x1b[31m\u202e" * 5000, "trainedWords": words})
    found = read(model)
    assert len(found.description) <= 10_000 and all(each.isprintable() for each in found.description)
    assert len(found.trigger_words) == 100 and max(map(len, found.trigger_words)) == 500
    write(model.with_name("ink.v2.civitai.info"), {"description": "a" * 2**22})
    assert read(model) == Sidecar()
