"""Clips over HTTP: players ask for parts, pages for a small picture, and a dropped file gives its settings back."""

from collections.abc import Iterator

import pytest
from PIL import Image

from pipelines import infotext
from pipelines.clip_files import written
from pipelines.recipe import Recipe, texts
from pipelines.request import Img2Vid
from tests.ui.asking import finished, refused
from tests.ui.serving import Served, served
from ui.api import shapes

REQUEST = Img2Vid(image="a" * 64, num_frames=4, fps=9, seed=5, checkpoint="toy-svd")


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("clips")) as it:
        yield it


@pytest.fixture(scope="module")
def clip() -> bytes:
    frames = [Image.new("RGB", (96, 64), (60 * index, 90, 160)) for index in range(4)]
    told = texts(infotext.write(REQUEST, REQUEST.seed), Recipe(request=REQUEST.model_dump(mode="json")))
    return written(frames, REQUEST.fps, "mp4", told)[0]


@pytest.fixture(scope="module")
def saved(it: Served, clip: bytes) -> str:
    """A picture whose file is a clip."""
    image = finished(it, it.submit(prompt="x", seed=5)["id"])["images"][0]
    it.studio.image(image).path.write_bytes(clip)
    return image


def test_a_clip_is_served_as_one(it: Served, saved: str, clip: bytes) -> None:
    answer = it.client.get(f"/api/v1/images/{saved}")
    assert (answer.content, answer.headers["content-type"], answer.headers["accept-ranges"]) == (clip, "video/mp4", "bytes")
    name = it.client.get(f"/api/v1/images/{saved}?download=1").headers["content-disposition"]
    assert name.startswith("attachment") and name.endswith('.mp4"')


@pytest.mark.parametrize(("asked", "begin", "end"), [("0-1", 0, 2), ("100-", 100, None), ("-50", -50, None), ("10-19", 10, 20)])
def test_players_ask_for_parts(it: Served, saved: str, clip: bytes, asked: str, begin: int, end: int | None) -> None:
    answer = it.client.get(f"/api/v1/images/{saved}", headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.content) == (206, clip[begin:end])
    assert answer.headers["content-range"].endswith(f"/{len(clip)}") and answer.headers["content-type"] == "video/mp4"


def test_a_part_that_is_not_there(it: Served, saved: str, clip: bytes) -> None:
    assert it.client.get(f"/api/v1/images/{saved}", headers={"Range": f"bytes={len(clip)}-"}).status_code == 416


def test_thumbnails(it: Served, saved: str) -> None:
    small = it.client.get(f"/api/v1/images/{saved}/thumbnail")
    assert (small.status_code, small.headers["content-type"]) == (200, "image/jpeg") and small.content.startswith(b"\xff\xd8\xff")
    other = finished(it, it.submit(prompt="y", seed=6)["id"])["images"][0]
    assert it.client.get(f"/api/v1/images/{other}/thumbnail").headers["content-type"] == "image/jpeg"
    refused(it.client.get("/api/v1/images/nobody/thumbnail"), 404)


def test_images_say_what_they_are(it: Served, saved: str) -> None:
    listed = shapes.Images.model_validate(it.client.get("/api/v1/images").json())
    assert {image.media_type for image in listed.images} == {"image/png"}  # by the names that the scripted engine gives


def test_a_dropped_clip_gives_its_settings_back(it: Served, clip: bytes) -> None:
    answer = it.client.post("/api/v1/recipe", content=clip, headers={"Content-Type": "video/mp4"})
    found = shapes.Recipe.model_validate(answer.json())
    assert found.source == "safelight" and Img2Vid(**found.request) == REQUEST
    still = it.client.get(f"/api/v1/uploads/{found.upload}")
    assert still.headers["content-type"] == "image/jpeg"


def test_a_clip_is_no_picture_to_start_from(it: Served, clip: bytes) -> None:
    refused(it.client.post("/api/v1/uploads", content=clip, headers={"Content-Type": "video/mp4"}))


def test_no_checkpoint_here_makes_clips(it: Served) -> None:
    image = it.client.post("/api/v1/recipe", content=written([Image.new("RGB", (64, 64))] * 2, 5, "mp4", texts("", {}))[0]).json()["upload"]
    sentence, field = refused(it.client.post("/api/v1/jobs", json={"task": "img2vid", "image": image}))
    assert field == "checkpoint" and "cannot do img2vid, nor can another that is here" in sentence
