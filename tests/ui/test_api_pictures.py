"""Pictures over HTTP: uploads, pictures inside jobs, finished ones, and what they tell."""

import base64
import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.ui.asking import MB, finished, picture, refused
from tests.ui.serving import Served, served
from ui.api import shapes


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("pictures")) as it:
        yield it


def test_an_upload_comes_back_as_it_was(it: Served) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        data = picture(kind=kind)
        raw = it.client.post("/api/v1/uploads", content=data, headers={"Content-Type": f"image/{kind.lower()}"})
        form = it.client.post("/api/v1/uploads", files={"file": ("../../evil.png", data)})
        assert raw.status_code == form.status_code == 201
        kept = shapes.Upload.model_validate(raw.json())
        assert (kept.width, kept.height, kept.format) == (64, 64, kind)
        assert form.json() == raw.json()
        again = it.client.get(f"/api/v1/uploads/{kept.id}")
        assert again.content == data
        assert again.headers["content-type"] == f"image/{kind.lower()}"


def huge_png() -> bytes:
    """A 20,000 x 20,000 picture in a few bytes: only its header says so."""
    data = bytearray(picture())
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"this is text, named .png", picture()[:60], huge_png(), b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(99)],
    ids=["nothing", "text", "truncated", "20,000 x 20,000", "svg", "gif"],
)
def test_what_is_no_picture_is_one_sentence(it: Served, data: bytes) -> None:
    refused(it.client.post("/api/v1/uploads", files={"file": ("a.png", data, "image/png")}))
    refused(it.client.post("/api/v1/uploads", content=data, headers={"Content-Type": "image/png"}))
    refused(it.client.post("/api/v1/recipe", content=data, headers={"Content-Type": "image/png"}))
    encoded = "data:image/png;base64," + base64.b64encode(data).decode()
    assert refused(it.client.post("/api/v1/jobs", json={"task": "img2img", "image": encoded}))[1] == "image"


def test_an_upload_that_was_deleted_is_told_at_its_field(it: Served) -> None:
    images = [it.client.post("/api/v1/uploads", files={"file": picture(colour=colour)}).json()["id"] for colour in ("red", "white")]
    it.studio.blob_path(images[0]).unlink()
    lost = {"task": "inpaint", "image": images[0], "mask_image": images[1]}
    told = "image names no upload that is kept here: upload the picture first."
    assert refused(it.client.post("/api/v1/jobs", json=lost)) == (told, "image")
    it.studio.blob_path(images[1]).unlink()
    again = it.client.post("/api/v1/uploads", files={"file": picture(colour="red")}).json()["id"]
    assert again == images[0]
    assert refused(it.client.post("/api/v1/jobs", json=lost)) == (f"mask_{told}", "mask_image")


