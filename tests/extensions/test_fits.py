"""Which modifiers go with which checkpoint, told from toys of five families on disk; what does not is refused in one sentence."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extensions import loader
from jobs import listing
from jobs.intake import Intake
from jobs.store import BlobStore
from pipelines.catalog import Catalog
from pipelines.errors import InvalidRequest
from pipelines.modifiers import idle
from pipelines.names import SCHEDULERS
from pipelines.request import Inpaint, Txt2Img
from tests.pipelines.families import cascade_toys, sd3_toys, toys_sdxl
from tests.toys import save_toy
from ui.controls import Form

MODIFIERS = loader.load(()).modifiers
UNETS_ONLY = {"control", "freeu", "pag"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    shelf = root / "checkpoints"
    shelf.mkdir()
    save_toy(shelf / "sd1")
    save_toy(shelf / "sd1-inpaint", in_channels=9)
    toys_sdxl.save_folder(shelf / "xl")
    toys_sdxl.save_folder(shelf / "xl-refiner", refiner=True)
    sd3_toys.save_toy(shelf / "sd3")
    cascade_toys.save_halves(shelf, cascade_toys.toy_parts(tmp_path_factory.mktemp("cascade")))
    return root


def unfit(root: Path, name: str) -> set[str]:
    """What is told to mean nothing to a checkpoint, without the word that they all begin with."""
    catalog = Catalog([root])
    return {key.removeprefix("modifiers.") for key in idle(MODIFIERS, catalog.checkpoint(name), catalog.checkpoints())}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sd1", {"cascade", "refiner"}),
        ("sd1-inpaint", {"cascade", "refiner"}),
        ("xl", {"cascade"}),
        ("xl-refiner", {"cascade", "refiner.aesthetic_score", "refiner.negative_aesthetic_score"}),
        ("sd3", {"cascade", "refiner", *UNETS_ONLY}),
        ("stable-cascade-prior", {"refiner", *UNETS_ONLY}),
    ],
)
def test_each_family_is_told_what_means_nothing_to_it(root: Path, name: str, expected: set[str]) -> None:
    assert unfit(root, name) == expected


def test_a_second_checkpoint_of_the_same_latents_makes_the_refiner_fit(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "checkpoints" / "sd1", tmp_path / "checkpoints" / "sd1")
    assert "refiner" in unfit(tmp_path, "sd1")
    shutil.copytree(root / "checkpoints" / "sd1", tmp_path / "checkpoints" / "other")
    assert unfit(tmp_path, "sd1") == {"cascade", "refiner.aesthetic_score", "refiner.negative_aesthetic_score"}


def test_the_page_is_told_with_the_other_fields_that_have_no_effect(root: Path) -> None:
    listed = {each["name"]: each for each in listing.models(Catalog([root]), loaded=(), modifiers=MODIFIERS)["checkpoints"]}
    assert listed["sd3"]["idle"]["modifiers.freeu"].startswith("FreeU goes with a denoiser that is a UNet2DConditionModel")
    assert "prompt_2" in listed["sd1"]["idle"] and "modifiers.freeu" not in listed["sd1"]["idle"]
    assert listed["xl"]["latents"] == listed["xl-refiner"]["latents"] != listed["sd1"]["latents"]
    assert listed["sd1-inpaint"]["latents"] == ""


@pytest.mark.parametrize(
    ("draft", "sentence"),
    [
        ({"checkpoint": "sd3", "modifiers": {"freeu": {}}}, "that of sd3 is SD3Transformer2DModel."),
        ({"checkpoint": "sd1", "modifiers": {"cascade": {}}}, "Stable Cascade decoder is a second denoiser, and sd1 has only one."),
        ({"checkpoint": "sd1", "modifiers": {"refiner": {"checkpoint": "xl"}}}, "none that is here can."),
        (
            {"checkpoint": "xl", "modifiers": {"refiner": {"checkpoint": "sd1"}}},
            "'sd1' cannot take over from 'xl': it knows other latents.",
        ),
    ],
)
def test_a_job_that_asks_for_what_does_not_fit_is_refused(root: Path, draft: dict[str, Any], sentence: str) -> None:
    intake = Intake(Catalog([root]), SCHEDULERS, MODIFIERS, {}.__getitem__)
    with pytest.raises(InvalidRequest, match=re.escape(sentence)) as refused:
        intake.request({"width": 64, "height": 64, **draft})
    assert refused.value.field == "modifiers"
    assert "\n" not in str(refused.value)


def test_a_modifier_has_no_controls_where_its_task_is_not(root: Path, tmp_path: Path) -> None:
    forms = {request: Form("tab", request, {}, MODIFIERS, {}) for request in (Txt2Img, Inpaint)}
    shown = {request: form.has_modifiers() and {*form._modifiers} for request, form in forms.items()}
    assert shown[Txt2Img] - shown[Inpaint] == {"hires"}
    intake = Intake(Catalog([root]), SCHEDULERS, MODIFIERS, BlobStore(tmp_path).read)
    with pytest.raises(InvalidRequest, match=r"Hires fix does not go with inpaint; it goes with img2img, txt2img\."):
        intake.request({"task": "inpaint", "checkpoint": "sd1", "image": "a" * 64, "modifiers": {"hires": {}}})


def test_what_fits_is_told_without_torch(root: Path) -> None:
    code = f"""
import json, sys
from pathlib import Path
from extensions import loader
from pipelines.catalog import Catalog
from pipelines.modifiers import idle
catalog, modifiers = Catalog([Path({str(root)!r})]), loader.load(()).modifiers
infos = catalog.checkpoints()
told = {{info.name: sorted(idle(modifiers, info, infos)) for info in infos}}
print(json.dumps([told, sorted({{"torch", "diffusers", "transformers"}} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    told, heavy = json.loads(done.stdout.splitlines()[-1])
    assert heavy == []
    assert told["sd1"] == ["modifiers.cascade", "modifiers.refiner"]
