"""What is broken, strange or not to be read is listed with its reason, and never takes the listing down."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError
from tests.pipelines import ldm_files
from tests.pipelines.test_catalog import names, put
from tests.toys import save_toy

NASTY = "<img src=x onerror=1>.safetensors"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "single.safetensors"
    ldm_files.save(path, dtype=torch.float16)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


BREAK: dict[str, Callable[[Path], object]] = {
    "no weights": lambda path: (path / "unet" / "diffusion_pytorch_model.safetensors").unlink(),
    "only bin": lambda path: (path / "unet" / "diffusion_pytorch_model.safetensors").rename(path / "unet" / "diffusion_pytorch_model.bin"),
    "cut weights": lambda path: cut(path / "vae" / "diffusion_pytorch_model.safetensors"),
    "no vae": lambda path: shutil.rmtree(path / "vae"),
    "no tokenizer": lambda path: shutil.rmtree(path / "tokenizer"),
    "no scheduler": lambda path: shutil.rmtree(path / "scheduler"),
    "no index": lambda path: (path / "model_index.json").unlink(),
    "index is a list": lambda path: (path / "model_index.json").write_text("[]"),
    "index is garbage": lambda path: (path / "model_index.json").write_bytes(b"\xff\xfe{"),
    "huge config": lambda path: (path / "unet" / "config.json").write_text(" " * 2**23),
    "other pipeline": lambda path: (path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'),
    "other encoder": lambda path: (path / "model_index.json").write_text(
        '{"_class_name": "StableDiffusionPipeline", "text_encoder": ["a", "B"]}'
    ),
    "endless config": lambda path: (path / "text_encoder" / "config.json").write_text('{"num_hidden_layers": 1000000000}'),
}


@pytest.mark.parametrize("how", BREAK)
def test_a_broken_folder_is_listed_with_its_reason(tmp_path: Path, toy: Path, how: str) -> None:
    path = put(toy, tmp_path / "checkpoints" / "toy")
    put(toy, tmp_path / "checkpoints" / "whole")
    BREAK[how](path)
    catalog = Catalog([tmp_path])
    broken = names(catalog.checkpoints())["toy"]
    assert broken and broken.endswith(".") and broken.count("\n") == 0 and "toy" in broken
    assert catalog.default_checkpoint() == "whole"
    with pytest.raises(CheckpointError) as caught:
        catalog.checkpoint("toy")
    assert str(caught.value) == broken


def test_broken_files_are_listed_with_their_reason(tmp_path: Path, single: Path) -> None:
    shelf = tmp_path / "Stable-diffusion"
    cut(put(single, shelf / "cut.safetensors"))
    (shelf / NASTY).write_text("no model")
    (shelf / "old.ckpt").write_bytes(b"\x80\x04.")
    (shelf / "empty.safetensors").touch()
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1)}, shelf / "lora.safetensors")
    found = names(Catalog([tmp_path]).checkpoints())
    assert set(found) == {"cut.safetensors", NASTY, "old.ckpt", "empty.safetensors", "lora.safetensors"}
    assert all(reason and reason.endswith(".") for reason in found.values())
    assert "pickle" in str(found["old.ckpt"]) and "LoRA" in str(found["lora.safetensors"]) and "cut short" in str(found["cut.safetensors"])


def test_a_folder_that_may_not_be_read(tmp_path: Path, single: Path) -> None:
    put(single, tmp_path / "checkpoints" / "a.safetensors")
    closed = tmp_path / "checkpoints" / "closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        assert names(Catalog([tmp_path]).checkpoints()) == {"a.safetensors": None}
    finally:
        closed.chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_file_name_that_is_no_text(tmp_path: Path, single: Path) -> None:
    shelf = tmp_path / "checkpoints"
    shelf.mkdir()
    shutil.copy(os.fsencode(single), os.path.join(os.fsencode(shelf), b"caf\xe9\n.safetensors"))
    (info,) = Catalog([tmp_path]).checkpoints()
    assert info.broken is None and json.dumps(info.name).isascii() and info.name == "caf��.safetensors"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_why_a_file_cannot_be_used_is_text_whatever_its_name(tmp_path: Path, toy: Path) -> None:
    shelf = os.path.join(os.fsencode(tmp_path), b"r\xff", b"checkpoints")
    os.makedirs(shelf)
    nasty = b"a\n\xe2\x80\xae\xe9"
    for suffix in (b".ckpt", b".safetensors"):
        with open(os.path.join(shelf, nasty + suffix), "wb") as file:
            file.write(b"no model")
    os.makedirs(os.path.join(shelf, nasty, b"unet"))
    root = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"r\xff")))
    found = Catalog([root, put(root, tmp_path / "again")]).checkpoints()
    assert len(found) == 6
    for info in found:
        assert info.broken and "a\ufffd\ufffd\ufffd" in info.broken
        assert info.name.isprintable() and info.broken.isprintable()
