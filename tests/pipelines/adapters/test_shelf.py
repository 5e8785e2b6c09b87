"""LoRAs and embeddings found in everybody's folders, by the names that prompts use."""

import os
from pathlib import Path

import pytest
import torch

from pipelines.adapters import shelf
from pipelines.errors import InvalidRequest, UnknownName
from tests.pipelines.adapters import files


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_everybodys_folders(tmp_path: Path) -> None:
    ours = touch(tmp_path / "models", "loras/ink.safetensors", "embeddings/bad.safetensors", "checkpoints/no.safetensors")
    a1111 = touch(
        tmp_path / "webui",
        "models/Lora/style/deep/wash.safetensors",
        "models/LyCORIS/kron.safetensors",
        "models/Lora/old.pt",
        "models/Lora/wash.png",
        "embeddings/sub/bad.safetensors",
    )
    comfy = touch(tmp_path / "comfy", "models/loras/ink.safetensors", "models/embeddings/c.pt", "models/loras/.hidden.safetensors")
    roots = (ours, a1111, comfy, tmp_path / "absent")
    assert shelf.loras(roots) == {
        "ink.safetensors": ours / "loras/ink.safetensors",
        "style/deep/wash.safetensors": a1111 / "models/Lora/style/deep/wash.safetensors",
        "old.pt": a1111 / "models/Lora/old.pt",
        "kron.safetensors": a1111 / "models/LyCORIS/kron.safetensors",
        "comfy/ink.safetensors": comfy / "models/loras/ink.safetensors",
    }
    assert list(shelf.embeddings(roots)) == ["bad.safetensors", "sub/bad.safetensors", "c.pt"]


def test_links_are_followed_and_count_once(tmp_path: Path) -> None:
    root = touch(tmp_path / "one", "loras/a.safetensors", "far/b.safetensors")
    os.symlink(root / "far", root / "loras" / "linked")
    os.symlink(root / "loras", root / "loras" / "loop")
    os.symlink(root / "gone.safetensors", root / "loras" / "dead.safetensors")
    assert list(shelf.loras([root, root])) == ["a.safetensors", "linked/b.safetensors"]


def test_names_in_prompts(tmp_path: Path) -> None:
    root = touch(tmp_path, "loras/ink.safetensors", "loras/a/Wash v2.1.safetensors", "loras/a/oil.safetensors", "loras/oil.pt")
    for name, file in {
        "ink": "ink.safetensors",
        "ink.safetensors": "ink.safetensors",
        "INK": "ink.safetensors",
        "Wash v2.1": "a/Wash v2.1.safetensors",
        "a/wash V2.1": "a/Wash v2.1.safetensors",
        "a/oil.safetensors": "a/oil.safetensors",
        "oil.pt": "oil.pt",
    }.items():
        assert shelf.find_lora([root], name) == root / "loras" / file, name


def test_a_name_that_may_be_several(tmp_path: Path) -> None:
    root = touch(tmp_path, "loras/a/ink.safetensors", "loras/b/ink.safetensors", "loras/c/ink.ckpt")
    with pytest.raises(InvalidRequest) as error:
        shelf.find_lora([root], "ink")
    assert str(error.value) == "There are 2 files for lora 'ink': a/ink.safetensors and b/ink.safetensors; name its folder too."
    assert shelf.find_lora([root], "b/ink") == root / "loras/b/ink.safetensors"
    touch(root, "loras/ink.safetensors")
    assert shelf.find_lora([root], "ink") == root / "loras/ink.safetensors"


def test_a_name_that_the_trainer_gave(tmp_path: Path) -> None:
    tensors = {"lora_unet_x.diff": torch.zeros(2, 2)}
    path = files.save(tmp_path / "loras" / "12345.safetensors", tensors, {"ss_output_name": "ink_v2"})
    touch(tmp_path, "loras/empty.safetensors")
    assert shelf.find_lora([tmp_path], "ink_v2") == path


def test_unknown_names_bring_near_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="There is no lora named 'ink'; known: none"):
        shelf.find_lora([tmp_path], "ink")
    root = touch(tmp_path, "loras/inkwash.safetensors", *(f"loras/{number:04}.safetensors" for number in range(100)))
    with pytest.raises(UnknownName) as error:
        shelf.find_lora([root], "inkwahs")
    assert "inkwash" in str(error.value) and str(error.value).endswith("… and 93 more.")
    with pytest.raises(UnknownName, match="There is no lora named 'a\ufffdb'"):
        shelf.find_lora([root], "a\nb")
