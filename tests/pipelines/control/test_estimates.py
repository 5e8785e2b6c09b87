"""Maps drawn from what networks tell: surfaces that look the right way, and jobs that are steered by depth from one end to the other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.builtin.control import Control
from pipelines.catalog import Catalog
from pipelines.control import ControlParams, ControlUnit, preprocessed
from pipelines.control.estimates import depth, normals
from pipelines.control.estimating import estimated, load
from pipelines.control.networks import inspect
from pipelines.errors import InvalidRequest
from pipelines.events import Drawn, Failed
from pipelines.manager import PipelineManager
from tests.pipelines.control.toy_nets import shelf, toy_net
from tests.pipelines.control.toy_networks import depth_anything, segformer
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run, toy
from tests.pipelines.test_oracle import picture
from tests.toys import save_toy

CPU = torch.device("cpu")
UNIT = {"preprocessor": "depth", "model": "lines"}


class Kit:
    """A toy checkpoint beside shelves with a ControlNet and networks."""

    def __init__(self, folder: Path) -> None:
        self.blobs = Blobs()
        self.root = shelf(folder, lines=toy_net(1))
        depth_anything(self.root / "preprocessors" / "near")
        segformer(self.root / "preprocessors" / "what")
        self.manager = Shelf(toy=toy(folder / "toy"))
        self.catalog: Any = SimpleNamespace(roots=(self.root,))
        self.manager.catalog = self.catalog
        self.control = Control()
        self.engine = engine(self.manager, self.blobs, {"control": self.control}, previews=False)

    def asked(self, image: Image.Image | None = None, **unit: Any) -> Any:
        return request(modifiers={"control": {"units": [{"image": self.blobs.add(image or picture()), **UNIT, **unit}]}})

    def run(self, *asked: Any) -> list[Any]:
        return run(engine(self.manager, self.blobs, {"control": self.control}, previews=False), *asked)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


def test_a_job_with_depth_is_one_with_the_map_that_depth_gives(kit: Kit) -> None:
    network = load(inspect(kit.root / "preprocessors" / "near"), CPU)
    drawn = depth(estimated(network, picture(), CPU))
    by_hand = latents(kit.run(kit.asked(drawn, preprocessor="none")))[0]
    assert torch.equal(latents(kit.run(kit.asked()))[0], by_hand)
    assert not torch.equal(latents(kit.run(kit.asked(preprocessor="normal")))[0], by_hand)
    assert torch.isfinite(latents(kit.run(kit.asked(preprocessor="segments")))[0]).all()


def test_a_second_job_does_not_ask_the_network_again(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    first = latents(kit.run(kit.asked()))[0]
    monkeypatch.setattr("pipelines.control.estimating.estimated", None)
    assert torch.equal(latents(kit.run(kit.asked()))[0], first)
    assert of(kit.run(kit.asked(picture(seed=5))), Failed)


def test_what_networks_take_is_counted_and_let_go(kit: Kit) -> None:
    manager = PipelineManager(Catalog(kit.catalog.roots), keepers=[kit.control])
    kit.run(kit.asked())
    both = kit.control.kept_bytes()
    assert manager.memory_bytes() == both > 0
    assert manager.spare() and kit.control.kept_bytes() == 0


def test_the_engine_draws_a_map_without_a_job(kit: Kit) -> None:
    unit = {"image": kit.blobs.add(picture((96, 64))), "preprocessor": "depth"}
    events = kit.engine.events()

    def draw(**more: Any) -> Drawn:
        kit.engine.draw("t", "control", {"units": [{**unit, **more}]}, (64, 64))
        answer = next(events)
        assert isinstance(answer, Drawn) and answer.ticket == "t"
        return answer

    drawn = draw()
    assert drawn.data.startswith(b"\x89PNG") and not drawn.message
    assert (draw(network="what").data, draw(network="what").message) == (
        b"",
        "'what' is a model for segmentation, where one for depth is needed.",
    )
    (kit.root / "preprocessors" / "near" / "model.safetensors").write_bytes(b"torn")
    assert "near/model.safetensors is not a safetensors file" in draw().message
    assert "There is no preprocessor of that name" in draw(preprocessor="openpose").message
    kit.engine.draw("t", "unknown", {}, (64, 64))
    assert "There is no modifier named 'unknown'" in next(events).message  # type: ignore[union-attr]
    events.close()


def test_what_is_lacking_is_told_before_a_job_is_queued(tmp_path: Path) -> None:
    root = shelf(tmp_path, lines=toy_net(1))
    save_toy(root / "checkpoints" / "toy")

    def check(**unit: Any) -> None:
        Control().check(ControlParams(units=(ControlUnit(image="0" * 64, model="lines", **unit),)), Catalog([root]), "toy")

    with pytest.raises(InvalidRequest, match=r"Control 1: No model for depth is in models/preprocessors; one .*Depth-Anything"):
        check(preprocessor="normal")
    check(preprocessor="depth", enabled=False)
    depth_anything(root / "preprocessors" / "near")
    check(preprocessor="depth")
    with pytest.raises(InvalidRequest, match="No model for segmentation"):
        check(preprocessor="segments")
    with pytest.raises(InvalidRequest, match="No model for depth"):
        preprocessed(picture(), "depth", {}, (64, 64))


def facing(estimate: np.ndarray, **given: float) -> np.ndarray:
    """Left, up, to the viewer: of the middle of the map, from -1 to 1."""
    made = np.asarray(normals(estimate.astype(np.float32), **{"strength": 1.0, "background": 0.0, **given})).astype(float)
    return made[made.shape[0] // 2, made.shape[1] // 2] / 127.5 - 1


def test_normals_look_where_surfaces_look() -> None:
    rows, columns = np.mgrid[0:64, 0:64] / 64
    assert facing(np.full((64, 64), 0.5)) == pytest.approx((0, 0, 1), abs=0.01)
    assert facing(rows) == pytest.approx((0, 0.707, 0.707), abs=0.02)  # a floor: nearer below, it looks up
    assert facing(columns) == pytest.approx((0.707, 0, 0.707), abs=0.02)  # nearer to the right, it looks to the left
    assert facing(rows, strength=3)[1] > 0.9
    assert facing(rows, background=0.9) == pytest.approx((0, 0, 1), abs=0.01)
    rounded = np.mgrid[0:128, 0:128][0] / 128
    assert facing(rounded) == pytest.approx(facing(rows), abs=0.02)  # at any size
    assert np.asarray(normals(np.zeros((1, 1), np.float32), 1, 0)).tolist() == [[[128, 128, 255]]]


def test_maps_are_fitted_like_pictures_and_classes_never_mixed() -> None:
    told = np.zeros((20, 40, 3), np.uint8)
    told[:, 20:] = (6, 230, 230)
    made = preprocessed(Image.new("RGB", (40, 20)), "segments", {}, (96, 64), "fill", None, told)
    assert {tuple(map(int, pixel)) for pixel in np.asarray(made).reshape(-1, 3)} == {(0, 0, 0), (6, 230, 230)}
    near = np.linspace(0, 1, 40, dtype=np.float32)[None].repeat(20, 0)
    made = np.asarray(preprocessed(Image.new("RGB", (40, 20)), "depth", {}, (80, 40), "stretch", None, near))
    assert made.shape == (40, 80, 3) and made[0, 0, 0] < 5 and made[0, -1, 0] > 250
