"""A clip through the whole studio: from a draft to a file that plays, on a toy checkpoint of the real classes."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from extensions.engine import EngineConfig
from jobs.mending import unlisted
from jobs.rows import JobRow
from jobs.store import Store
from jobs.studio import Studio, WorkerConfig
from jobs.views import NotHere
from pipelines import media
from pipelines.catalog import Catalog
from pipelines.errors import BadPicture, InvalidRequest
from pipelines.names import SCHEDULERS
from pipelines.request import Img2Vid

from .parts import FAST, until

DRAFT = {"task": "img2vid", "num_inference_steps": 3, "width": 96, "height": 64, "fps": 5, "seed": 11}


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint for pictures and one for clips."""
    from tests.pipelines.families.svd_toys import save_toy_svd  # here, so that collecting these tests stays quick
    from tests.toys import save_toy

    root = tmp_path_factory.mktemp("models")
    save_toy(root / "checkpoints" / "a-toy")
    save_toy_svd(root / "checkpoints" / "toy-svd")
    return root


@pytest.fixture(scope="module")
def studio(shelves: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    outputs = tmp_path_factory.mktemp("outputs")
    config = EngineConfig((str(shelves),), "cpu", str(outputs / ".safelight" / "blobs"))
    worker = WorkerConfig("extensions.engine:build_engine", config)
    studio = Studio(outputs, Catalog([shelves]), SCHEDULERS, {}, worker, in_process=True, version="1", limits=FAST)
    studio.start()
    yield studio
    studio.stop()


@pytest.fixture(scope="module")
def picture(studio: Studio) -> str:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((192, 128)).convert("RGB").save(buffer, "PNG")
    return studio.put_blob(buffer.getvalue()).id


def made(studio: Studio, **fields: Any) -> Any:
    job = studio.submit({**DRAFT, **fields}).id
    view = until(lambda: (view := studio.job(job)).ended and view, timeout=300)
    assert view.state == "finished", view.error
    return view


@pytest.fixture(scope="module")
def clips(studio: Studio, picture: str) -> Any:
    return made(studio, image=picture, num_images_per_prompt=2)


def test_a_draft_takes_what_the_checkpoint_was_trained_on(studio: Studio, clips: Any) -> None:
    assert (clips.request["checkpoint"], clips.request["num_frames"], clips.request["max_guidance_scale"]) == ("toy-svd", 3, 3.0)
    assert clips.notice is None  # nobody misses a prompt
    assert "guidance_scale" not in studio.recipe(studio.picture(clips.images[0]))["request"]


def test_the_files_play(studio: Studio, clips: Any) -> None:
    first, second = (studio.image(image) for image in clips.images)
    assert first.path.suffix == ".mp4" and first.as_json()["media_type"] == "video/mp4"
    assert (first.width, first.height, second.seed) == (96, 64, 12)
    with av.open(str(first.path)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, float(stream.average_rate)) == (96, 64, 5.0)
        assert len([*film.decode(stream)]) == 3
    assert first.path.read_bytes() != second.path.read_bytes()


def test_a_clip_gives_its_settings_back_and_makes_itself_again(studio: Studio, clips: Any, picture: str) -> None:
    data = studio.picture(clips.images[1])
    found = studio.recipe(data)
    assert (found["source"], found["request"]["task"], found["request"]["seed"]) == ("safelight", "img2vid", 12)
    assert found["infotext"].startswith("Steps: 3, Sampler: Euler")
    still = Image.open(io.BytesIO(studio.blob_path(found["upload"]).read_bytes()))
    assert still.size == (96, 64)  # what the page shows of it, and may start from
    again = studio.picture(made(studio, **{**found["request"], "exact": True}).images[0])
    frames = [[frame.to_ndarray(format="gray") for frame in av.open(io.BytesIO(clip)).decode(video=0)] for clip in (data, again)]
    for one, other in zip(*frames, strict=True):
        assert abs(one.astype(int) - other).mean() < 2


def test_webp_moves_too(studio: Studio, picture: str) -> None:
    view = made(studio, image=picture, video_format="webp", num_frames=2)
    image = studio.image(view.images[0])
    with Image.open(image.path) as moving:
        assert (image.path.suffix, moving.n_frames, moving.size) == (".webp", 2, (96, 64))
    assert studio.recipe(image.path.read_bytes())["request"]["video_format"] == "webp"


def test_its_thumbnail_is_its_first_frame(studio: Studio, clips: Any) -> None:
    with Image.open(studio.thumbnail(clips.images[0])) as small:
        assert (small.format, small.size) == ("JPEG", (96, 64))
    with pytest.raises(NotHere):
        studio.thumbnail("0" * 32)


def test_previews_show_the_clip_develop(studio: Studio, clips: Any) -> None:
    events = [name for _, name, _ in studio.events(clips.id)]
    assert events.count("saved") == 2 and clips.total == 6


def test_a_clip_that_nobody_wrote_down_is_found_again(studio: Studio, clips: Any, tmp_path: Path) -> None:
    store = Store(studio.image(clips.images[0]).path.parents[1])
    found = [one for one in store.pictures(clips.id) if one.name.endswith(".mp4")]
    assert [(one.picture, one.width, one.height, one.seed) for one in found] == [(0, 96, 64, 11), (1, 96, 64, 12)]

    class Nothing:
        def pictures_of(self, job: str) -> list[Any]:
            return []

    row = JobRow(clips.id, 0, "", {}, "running", 0, 6, 1, 0, None, None, clips.created, None, None)
    assert len(unlisted(Nothing(), store, row, Img2Vid.model_validate(clips.request))) == 2


def test_what_is_asked_in_vain_is_a_sentence(studio: Studio, picture: str) -> None:
    with pytest.raises(InvalidRequest, match="prompt means nothing to img2vid"):
        studio.submit({**DRAFT, "image": picture, "prompt": "a cat"})
    with pytest.raises(InvalidRequest, match="cannot do img2vid; it can do: txt2img"):
        studio.submit({**DRAFT, "image": picture, "checkpoint": "a-toy"})
    with pytest.raises(InvalidRequest, match="cannot do txt2img; it can do: img2vid"):
        studio.submit({"prompt": "a cat", "checkpoint": "toy-svd"})
    with pytest.raises(InvalidRequest, match="image is missing"):
        studio.submit(DRAFT)
    with pytest.raises(InvalidRequest, match="names no upload"):
        studio.submit({**DRAFT, "image": hashlib.sha256(b"").hexdigest()})


def test_a_film_is_no_picture_to_start_from(studio: Studio, clips: Any) -> None:
    with pytest.raises(BadPicture, match="no PNG, JPEG or WebP"):
        studio.put_blob(studio.picture(clips.images[0]))
    with pytest.raises(BadPicture):
        studio.recipe(b"\0\0\0\x18ftypisom" + bytes(64))
    assert media.still(b"text") == b"text"
