"""Pickles made into safetensors by a process of their own; malicious ones run nothing and leave nothing."""

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines.convert import convert
from pipelines.errors import CheckpointError, StorageError

WEIGHTS = {"model.diffusion_model.a": torch.arange(6.0).reshape(2, 3), "half": torch.ones(4, dtype=torch.float16), "count": torch.tensor(3)}


class Creates:
    """A pickle of it creates a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def same(path: Path) -> None:
    found = load_file(path)
    assert set(found) == set(WEIGHTS) and all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in WEIGHTS.items()
    )


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_weights_of_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "old model.ckpt"
    shared = torch.zeros(4)
    torch.save({"state_dict": {**WEIGHTS, "one": shared, "two": shared[:2], "other": "text"}, "global_step": 7}, path)
    before = path.read_bytes()
    target = convert(path)
    assert target == tmp_path / "old model.safetensors" and path.read_bytes() == before
    assert left(tmp_path) == {"old model.ckpt", "old model.safetensors"}
    found = load_file(target)
    assert set(found) == {*WEIGHTS, "one", "two"} and torch.equal(found["two"], torch.zeros(2))
    with pytest.raises(StorageError, match="is there already"):
        convert(path)


def test_weights_in_the_form_of_before_torch_1_6(tmp_path: Path) -> None:
    path = tmp_path / "ancient.pt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    same(convert(path))


@pytest.mark.parametrize("form", ["zip", "legacy", "bare", "renamed"])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, form: str) -> None:
    (tmp_path / "shelf").mkdir()
    path, created = tmp_path / "shelf" / "evil.ckpt", tmp_path / "created"
    evil = {"state_dict": {"a": torch.zeros(2), "b": Creates(created)}}
    if form == "bare":
        path.write_bytes(pickle.dumps(Creates(created)))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form != "legacy")
    if form == "renamed":  # scanners look for data.pkl, torch reads what the archive calls so whatever its case
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "new", "w", zipfile.ZIP_STORED) as new:
            for name in old.namelist():
                new.writestr(name.replace("data.pkl", "DATA.PKL"), old.read(name))
        (tmp_path / "new").replace(path)
    with pytest.raises(CheckpointError, match=r"evil.ckpt cannot be converted: .*\.$") as caught:
        convert(path)
    assert "\n" not in str(caught.value)
    assert not created.exists() and left(tmp_path / "shelf") == {"evil.ckpt"}


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    for name, data in (("garbage.ckpt", b"\x00garbage"), ("empty.pt", b""), ("list.pth", pickle.dumps([1, 2]))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match="cannot be converted"):
            convert(tmp_path / name)
    (tmp_path / "model.bin").write_bytes(b"")
    for name in ("model.bin", "missing.ckpt"):
        with pytest.raises(CheckpointError, match="is not a file of the kind"):
            convert(tmp_path / name)


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "a.ckpt")
    command = [sys.executable, "-m", "pipelines.convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.ckpt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout.strip().endswith("a.safetensors is written.") and "b.ckpt is not a file" in done.stderr
    same(tmp_path / "a.safetensors")
