"""Models found in every kind of folder, named, told apart and checked, without torch and without ever failing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines import shelves
from pipelines.catalog import BUILT_IN, Catalog, ModelInfo
from pipelines.errors import CheckpointError, UnknownName
from pipelines.families import FAMILIES
from tests.pipelines import ldm_files
from tests.toys import save_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "single.safetensors"
    ldm_files.save(path, dtype=torch.float16)
    return path


def put(source: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place))


def names(infos: list[ModelInfo]) -> dict[str, str | None]:
    return {info.name: info.broken for info in infos}


@pytest.mark.parametrize(
    ("root", "shelf"),
    [
        ("models", "models/checkpoints"),  # ours
        ("a1111", "a1111/models/Stable-diffusion"),
        ("a1111/models", "a1111/models/Stable-diffusion"),
        ("comfy", "comfy/models/checkpoints"),
        ("comfy", "comfy/models/diffusers"),
        ("loose", "loose"),  # the checkpoints folder itself
    ],
)
def test_each_house_is_used_in_place(tmp_path: Path, toy: Path, single: Path, root: str, shelf: str) -> None:
    put(toy, tmp_path / shelf / "folder")
    put(single, tmp_path / shelf / "deep" / "er" / "file.safetensors")
    (tmp_path / shelf / "notes.txt").write_text("put checkpoints here")
    (tmp_path / shelf / ".hidden.safetensors").write_text("")
    catalog = Catalog([tmp_path / root])
    assert names(catalog.checkpoints()) == {"folder": None, "deep/er/file.safetensors": None}
    info = catalog.checkpoint("deep/er/file.safetensors")
    assert (info.kind, info.family, info.title, info.size_bytes) == ("file", "sd1", "deep/er/file", single.stat().st_size)
    assert info.tasks == ["txt2img", "img2img", "inpaint"]


def test_a_root_may_be_one_checkpoint(toy: Path) -> None:
    assert names(Catalog([toy]).checkpoints()) == {"toy": None}


def test_no_root_at_all(tmp_path: Path) -> None:
    catalog = Catalog([tmp_path / "nowhere"])
    assert catalog.checkpoints() == catalog.vaes() == [] and catalog.default_checkpoint() == ""
    with pytest.raises(CheckpointError, match="There is no checkpoint in"):
        catalog.checkpoint("")


def test_models_come_and_go_without_a_restart(tmp_path: Path, single: Path) -> None:
    catalog = Catalog([tmp_path])
    (tmp_path / "checkpoints").mkdir()
    assert catalog.checkpoints() == []
    path = put(single, tmp_path / "checkpoints" / "a.safetensors")
    assert names(catalog.checkpoints()) == {"a.safetensors": None}
    before = catalog.checkpoint("a.safetensors")
    assert catalog.checkpoint("a.safetensors") is before  # what was read is kept
    path.write_bytes(path.read_bytes()[:-1])
    assert "cut short" in str(names(catalog.checkpoints())["a.safetensors"])
    path.unlink()
    assert catalog.checkpoints() == []


def test_names_are_unique_among_roots_and_one_model_is_listed_once(tmp_path: Path, single: Path) -> None:
    for root in ("one", "two", "other/two"):
        put(single, tmp_path / root / "checkpoints" / "a.safetensors")
    roots = [tmp_path / root for root in ("one", "two", "other/two", "one", "one/checkpoints")]
    assert list(names(Catalog(roots).checkpoints())) == ["a.safetensors", "two/a.safetensors", "two/a.safetensors (2)"]


def test_links_are_followed_and_loops_end(tmp_path: Path, single: Path) -> None:
    put(single, tmp_path / "elsewhere" / "a.safetensors")
    shelf = tmp_path / "root" / "checkpoints"
    shelf.mkdir(parents=True)
    try:
        (shelf / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (shelf / "loop").symlink_to(shelf, target_is_directory=True)
        (shelf / "dangling.safetensors").symlink_to(tmp_path / "nothing")
    except OSError:
        pytest.skip("links cannot be made here")
    found = names(Catalog([tmp_path / "root"]).checkpoints())
    assert found.pop("linked/a.safetensors") is None
    assert list(found) == ["dangling.safetensors"] and found["dangling.safetensors"]


@pytest.mark.parametrize("root", ["a1111/models", "comfy/models", "ours"])
def test_vaes(tmp_path: Path, toy: Path, single: Path, root: str) -> None:
    shelf = tmp_path / root / ("VAE" if "a1111" in root else "vae")
    put(toy / "vae", shelf / "folder")
    vae = {name: tensor for name, tensor in ldm_files.original(ldm_files.components()).items() if name.startswith("first_stage_model.")}
    save_file(vae, shelf / "file.safetensors")
    put(single, tmp_path / root / "checkpoints" / "model.safetensors")
    save_file(vae, tmp_path / root / "checkpoints" / "model.vae.safetensors")
    (shelf / "old.vae.pt").write_bytes(b"")
    save_file({"a": torch.zeros(1)}, shelf / "other.safetensors")
    catalog = Catalog([tmp_path / root])
    found = names(catalog.vaes())
    assert {name for name, broken in found.items() if broken is None} == {"folder", "file.safetensors", "model.vae.safetensors"}
    assert set(found) - {"old.vae.pt", "other.safetensors"} == {"folder", "file.safetensors", "model.vae.safetensors"}
    assert list(names(catalog.checkpoints())) == ["model.safetensors"]
    assert catalog.vae("folder").path == shelf / "folder"
    with pytest.raises(UnknownName, match="automatic"):
        catalog.vae("none")
    with pytest.raises(CheckpointError, match="not a VAE"):
        catalog.vae("other.safetensors")


@pytest.mark.parametrize("shelf", ["vae_approx", "models/VAE-approx", "preview"])
def test_a_tiny_decoder_is_found(tmp_path: Path, shelf: str) -> None:
    catalog = Catalog([tmp_path / "none", tmp_path])
    assert catalog.tiny_decoder(FAMILIES["sd1"]) is None
    (tmp_path / shelf).mkdir(parents=True)
    (tmp_path / shelf / "taesd_decoder.safetensors").touch()
    assert catalog.tiny_decoder(FAMILIES["sd1"]) == tmp_path / shelf / "taesd_decoder.safetensors"


def test_the_built_in_checkpoint_is_the_default(tmp_path: Path, toy: Path) -> None:
    put(toy, tmp_path / "checkpoints" / "a")
    catalog = Catalog([tmp_path])
    assert catalog.default_checkpoint() == "a"
    put(toy, tmp_path / "checkpoints" / BUILT_IN)
    assert catalog.default_checkpoint() == BUILT_IN


def test_no_torch_is_needed(toy: Path) -> None:
    code = (
        "import sys, pathlib; from pipelines.catalog import Catalog; "
        f"info = Catalog([pathlib.Path({str(toy.parent)!r})]).checkpoint('toy'); "
        "print(info.family, *(name in sys.modules for name in ('torch', 'transformers')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["sd1", "False", "False"]


def cached(hub: Path, repo: str, toy: Path, commit: str = "a" * 40, main: bool = True) -> Path:
    """A repo as huggingface_hub keeps it: blobs by hash, and links to them in a snapshot."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    for path in toy.rglob("*"):
        if path.is_file():
            blob = folder / "blobs" / f"{len(list(folder.glob('blobs/*')))}"
            link = folder / "snapshots" / commit / path.relative_to(toy)
            for place in (blob, link):
                place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blob)
            link.symlink_to(os.path.relpath(blob, link.parent))
    if main:
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_repos_of_the_hugging_face_cache(tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = tmp_path / "hf" / "hub"
    cached(hub, "artist/toy", toy)
    cached(hub, "artist/by-commit", toy, main=False)
    partial = cached(hub, "artist/half", toy)
    (partial / "snapshots" / ("a" * 40) / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (hub / "models--bert--base" / "snapshots" / "b").mkdir(parents=True)
    cached(hub, "artist/odd", toy, main=False)
    (hub / "models--artist--odd" / "refs").mkdir()
    (hub / "models--artist--odd" / "refs" / "main").write_text("../../../..")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert shelves.hub_cache() == hub
    found = names(Catalog([tmp_path / "none", hub]).checkpoints())
    assert set(found) == {"artist/toy", "artist/by-commit", "artist/half", "artist/odd"}
    assert found["artist/toy"] is found["artist/by-commit"] is found["artist/odd"] is None and "no weights" in str(found["artist/half"])
    info = Catalog([hub]).checkpoint("artist/toy")
    assert (info.kind, info.family) == ("folder", "sd1") and info.size_bytes > 10_000
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "nowhere"))
    assert shelves.hub_cache() is None


def test_a_pickle_that_was_converted_is_left_out(tmp_path: Path, single: Path) -> None:
    put(single, tmp_path / "checkpoints" / "a.safetensors")
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / "checkpoints" / name).write_bytes(b"\x80\x04.")
    assert list(names(Catalog([tmp_path]).checkpoints())) == ["a.safetensors", "b.ckpt"]


def test_comfys_folder_of_unets_is_no_checkpoint(tmp_path: Path, single: Path) -> None:
    put(single, tmp_path / "unet" / "a.safetensors")
    assert names(Catalog([tmp_path]).checkpoints()) == {"a.safetensors": None}
