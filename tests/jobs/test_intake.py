"""What a user sends becomes a request that can run, or one sentence; the first broken rule in a fixed order wins."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel

from jobs.intake import Intake, fitted
from jobs.store import BlobStore
from pipelines.catalog import Catalog
from pipelines.errors import BadPicture, InvalidRequest, StudioError, UnknownName
from pipelines.modifiers import Modifier
from pipelines.names import SCHEDULERS


class Strength(BaseModel):
    scale: float = 1.0


class Boost(Modifier):
    name, title, Params = "boost", "Boost", Strength


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def keep(blobs: BlobStore) -> Callable[..., str]:
    def keep(width: int, height: int, colour: Any = 128, mode: str = "L", **options: Any) -> str:
        file = io.BytesIO()
        Image.new(mode, (width, height), colour).save(file, "PNG", **options)
        return blobs.put(file.getvalue())

    return keep


@pytest.fixture
def intake(models: Path, blobs: BlobStore) -> Intake:
    return Intake(Catalog([models]), SCHEDULERS, {"boost": Boost()}, blobs.read)


WRONG = {
    "a rule before a name": ({"num_inference_steps": 0, "scheduler": "nobody"}, InvalidRequest, "num_inference_steps should be greater"),
    "a rule before a checkpoint": ({"guidance_scale": float("nan"), "checkpoint": "nobody"}, InvalidRequest, "guidance_scale"),
    "a task": ({"task": "video"}, UnknownName, "There is no task named 'video'"),
    "a task that is no word": ({"task": ["img2img"]}, UnknownName, "There is no task"),
    "a field": ({"stepz": 3}, InvalidRequest, "'stepz' is no field of txt2img"),
    "a scheduler": ({"scheduler": "nobody", "checkpoint": "nobody"}, UnknownName, "There is no scheduler named 'nobody'; known: ddim"),
    "a schedule": ({"schedule": "nobody"}, UnknownName, "There is no schedule named 'nobody'"),
    "a pair": ({"scheduler": "ddim", "schedule": "karras"}, InvalidRequest, "'karras' does not go with scheduler 'ddim'"),
    "a checkpoint": ({"checkpoint": "nobody"}, UnknownName, "There is no checkpoint named 'nobody'; known: "),
    "a checkpoint that is no word": ({"checkpoint": 5}, InvalidRequest, "checkpoint"),
    "a checkpoint that is false": ({"checkpoint": False}, InvalidRequest, "checkpoint should be a valid string; got False."),
    "a checkpoint that is an empty list": ({"checkpoint": []}, InvalidRequest, "checkpoint should be a valid string; got []."),
    "a broken checkpoint": ({"checkpoint": "broken.safetensors"}, InvalidRequest, "broken.safetensors"),
    "a vae": ({"vae": "nobody"}, UnknownName, "There is no vae named 'nobody'"),
    "a modifier": ({"modifiers": {"nobody": {}}}, UnknownName, "There is no modifier named 'nobody'; known: boost"),
    "a modifier's setting": ({"modifiers": {"boost": {"scale": "big"}}}, InvalidRequest, "modifiers.boost.scale"),
    "no picture": ({"task": "img2img"}, InvalidRequest, "image is missing: The picture to start from"),
    "no id": ({"task": "img2img", "image": "../../etc/passwd"}, InvalidRequest, "image"),
    "an unknown picture": ({"task": "img2img", "image": "a" * 64}, InvalidRequest, "image names no upload that is kept here"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_thing_is_one_sentence(intake: Intake, models: Path, name: str):
    draft, kind, sentence = WRONG[name]
    broken = models / "checkpoints" / "broken.safetensors"
    broken.write_bytes(b"\x10\0\0\0")
    try:
        with pytest.raises(kind) as caught:
            intake.request(draft)
    finally:
        broken.unlink()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_any_checkpoint_there_is_one_sentence(tmp_path: Path, blobs: BlobStore):
    with pytest.raises(StudioError, match="There is no checkpoint in"):
        Intake(Catalog([tmp_path]), SCHEDULERS, {}, blobs.read).request({})


def test_a_task_that_the_checkpoint_cannot_do_is_one_sentence(intake: Intake, models: Path, monkeypatch: pytest.MonkeyPatch):
    class Painter(Catalog):
        def checkpoint(self, name: str) -> Any:
            from dataclasses import replace

            return replace(super().checkpoint(name), tasks=["txt2img"])

    monkeypatch.setattr(intake, "_catalog", Painter([models]))
    with pytest.raises(InvalidRequest, match=r"checkpoint 'toy' cannot do img2img; it can do: txt2img\."):
        intake.request({"task": "img2img", "image": "a" * 64})


@pytest.mark.parametrize(
    ("size", "native", "expected"),
    [
        ((512, 512), (512, 512), (512, 512)),
        ((1023, 517), (512, 512), (1016, 512)),  # its own size, rounded down
        ((1024, 1024), (512, 512), (1024, 1024)),  # four times the area is still its own
        ((2048, 1024), (512, 512), (720, 360)),  # shrunk to the native area, the shape kept
        ((6000, 4000), (64, 64), (96, 64)),
        ((10, 300), (512, 512), (64, 1920)),
        ((5000, 40), (512, 512), (2048, 64)),
    ],
)
def test_a_size_left_out_follows_the_picture(size: tuple[int, int], native: tuple[int, int], expected: tuple[int, int]):
    assert fitted(size, native) == expected


def test_the_size_of_the_picture_is_taken_only_where_none_is_given(intake: Intake, keep: Callable[..., str]):
    image = keep(100, 77, (1, 2, 3), "RGB")
    taken = intake.request({"task": "img2img", "image": image})
    assert (taken.width, taken.height) == (96, 72)
    taken = intake.request({"task": "img2img", "image": image, "width": 128})
    assert (taken.width, taken.height) == (128, 72)


def test_a_picture_lying_on_its_side_counts_as_it_is_seen(intake: Intake, blobs: BlobStore):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (160, 80)).save(file, "JPEG", exif=exif)
    taken = intake.request({"task": "img2img", "image": blobs.put(file.getvalue())})
    assert (taken.width, taken.height) == (80, 160)


def test_a_mask_must_be_as_large_as_the_picture_and_have_some_white(intake: Intake, keep: Callable[..., str]):
    draft = {"task": "inpaint", "image": keep(80, 64, (9, 9, 9), "RGB")}
    with pytest.raises(InvalidRequest, match="mask_image is missing"):
        intake.request(draft)
    with pytest.raises(BadPicture, match="The mask is 64 × 64 pixels, the picture 80 × 64; they must be alike"):
        intake.request({**draft, "mask_image": keep(64, 64, 255)})
    with pytest.raises(BadPicture, match="The mask has no white"):
        intake.request({**draft, "mask_image": keep(80, 64, 100)})
    with pytest.raises(InvalidRequest, match="mask_image names no upload"):
        intake.request({**draft, "mask_image": "b" * 64})
    taken = intake.request({**draft, "mask_image": keep(80, 64, 200)})
    assert (taken.width, taken.height, taken.strength) == (80, 64, 1.0)
    assert "nothing of the picture is kept" in (intake.remark(taken) or "")


def test_what_is_transparent_or_outside_needs_no_mask(intake: Intake, keep: Callable[..., str]):
    clear = keep(80, 64, (9, 9, 9, 0), "RGBA")
    assert intake.request({"task": "inpaint", "image": clear}).mask_image == ""
    draft = {"task": "inpaint", "image": keep(80, 64, (9, 9, 9), "RGB")}
    taken = intake.request({**draft, "outpaint_right": 32, "outpaint_top": 16})
    assert (taken.width, taken.height) == (112, 80)
    assert "goes with its surroundings" in (intake.remark(taken) or "")
    assert intake.remark(taken.model_copy(update={"masked_content": "fill"})) is None, "the way to remove a thing"
    alone = intake.request({**draft, "mask_image": keep(80, 64, 200), "inpaint_area": "masked"})
    assert alone.width == alone.height
    with pytest.raises(BadPicture, match="mask_grow -60 leaves no white"):
        intake.request({**draft, "outpaint_left": 32, "mask_grow": -60, "mask_image": keep(80, 64, 0)})


@pytest.mark.parametrize("checkpoint", [None, ""])
def test_no_checkpoint_means_the_default(intake: Intake, checkpoint: str | None):
    assert intake.request({"checkpoint": checkpoint}).checkpoint == "toy"


def test_a_seed_is_decided_and_one_that_is_given_stays(intake: Intake):
    assert intake.request({"seed": 0}).seed == 0
    assert 0 <= intake.request({"seed": -1}).seed <= 2**32 - 8


@pytest.mark.parametrize(
    ("name", "scheduler", "schedule"),
    [("Euler a", "euler_a", "automatic"), ("DPM++ 2M Karras", "dpmpp_2m", "karras"), ("dpmpp_3m_sde", "dpmpp_3m_sde", "automatic")],
)
def test_names_of_other_programs_are_understood(intake: Intake, name: str, scheduler: str, schedule: str):
    request = intake.request({"scheduler": name, **({} if schedule != "automatic" else {"schedule": "automatic"})})
    assert (request.scheduler, request.schedule) == (scheduler, schedule)


@pytest.mark.parametrize(("name", "schedule"), [("Karras", "karras"), ("SGM Uniform", "sgm_uniform"), ("Uniform", "normal")])
def test_schedules_of_other_programs_are_understood(intake: Intake, name: str, schedule: str):
    assert intake.request({"scheduler": "Euler a", "schedule": name}).schedule == schedule
    assert intake.request({"scheduler": "DPM++ 2M Karras", "schedule": name}).schedule == schedule, "what is said apart counts"


def test_a_schedule_made_for_other_noise_is_refused_before_it_waits(intake: Intake, models: Path, tmp_path: Path):
    other = Path(shutil.copytree(models, tmp_path / "other"))
    config = other / "checkpoints" / "toy" / "scheduler" / "scheduler_config.json"
    assert intake.request({"scheduler": "euler", "schedule": "align_your_steps"}).schedule == "align_your_steps"
    config.write_text(json.dumps({**json.loads(config.read_text()), "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}))
    with pytest.raises(InvalidRequest, match="'align_your_steps' is not made for the noise") as refused:
        Intake(Catalog([other]), SCHEDULERS, {}, {}.__getitem__).request({"scheduler": "euler", "schedule": "align_your_steps"})
    assert refused.value.field == "schedule"


def test_more_layers_skipped_than_the_text_encoder_has_are_refused_before_it_waits(intake: Intake, models: Path):
    config = json.loads((models / "checkpoints" / "toy" / "text_encoder" / "config.json").read_text())
    most = config["num_hidden_layers"] - 1
    assert intake.request({"clip_skip": most}).clip_skip == most
    with pytest.raises(InvalidRequest) as refused:
        intake.request({"clip_skip": most + 1})
    assert str(refused.value) == f"clip_skip must be at most {most} for the text encoder of checkpoint 'toy'; got {most + 1}."
    assert refused.value.field == "clip_skip"


def test_a_sampler_that_chooses_its_own_steps_is_remarked_upon(intake: Intake):
    asked = intake.request({"prompt": "a cat", "scheduler": "dpm_adaptive", "schedule": "automatic"})
    assert "DPM adaptive chooses its own steps" in (intake.remark(asked) or "")
    assert intake.remark(asked.model_copy(update={"scheduler": "dpm_fast"})) is None