def test_uploads_of_other_types_and_forms_without_the_file(it: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
        refused(it.client.post("/api/v1/uploads", content=picture(), headers={"Content-Type": kind}), 415)
    assert refused(it.client.post("/api/v1/uploads", files={"other": picture()}))[1] == "file"
    assert refused(it.client.post("/api/v1/uploads", files=[("a", (None, "text")), ("file", (None, "text"))]))[1] == "file"
    refused(it.client.post("/api/v1/uploads", files=[("file", picture()), ("file", picture())]), 400)
    refused(it.client.post("/api/v1/uploads", content=b"garbage", headers={"Content-Type": "multipart/form-data; boundary=x"}), 400)
    refused(it.client.post("/api/v1/uploads", content=b"garbage", headers={"Content-Type": "multipart/form-data"}), 400)


@pytest.mark.parametrize("path", ["uploads", "recipe", "jobs"])
def test_bodies_over_the_cap(it: Served, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(66):
            yield bytes(MB)

    kind = {"Content-Type": "application/json" if path == "jobs" else "image/png"}
    refused(it.client.post(f"/api/v1/{path}", content=bytes(65 * MB), headers=kind), 413)
    refused(it.client.post(f"/api/v1/{path}", content=chunks(), headers=kind), 413)


def test_a_job_takes_pictures_in_every_form(it: Served) -> None:
    data = picture()
    upload = it.client.post("/api/v1/uploads", content=data, headers={"Content-Type": "image/png"}).json()["id"]
    encoded = base64.b64encode(data).decode()
    for form in (upload, encoded, f"data:image/png;base64,{encoded}", f"data:image/png;charset=x;base64,{encoded[:40]}\n {encoded[40:]}"):
        assert it.submit(task="img2img", image=form)["request"]["image"] == upload
    made = finished(it, it.submit(prompt="x", seed=3)["id"])["images"][0]
    job = it.submit(task="img2img", image={"image": made})
    assert it.client.get(f"/api/v1/uploads/{job['request']['image']}").content == it.client.get(f"/api/v1/images/{made}").content


def test_masks(it: Served) -> None:
    def inpaint(mask: bytes) -> httpx.Response:
        fields = {name: base64.b64encode(data).decode() for name, data in {"image": picture(), "mask_image": mask}.items()}
        return it.client.post("/api/v1/jobs", json={"task": "inpaint", **fields})

    assert inpaint(picture(mode="L", colour=255)).status_code == 201
    assert refused(inpaint(picture((32, 64), mode="L", colour=255)))[1] == "mask_image"
    assert refused(inpaint(picture(mode="L", colour=0)))[1] == "mask_image"
    assert refused(inpaint(b"not a mask"))[1] == "mask_image"


def test_a_picture_is_served_as_it_was_saved(it: Served) -> None:
    image = finished(it, it.submit(prompt="x", seed=5)["id"])["images"][0]
    path = it.studio.image(image).path
    answer = it.client.get(f"/api/v1/images/{image}")
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == f'inline; filename="{path.name}"'
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    assert it.client.get(f"/api/v1/images/{image}?download=1").headers["content-disposition"].startswith("attachment; filename=")
    path.unlink()
    refused(it.client.get(f"/api/v1/images/{image}"), 404)
    assert refused(it.client.post("/api/v1/jobs", json={"task": "img2img", "image": {"image": image}}))[1] == "image"


def test_the_recipe_of_a_picture_that_has_none(it: Served) -> None:
    data = picture(colour=(1, 2, 3))
    answer = it.client.post("/api/v1/recipe", files={"file": data})
    found = shapes.Recipe.model_validate(answer.json())
    assert found.source is None
    assert it.client.get(f"/api/v1/uploads/{found.upload}").content == data


def test_the_recipe_of_a_stranger_is_a_draft_that_can_be_sent(it: Served) -> None:
    text = "a fox\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, CFG scale: 6.5, Seed: 5, Size: 64x64, Model: nobody knows, Odd: <b>"
    file = io.BytesIO()
    chunks = PngInfo()
    chunks.add_text("parameters", text)
    Image.new("RGB", (64, 64)).save(file, "PNG", pnginfo=chunks)
    answer = it.client.post("/api/v1/recipe", content=file.getvalue(), headers={"Content-Type": "image/png"})
    found = shapes.Recipe.model_validate(answer.json())
    assert (found.source, found.infotext) == ("a1111", text)
    assert found.unknown["Odd"] == "<b>"
    wanted = {"prompt": "a fox", "scheduler": "euler_a", "guidance_scale": 6.5, "seed": 5}
    assert wanted.items() <= found.request.items()
    draft = {name: value for name, value in found.request.items() if name not in ("checkpoint", "vae")}
    assert it.submit(**draft)["request"]["negative_prompt"] == "a dog"


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "9" * 400, "-1"])
def test_numbers_that_are_none_in_a_strangers_recipe(it: Served, value: str) -> None:
    file = io.BytesIO()
    chunks = PngInfo()
    chunks.add_text("parameters", f"a\nSteps: {value}, Sampler: Euler a, CFG scale: {value}, Seed: {value}, Size: {value}x{value}")
    Image.new("RGB", (64, 64)).save(file, "PNG", pnginfo=chunks)
    answer = it.client.post("/api/v1/recipe", content=file.getvalue(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200
    assert "guidance_scale" not in answer.json()["request"]
