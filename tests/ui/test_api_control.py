"""The routes of control: what there is, what a preprocessor makes of an upload, and units with pictures inside a job."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from extensions.builtin.control import Control
from tests.ui.asking import picture, refused
from tests.ui.serving import Served, served
from ui.api.control import ControlOffer
from ui.api.shapes import Upload


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("control")
    with served(folder) as running:
        running.studio.modifiers["control"] = Control()  # type: ignore[index]
        yield running


def test_what_there_is(it: Served) -> None:
    told = ControlOffer.model_validate(it.client.get("/api/v1/control").json())
    names = [each.name for each in told.preprocessors]
    assert names[0] == "none" and {"canny", "scribble", "tile", "reference"} <= set(names)
    assert told.controlnets == [] and len(told.segmentation) == 150
    lacking = {each.name: each.missing.example for each in told.preprocessors if each.missing}
    assert set(lacking) == {"depth", "normal", "segments"} and lacking["depth"] == "depth-anything/Depth-Anything-V2-Small-hf"


def test_networks_and_misfits_are_told(it: Served) -> None:
    from tests.pipelines.control.toy_nets import shelf, toy_net, toy_xl_net  # imports torch, which the others do without
    from tests.pipelines.control.toy_networks import dpt

    models = it.folder / "models"
    shelf(models, lines=toy_net(), xl=toy_xl_net())
    folder = dpt(models / "preprocessors" / "near")
    try:
        told = ControlOffer.model_validate(it.client.get("/api/v1/control?checkpoint=toy").json())
        by_name = {each.name: each for each in told.preprocessors}
        assert [each.name for each in by_name["depth"].networks] == ["near"] and by_name["depth"].missing is None
        assert not by_name["depth"].sized and by_name["canny"].sized and by_name["segments"].missing
        misfits = {each.name: each.misfit for each in told.controlnets}
        assert misfits["lines"] is None and str(misfits["xl"]).startswith("ControlNet 'xl' is made for another model")
        untold = ControlOffer.model_validate(it.client.get("/api/v1/control").json()).controlnets
        assert [each.misfit for each in untold] == [None, None]
        blob = it.client.post("/api/v1/uploads", content=picture(), headers={"Content-Type": "image/png"}).json()["id"]
        asked = {"image": blob, "preprocessor": "depth", "width": 64, "height": 48}
        made = Upload.model_validate(it.client.post("/api/v1/control/preview", json=asked).json())  # the scripted engine draws grey
        assert (made.width, made.height) == (64, 48)
        wrong = it.client.post("/api/v1/control/preview", json={**asked, "network": "far"})
        assert "no network of preprocessors named 'far'; known: near" in refused(wrong)[0]
        listed = it.client.get("/api/v1/library?kind=preprocessor").json()["models"]
        assert [each["detail"] for each in listed] == ["depth, DPT"]
    finally:
        shutil.rmtree(folder.parent)
        shutil.rmtree(models / "controlnet")


def test_a_preview_is_an_upload_of_the_size_that_is_made(it: Served) -> None:
    blob = it.client.post("/api/v1/uploads", content=picture((80, 40)), headers={"Content-Type": "image/png"}).json()["id"]
    asked = {"image": blob, "preprocessor": "canny", "parameters": {"low": 50}, "width": 96, "height": 64}
    answer = it.client.post("/api/v1/control/preview", json=asked)
    assert answer.status_code == 201
    made = Upload.model_validate(answer.json())
    assert (made.width, made.height, made.format) == (96, 64, "PNG")
    assert it.client.get(f"/api/v1/uploads/{made.id}").headers["content-type"] == "image/png"
    assert it.client.post("/api/v1/control/preview", json=asked).json()["id"] == made.id


def test_what_a_preview_cannot_be_made_of(it: Served) -> None:
    blob = it.client.post("/api/v1/uploads", content=picture(), headers={"Content-Type": "image/png"}).json()["id"]

    def ask(**more: object) -> httpx.Response:
        return it.client.post("/api/v1/control/preview", json={"image": blob, **more})

    assert "no preprocessor named 'openpose'" in refused(ask(preprocessor="openpose"))[0]
    assert "low of preprocessor 'canny' must be from 1 to 500; got 0" in refused(ask(preprocessor="canny", parameters={"low": 0}))[0]
    refused(ask(width=9999))
    refused(ask(image="0" * 64), 404)


def test_units_take_pictures_in_every_form_and_name_a_lost_one(it: Served) -> None:
    unit = {"preprocessor": "reference", "image": "data:image/png;base64," + base64.b64encode(picture()).decode()}
    job = it.submit(prompt="a fox", modifiers={"control": {"units": [unit]}})
    kept = job["request"]["modifiers"]["control"]["units"][0]["image"]
    assert it.client.get(f"/api/v1/uploads/{kept}").content == picture()

    def draft(**unit: object) -> dict[str, object]:
        return {"prompt": "a fox", "modifiers": {"control": {"units": [unit]}}}

    lost = it.client.post("/api/v1/jobs", json=draft(preprocessor="reference", image="0" * 64))
    assert refused(lost)[0] == "modifiers.control names no upload that is kept here: upload the picture first."
    assert "a unit that is on needs the picture" in refused(it.client.post("/api/v1/jobs", json=draft(preprocessor="reference")))[0]
    bare = it.client.post("/api/v1/jobs", json=draft(preprocessor="canny", image=kept))
    assert refused(bare)[0].startswith("Control 1: Canny steers by way of a ControlNet, and none is chosen")
