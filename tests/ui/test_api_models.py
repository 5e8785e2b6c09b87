"""Models over HTTP: listed for everyone, changed by the owner only."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.testclient import TestClient

from jobs.fetching import Web
from tests.jobs.elsewhere import Elsewhere, elsewhere, weights
from tests.jobs.parts import until
from tests.ui.asking import JSON, finished, refused
from tests.ui.serving import Served, served
from ui.api import build_api
from ui.api import model_shapes as shapes

LORA = weights()
INK = "/api/v1/library/lora/style/ink.safetensors"


@pytest.fixture(scope="module")
def there() -> Iterator[Elsewhere]:
    with elsewhere() as there:
        there.repos["artist/ink-lora"] = {"ink.safetensors": LORA, "old.ckpt": b"x"}
        yield there


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory, there: Elsewhere) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    shelf = folder / "models" / "loras" / "style"
    with served(folder, web=lambda: Web(there.address)) as it:
        shelf.mkdir(parents=True)
        (shelf / "ink.safetensors").write_bytes(LORA)
        picture = Image.new("RGB", (600, 600), "teal")
        picture.save(shelf / "ink.preview.png")
        yield it


def test_the_library_has_the_shape_that_is_documented(it: Served) -> None:
    library = shapes.Library.model_validate(it.client.get("/api/v1/library").json())
    assert {(each.kind, each.name) for each in library.models} >= {("checkpoint", "toy"), ("lora", "style/ink.safetensors")}
    assert library.managing
    only = shapes.Library.model_validate(it.client.get("/api/v1/library?kind=lora").json())
    assert {each.kind for each in only.models} == {"lora"}
    assert refused(it.client.get("/api/v1/library?kind=nope"))[1] == "kind"
    one = shapes.Model.model_validate(it.client.get(INK).json())
    assert one.path == str(it.folder / "models" / "loras" / "style" / "ink.safetensors")
    assert it.client.get("/api/v1/models").json()["default"] == "toy"  # as it always was


def test_a_preview_is_a_small_jpeg(it: Served) -> None:
    answer = it.client.get(f"{INK}/preview?{it.client.get(INK).json()['preview']}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (512, 512)
    refused(it.client.get("/api/v1/library/checkpoint/toy/preview"), 404)
    refused(it.client.get("/api/v1/library/lora/nope/preview"))
    for name in ("..%2f..%2fetc%2fpasswd", "%2e%2e/secret", "style/%00", "ink.safetensors%2f..%2f..", "\u202e"):
        assert it.client.get(f"/api/v1/library/lora/{name}").status_code in (404, 422), name


def test_notes_are_kept_and_bad_ones_refused(it: Served) -> None:
    model = shapes.Model.model_validate(it.client.put(f"{INK}/notes", json={"notes": "for evenings"}).json())
    assert model.notes == "for evenings"
    assert it.client.get(INK).json()["notes"] == "for evenings"
    assert (it.folder / "models" / "loras" / "style" / "ink.safelight.json").is_file()
    for body, field in (
        ({"notes": "x" * 20_001}, "notes"),
        ({"notes": 7}, "notes"),
        ({"path": "/etc"}, "path"),
        ({"default_vae": "own"}, "default_vae"),
        ([], None),
    ):
        told = refused(it.client.put(f"{INK}/notes", json=body))[1]
        assert field is None or told == field
    assert it.client.put(f"{INK}/notes", content=b'{"notes": "\\ud83d"}', headers=JSON).status_code == 422
    assert it.client.put(f"{INK}/notes", content=b"notes", headers={"Content-Type": "text/plain"}).status_code in (415, 422)
    assert it.client.get(INK).json()["notes"] == "for evenings"


def test_a_made_picture_becomes_the_preview(it: Served) -> None:
    job = finished(it, it.submit(prompt="x")["id"])
    assert it.client.put(f"{INK}/preview", json={"image": job["images"][0]}).json()["own_preview"]
    assert not it.client.delete(f"{INK}/preview").json()["own_preview"]
    refused(it.client.put(f"{INK}/preview", json={"image": "nope"}), 404)
    refused(it.client.put(f"{INK}/preview", json={"image": "../../etc/passwd"}), 404)


def test_load_and_unload(it: Served) -> None:
    until(lambda: it.client.get("/api/v1/health").json()["loaded"] == ["toy"])
    assert it.client.post("/api/v1/models/unload", json={"checkpoint": "toy"}).status_code == 202
    until(lambda: it.client.get("/api/v1/health").json()["loaded"] == [])
    answer = it.client.post("/api/v1/models/load", json={"checkpoint": "toy"})
    shapes.InMemory.model_validate(answer.json())
    until(lambda: it.client.get("/api/v1/health").json()["loaded"] == ["toy"])
    assert refused(it.client.post("/api/v1/models/load", json={"checkpoint": "nope"}))[1] == "checkpoint"
    assert refused(it.client.post("/api/v1/models/load", json={"checkpoint": "toy", "vae": "nope"}))[1] == "vae"
    assert refused(it.client.post("/api/v1/models/load", json={}))[1] == "checkpoint"


def test_a_pickle_is_converted_on_the_owners_word(it: Served) -> None:
    assert refused(it.client.post("/api/v1/models/convert", json={"kind": "checkpoint", "name": "toy"}))[1] == "name"
    assert refused(it.client.post("/api/v1/models/convert", json={"kind": "checkpoint", "name": "nope.ckpt"}))[1] == "name"
    (it.folder / "models" / "checkpoints" / "bad.ckpt").write_bytes(b"no pickle")
    asked = it.client.post("/api/v1/models/convert", json={"kind": "checkpoint", "name": "bad.ckpt"})
    assert asked.status_code == 202 and shapes.Conversion.model_validate(asked.json()).state in ("queued", "running")

    def ended() -> shapes.Conversion | None:
        told = shapes.Conversions.model_validate(it.client.get("/api/v1/models/conversions").json())
        return next((each for each in told.conversions if each.state in ("finished", "failed")), None)

    assert (until(ended, 120).error or "").startswith("bad.ckpt cannot be converted: ")


def test_a_download_from_look_to_shelf(it: Served, there: Elsewhere) -> None:
    offer = shapes.Offer.model_validate(it.client.post("/api/v1/downloads/look", json={"source": "artist/ink-lora"}).json())
    assert (offer.kind, offer.unsafe, [file.path for file in offer.files]) == ("lora", 1, ["ink.safetensors"])
    answer = it.client.post("/api/v1/downloads", json={"source": "artist/ink-lora", "file": "ink.safetensors", "name": "fetched"})
    assert answer.status_code == 201, answer.text
    id = shapes.Download.model_validate(answer.json()).id
    assert answer.headers["location"] == f"downloads/{id}"
    done = until(lambda: (one := it.client.get(f"/api/v1/downloads/{id}").json())["state"] == "finished" and one)
    assert done["placed"] == "loras/fetched.safetensors"
    assert it.client.get("/api/v1/library/lora/fetched.safetensors").json()["source"] == f"{there.address}/artist/ink-lora"
    shapes.Downloads.model_validate(it.client.get("/api/v1/downloads").json())
    assert "cannot be tried again" in refused(it.client.post(f"/api/v1/downloads/{id}/retry"))[0]
    assert it.client.delete(f"/api/v1/downloads/{id}").status_code == 200
    refused(it.client.get(f"/api/v1/downloads/{id}"), 404)
    assert (it.folder / "models" / "loras" / "fetched.safetensors").is_file()


def test_downloads_that_cannot_be(it: Served, there: Elsewhere) -> None:
    for body, status, field in (
        ({"source": "nobody/nothing"}, 502, None),
        ({"source": "artist/ink-lora", "kind": "nope"}, 422, "kind"),
        ({"source": "artist/ink-lora", "file": "old.ckpt"}, 422, "file"),
        ({"source": "http://169.254.169.254/x.safetensors"}, 502, None),
        ({"source": ""}, 422, "source"),
        ({"source": 7}, 422, "source"),
        ({}, 422, "source"),
        ({"source": "artist/ink-lora", "root": "/etc"}, 422, "root"),
    ):
        assert refused(it.client.post("/api/v1/downloads", json=body), status)[1] == field, body


OWNERS_ONLY: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PUT", "/library/lora/style/ink.safetensors/notes", {"notes": "theirs"}),
    ("PUT", "/library/lora/style/ink.safetensors/preview", {"image": "x"}),
    ("DELETE", "/library/lora/style/ink.safetensors/preview", {}),
    ("POST", "/models/load", {"checkpoint": "toy"}),
    ("POST", "/models/unload", {"checkpoint": "toy"}),
    ("POST", "/models/convert", {"kind": "checkpoint", "name": "old.ckpt"}),
    ("GET", "/models/conversions", {}),
    ("POST", "/downloads/look", {"source": "artist/ink-lora"}),
    ("POST", "/downloads", {"source": "artist/ink-lora"}),
    ("GET", "/downloads", {}),
    ("DELETE", "/downloads/x", {}),
    ("POST", "/downloads/x/retry", {}),
)


def from_elsewhere(it: Served, address: str, managing: Any = "here") -> httpx.Client:
    return TestClient(build_api(it.studio, managing), client=(address, 50_000))


@pytest.mark.parametrize(("method", "path", "body"), OWNERS_ONLY, ids=lambda value: str(value)[:30])
def test_guests_change_nothing(it: Served, there: Elsewhere, method: str, path: str, body: dict[str, Any]) -> None:
    asked = len(there.asked)
    for client, headers in (
        (from_elsewhere(it, "192.0.2.7"), {}),
        (from_elsewhere(it, "127.0.0.1"), {"X-Forwarded-For": "127.0.0.1"}),  # a tunnel or proxy on this machine
        (from_elsewhere(it, "127.0.0.1", "nobody"), {}),
    ):
        refused(client.request(method, path, json=body or None, headers=headers), 403)
    assert len(there.asked) == asked  # nothing was fetched for them


def test_guests_see_models_but_no_paths(it: Served) -> None:
    guest = from_elsewhere(it, "192.0.2.7")
    library = guest.get("/library").json()
    assert not library["managing"]
    assert library["models"]
    assert all(model["path"] is None and model["source"] is None for model in library["models"])
    assert str(it.folder) not in guest.get("/library/lora/style/ink.safetensors").text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.9.1"])
def test_the_machine_itself_is_the_owner(it: Served, address: str) -> None:
    assert from_elsewhere(it, address).get("/library").json()["managing"]


def test_a_studio_may_be_opened_to_everyone(it: Served) -> None:
    assert from_elsewhere(it, "192.0.2.7", "everyone").get("/downloads").status_code == 200


def test_without_a_network_a_look_says_so(it: Served, there: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(it.studio.downloads.web, "endpoint", "http://127.0.0.1:1")
    sentence, _ = refused(it.client.post("/api/v1/downloads/look", json={"source": "artist/ink-lora"}), 502)
    assert sentence == "127.0.0.1 cannot be reached; downloads need a network."


def test_the_documentation_has_them_all(it: Served) -> None:
    paths = it.client.get("/openapi.json").json()["paths"]
    assert {
        "/library", "/library/{kind}/{name}", "/library/{kind}/{name}/preview", "/library/{kind}/{name}/notes", "/models/load",
        "/models/unload", "/models/convert", "/models/conversions",
        "/downloads", "/downloads/look", "/downloads/{download}", "/downloads/{download}/retry",
    } <= set(paths)  # fmt: skip
    assert Path(it.folder).name not in str(paths)
