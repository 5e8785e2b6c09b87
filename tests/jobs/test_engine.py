"""The product's engine on a toy model, in a real child process: developed, killed, developed again to the same pixels."""

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from extensions.engine import EngineConfig
from jobs.studio import Studio, WorkerConfig
from pipelines.catalog import Catalog
from pipelines.names import SCHEDULERS

from .parts import FAST, until

pytestmark = pytest.mark.slow
DRAFT = {"prompt": "a cat", "num_inference_steps": 6, "width": 64, "height": 64, "seed": 3, "num_images_per_prompt": 2, "exact": True}


@pytest.fixture(scope="module")
def studio(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    outputs = tmp_path_factory.mktemp("outputs")
    config = EngineConfig((str(models),), "cpu", str(outputs / ".safelight" / "blobs"))
    studio = Studio(
        outputs, Catalog([models]), SCHEDULERS, {}, WorkerConfig("extensions.engine:build_engine", config), version="1", limits=FAST
    )
    studio.start()
    yield studio
    studio.stop()


def pixels(studio: Studio, job: str) -> list[bytes]:
    view = until(lambda: (view := studio.job(job)).ended and view, timeout=300)
    assert view.state == "finished", view.error
    return [Image.open(studio.image(image).path).tobytes() for image in view.images]


def test_pictures_previews_recipe_and_the_same_again_after_a_kill(studio: Studio):
    first = studio.submit(DRAFT).id
    once = pixels(studio, first)
    assert len(once) == 2
    found = studio.recipe(studio.image(studio.job(first).images[1]).path.read_bytes())
    assert (found["source"], found["request"]["seed"], found["request"]["checkpoint"]) == ("safelight", 4, "toy")
    until(lambda: studio.health()["loaded"])  # told with the next heartbeat

    long = studio.submit({**DRAFT, "num_inference_steps": 20}).id
    until(lambda: studio.job(long).step > 5, timeout=300)
    os.kill(studio._supervisor.state.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    again = studio.submit(DRAFT).id
    assert pixels(studio, again) == once
    assert len(pixels(studio, long)) == 2  # run first, and alone
    assert studio.job(long).attempt == 2


def test_inpaint_and_img2img_through_uploads(studio: Studio):
    picture, mask = Image.effect_noise((80, 64), 60).convert("RGB"), Image.new("L", (80, 64))
    mask.paste(255, (0, 0, 40, 64))
    ids = []
    for image in (picture, mask):
        file = io.BytesIO()
        image.save(file, "PNG")
        ids.append(studio.put_blob(file.getvalue()).id)
    common = {"prompt": "a cat", "num_inference_steps": 4, "image": ids[0]}
    inpaint = studio.submit({"task": "inpaint", "mask_image": ids[1], **common})
    img2img = studio.submit({"task": "img2img", **common})
    (painted,) = pixels(studio, inpaint.id)
    kept = (40, 0, 80, 64)
    assert Image.frombytes("RGB", (80, 64), painted).crop(kept).tobytes() == picture.crop(kept).tobytes()
    assert painted != picture.tobytes()
    assert len(pixels(studio, img2img.id)) == 1


def test_pause_cancel_and_a_frame(studio: Studio):
    job = studio.submit({**DRAFT, "num_inference_steps": 150}).id
    frame = asyncio.run(studio.frame(job, -1, 300))
    assert frame is not None
    assert Image.open(io.BytesIO(frame.jpeg)).format == "JPEG"
    studio.pause(job)
    until(lambda: studio.job(job).state == "paused")
    step = studio.job(job).step
    studio.resume(job)
    until(lambda: studio.job(job).step > step)
    studio.cancel(job)
    until(lambda: studio.job(job).state == "cancelled")
