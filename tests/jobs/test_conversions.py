"""Pickles converted in the background: one after another, progress and failure told, nothing left behind."""

import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.conversions import Conversions
from jobs.ledger import Ledger
from jobs.studio import Studio
from pipelines.errors import InvalidRequest, StorageError, UnknownName
from pipelines.shelves import PICKLES
from tests.jobs.parts import until


def conversions(path: Path, work: object, keep: Callable[[Path, str | None], None] = lambda path, error: None) -> Conversions:
    return Conversions(lambda kind, name: path / name, keep, work)  # type: ignore[arg-type]


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


def test_why_it_failed_stays_with_the_file_until_it_is_tried_again(tmp_path: Path) -> None:
    path, ledger, held = tmp_path / "a.ckpt", tmp_path / "models.sqlite", threading.Event()
    path.write_bytes(b"a")
    outcomes: list[Exception | None] = [StorageError("There is no room."), None]

    def work(path: Path) -> Path:
        assert held.wait(20)
        if error := outcomes.pop(0):
            raise error
        return path

    def told() -> str | None:
        return Ledger(ledger).conversion(path)  # as a studio that was started again

    them = conversions(tmp_path, work, Ledger(ledger).keep_conversion)
    assert told() is None
    them.begin("checkpoint", "a.ckpt")
    assert told() == "a.ckpt was not converted: the studio was stopped before it was done."
    held.set()
    until(lambda: them.all()[0]["state"] == "failed" and not them._turn.locked())
    assert told() == "There is no room."
    them.begin("checkpoint", "a.ckpt")
    until(lambda: them.all()[0]["state"] == "finished")
    assert told() is None
    Ledger(ledger).keep_conversion(path, "It is damaged.")
    path.write_bytes(b"another")
    assert told() is None, "it is another file now"


def test_a_pickle_that_was_refused_says_so_in_the_library(studio: Studio, models: Path) -> None:
    path = models / "checkpoints" / "bad.ckpt"
    path.write_bytes(pickle.dumps(print))
    try:
        studio.conversions.begin("checkpoint", "bad.ckpt")
        until(lambda: studio.conversions.all()[0]["state"] == "failed", 120)
        told = studio.collection.one("checkpoint", "bad.ckpt")["conversion_error"]
        assert told == studio.conversions.all()[0]["error"] and "bad.ckpt cannot be converted: it holds more than weights" in told
        assert studio.collection.one("checkpoint", "toy")["conversion_error"] is None
    finally:
        path.unlink()
