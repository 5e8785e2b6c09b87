"""Pickles converted in the background: one after another, progress and failure told, nothing left behind."""

import threading
from pathlib import Path

import pytest

from jobs.conversions import Conversions
from jobs.studio import Studio
from pipelines.errors import InvalidRequest, StorageError, UnknownName
from pipelines.shelves import PICKLES
from tests.jobs.parts import until


def conversions(path: Path, work: object) -> Conversions:
    return Conversions(lambda kind, name: path / name, work)  # type: ignore[arg-type]


def test_a_pickle_of_the_library_becomes_safetensors(studio: Studio, models: Path) -> None:
    import torch

    path = models / "checkpoints" / "old.ckpt"
    torch.save({"state_dict": {"model.diffusion_model.a": torch.ones(2)}}, path)
    try:
        assert studio.collection.one("checkpoint", "old.ckpt")["pickle"]
        assert studio.conversions.begin("checkpoint", "old.ckpt")["state"] in ("queued", "running")
        done = until(lambda: (one := studio.conversions.all()[0])["state"] in ("finished", "failed") and one, 120)
        assert done == {"kind": "checkpoint", "name": "old.ckpt", "state": "finished", "error": None, "share": None}
        assert path.with_suffix(".safetensors").is_file()
        with pytest.raises(UnknownName):
            studio.conversions.begin("checkpoint", "nope.ckpt")
        with pytest.raises(InvalidRequest, match="no pickle"):
            studio.conversions.begin("checkpoint", "toy")
    finally:
        for suffix in (".safetensors", *PICKLES):
            path.with_suffix(suffix).unlink(missing_ok=True)


def test_one_at_a_time_and_each_once(tmp_path: Path) -> None:
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / name).write_bytes(b"x" * 1000)
    held, begun = threading.Event(), []

    def work(path: Path) -> Path:
        begun.append(path.name)
        (tmp_path / ".a.safetensors.7.part").write_bytes(b"x" * 250)
        assert held.wait(20)
        return path

    them = conversions(tmp_path, work)
    for name in ("a.ckpt", "b.ckpt", "a.ckpt"):
        them.begin("checkpoint", name)
    until(lambda: [each["share"] for each in them.all()] == [0.25, None])
    assert begun == ["a.ckpt"] and [each["state"] for each in them.all()] == ["running", "queued"]
    held.set()
    until(lambda: {each["state"] for each in them.all()} == {"finished"})
    assert begun == ["a.ckpt", "b.ckpt"]


def test_why_it_failed_is_told_and_it_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").touch()
    errors: list[Exception] = [StorageError("There is no room."), ZeroDivisionError()]

    def work(path: Path) -> Path:
        raise errors.pop(0)

    them = conversions(tmp_path, work)
    for told in ("There is no room.", "a.ckpt cannot be converted: ZeroDivisionError."):
        them.begin("checkpoint", "a.ckpt")
        until(lambda: them.all()[0]["state"] == "failed" and not them._turn.locked())
        assert them.all()[0]["error"] == told
