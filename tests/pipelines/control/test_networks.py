"""Networks of preprocessors: told from their folders, loaded without a network, and telling what transformers' pipelines tell."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import pipeline

from pipelines.catalog import Catalog
from pipelines.control import NetworkShelf
from pipelines.control.estimates import depth, segments
from pipelines.control.estimating import LARGEST, Networks, estimated, load, nearness, within
from pipelines.control.networks import KINDS, inspect, missing
from pipelines.control.palette import ade20k, colour_named
from pipelines.errors import BadPicture, CheckpointError, InvalidRequest, UnknownName
from pipelines.library import Library
from tests.pipelines.control.toy_networks import EVERY, changed, depth_anything, dpt, glpn, segformer
from tests.pipelines.engines import Blobs

CPU = torch.device("cpu")
SIZES = [(96, 64), (67, 131), (33, 35)]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **more: Any) -> Any:
        raise AssertionError("it asked for the network")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("make", [depth_anything, dpt])
@pytest.mark.parametrize("size", SIZES)
def test_depth_is_that_of_transformers(tmp_path: Path, make: Callable[[Path], Path], size: tuple[int, int]) -> None:
    network = load(inspect(make(tmp_path / "it")), CPU)
    oracle = pipeline("depth-estimation", model=network.module, image_processor=network.processor)(noise(size))
    made = depth(estimated(network, noise(size), CPU))
    assert made.size == size and np.array_equal(np.asarray(made)[..., 0], np.asarray(oracle["depth"]))


@pytest.mark.parametrize("size", SIZES)
def test_segmentation_is_that_of_transformers(tmp_path: Path, size: tuple[int, int]) -> None:
    network = load(inspect(segformer(tmp_path / "it")), CPU)
    oracle = pipeline("image-segmentation", model=network.module, image_processor=network.processor)(noise(size), subtask="semantic")
    made = np.asarray(segments(estimated(network, noise(size), CPU)))
    assert made.shape == (size[1], size[0], 3) and len(oracle) > 1
    colours = dict(ade20k())
    for each in oracle:
        where = np.asarray(each["mask"]) > 0
        assert (made[where] == colours[each["label"]]).all(), each["label"]


def test_every_class_that_is_known_can_be_used(tmp_path: Path) -> None:
    infos = [inspect(make(tmp_path / make.__name__)) for make in EVERY]
    assert {info.architecture for info in infos} == set(KINDS)
    for info in infos:
        assert info.broken is None, info.broken
        told = estimated(load(info, CPU), noise((70, 133)), CPU)
        assert told.shape[:2] == (133, 70) and told.dtype == (np.float32 if info.task == "depth" else np.uint8), info.name


def test_networks_that_tell_distances_are_turned_round(tmp_path: Path) -> None:
    network = load(inspect(glpn(tmp_path / "it")), CPU)
    assert network.info.metric and inspect(depth_anything(tmp_path / "da", depth_estimation_type="metric", max_depth=20)).metric
    picture = noise((96, 64))
    told = pipeline("depth-estimation", model=network.module, image_processor=network.processor)(picture)["predicted_depth"].numpy()
    near = estimated(network, picture, CPU)
    assert near.dtype == np.float32 and near.min() == 0 and near.max() == 1
    assert near.flat[told.argmax()] == 0 and near.flat[told.argmin()] == 1
    assert nearness(np.array([[1.0, 2.0, 4.0]], np.float32), True)[0, 1] == pytest.approx(1 / 3, abs=0.02)
    assert (nearness(np.full((2, 2), 3.0, np.float32), False) == 0).all()


def test_large_grey_and_strange_pictures(tmp_path: Path) -> None:
    blobs, networks = Blobs(), Networks()
    info = inspect(depth_anything(tmp_path / "it"))
    large = noise((3000, 1500))
    told = networks.told(info, blobs.add(large), blobs.__getitem__, CPU)
    assert told.shape == (LARGEST // 2, LARGEST)
    network = load(info, CPU)
    assert np.array_equal(told, estimated(network, within(large), CPU))
    for picture in (noise((40, 50)).convert("L"), noise((40, 50)).convert("I;16"), Image.new("RGBA", (40, 50), (9, 9, 9, 9))):
        assert networks.told(info, blobs.add(picture), blobs.__getitem__, CPU).shape == (50, 40)
    assert networks.told(info, blobs.add(Image.new("RGB", (1, 1))), blobs.__getitem__, CPU).shape == (1, 1)
    with pytest.raises(BadPicture, match="it can make nothing of a picture of 900 × 7 pixels"):
        networks.told(info, blobs.add(Image.new("RGB", (900, 7))), blobs.__getitem__, CPU)


def test_what_was_told_is_kept_and_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, networks = Blobs(), Networks()
    info = inspect(dpt(tmp_path / "it"))
    picture = blobs.add(noise((64, 64)))
    first = networks.told(info, picture, blobs.__getitem__, CPU)
    assert networks.kept_bytes() == sum(tensor.numel() * 4 for tensor in load(info, CPU).module.state_dict().values())
    assert networks.spare() and networks.kept_bytes() == 0 and not networks.spare()
    with monkeypatch.context() as broken:
        broken.setattr("pipelines.control.estimating.load", None)
        assert networks.told(info, picture, blobs.__getitem__, CPU) is first
    dpt(tmp_path / "it", seed=1)
    assert not np.array_equal(networks.told(inspect(tmp_path / "it"), picture, blobs.__getitem__, CPU), first)
    monkeypatch.setattr("pipelines.control.estimating._KEPT_BYTES", first.nbytes)
    other = blobs.add(noise((64, 64), 1))
    networks.told(inspect(tmp_path / "it"), other, blobs.__getitem__, CPU)
    assert len(networks._told) == 1


def _lose(folder: Path, file: str) -> None:
    (folder / file).unlink()


def _without_a_weight(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state.pop("head.head.0.weight")
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def _not_finite(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["head.head.0.weight"][0] = float("nan")
    save_file(state, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: _lose(folder, "config.json"), r"config\.json is missing"),
        (lambda folder: _lose(folder, "preprocessor_config.json"), r"preprocessor_config\.json is missing"),
        (lambda folder: _lose(folder, "model.safetensors"), "has no weights"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json is not valid JSON"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"nothing"), "is not a safetensors file"),
        (lambda folder: changed(folder / "config.json", {"architectures": ["ViTModel"]}), "it is ViTModel, which makes no map"),
        (lambda folder: changed(folder / "config.json", {"backbone": "a/b"}), "names a backbone that lies elsewhere"),
        (lambda folder: changed(folder / "config.json", {"use_timm_backbone": True}), "names a backbone that lies elsewhere"),
    ],
)
def test_folders_that_cannot_be_used_say_why(tmp_path: Path, spoil: Callable[[Path], Any], why: str) -> None:
    folder = dpt(tmp_path / "it")
    spoil(folder)
    info = inspect(folder)
    assert info.broken is not None
    with pytest.raises(CheckpointError, match=why):
        load(info, CPU)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_without_a_weight, r"it is incomplete: it lacks 'head\.head\.0\.weight'\."),
        (_not_finite, r"it is damaged: its weight 'head\.head\.0\.weight' is not finite"),
        (lambda folder: changed(folder / "config.json", {"hidden_size": 24}), r"it cannot be read: "),
        (lambda folder: changed(folder / "config.json", {"hidden_size": "x"}), r"it cannot be read: "),
        (lambda folder: changed(folder / "preprocessor_config.json", {"size": "large"}), r"it "),
    ],
)
def test_weights_that_do_not_do_are_told_in_a_sentence(tmp_path: Path, spoil: Callable[[Path], Any], why: str) -> None:
    folder = dpt(tmp_path / "it")
    spoil(folder)
    info = inspect(folder)
    assert info.broken is None
    with pytest.raises((CheckpointError, BadPicture), match=why) as told:
        estimated(load(info, CPU), noise((64, 64)), CPU)
    assert "\n" not in str(told.value)


def test_classes_are_known_by_name_whatever_their_order(tmp_path: Path) -> None:
    colours = dict(ade20k())
    assert colour_named("Windowpane, window") == colours["windowpane"] and colour_named("vegetation") == colours["tree"]
    assert colour_named("chest of drawers") == colours["chest of drawers"] and colour_named("LABEL_3") == (0, 0, 0)
    info = inspect(segformer(tmp_path / "streets", ["road", "sky", "ego vehicle", "car"]))
    assert info.broken is None and info.colours == (colours["road"], colours["sky"], (0, 0, 0), colours["car"])
    assert info.detail == "segmentation, Segformer, 3 of 4 classes have a colour"
    made = estimated(load(info, CPU), noise((64, 64)), CPU)
    assert {tuple(map(int, pixel)) for pixel in made.reshape(-1, 3)} <= set(info.colours)
    other = inspect(segformer(tmp_path / "faces", ["nose", "left eye", "right eye", "hair"]))
    assert str(other.broken).startswith("faces tells other classes (nose, left eye, right eye) than ADE20K's 150")


def test_they_are_listed_and_found_by_what_they_tell(tmp_path: Path) -> None:
    shelf = NetworkShelf((tmp_path,))
    with pytest.raises(InvalidRequest, match=r"No model for depth is in models/preprocessors; one .*/Depth-Anything-V2-Small-hf"):
        shelf.chosen("depth")
    assert "segmentation" in missing("segmentation")
    dpt(tmp_path / "preprocessors" / "b")
    depth_anything(tmp_path / "preprocessors" / "sub" / "a")
    segformer(tmp_path / "preprocessors" / "s")
    save_file({"x": torch.zeros(1)}, tmp_path / "preprocessors" / "lone.safetensors")
    assert [(info.name, info.task, bool(info.broken)) for info in shelf.all()] == [
        ("b", "depth", False),
        ("lone.safetensors", "depth", True),
        ("s", "segmentation", False),
        ("sub/a", "depth", False),
    ]
    assert (shelf.chosen("depth").name, shelf.chosen("depth", "sub/a").name, shelf.chosen("segmentation").name) == ("b", "sub/a", "s")
    with pytest.raises(InvalidRequest, match="'s' is a model for segmentation, where one for depth is needed"):
        shelf.chosen("depth", "s")
    with pytest.raises(UnknownName, match="no network of preprocessors named 'c'"):
        shelf.chosen("depth", "c")
    with pytest.raises(CheckpointError, match=r"lone\.safetensors has no config\.json beside it"):
        shelf.chosen("depth", "lone.safetensors")
    entries = {entry.name: entry for entry in Library(Catalog([tmp_path])).entries("preprocessor")}
    assert entries["b"].detail == "depth, DPT" and entries["b"].weights == tmp_path / "preprocessors/b/model.safetensors"
