"""The documentation works without a network and tells the bounds that validation keeps."""

import re
import shutil
from collections.abc import Iterator

import pytest

from pipelines.request import TASKS, Txt2Img
from tests.ui.serving import Served, served

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("docs")) as it:
        yield it


def test_the_page_names_no_other_host_and_its_files_are_here(it: Served) -> None:
    page = it.client.get("/docs")
    assert page.status_code == 200
    assert "//" not in re.sub(r"^\s*//.*$", "", page.text, flags=re.MULTILINE).replace("<!-- ", "")
    named = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(named) == 3
    for address in (*named, "/openapi.json"):
        assert address.startswith("/")
        assert it.client.get(address).status_code == 200, address
    assert '"validatorUrl": null' in page.text


def test_files_beside_those_of_the_page_are_not_served(it: Served) -> None:
    for name in ("../__init__.py", "..%2f__init__.py", "%2e%2e/core.py", "nope.js", "swagger-ui-bundle.js%00.txt"):
        assert it.client.get(f"/docs/files/{name}").status_code == 404, name


def test_the_document_is_whole(it: Served) -> None:
    """Every reference resolves, and every route says how it fails."""
    document = it.client.get("/openapi.json").json()
    text = it.client.get("/openapi.json").text
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in document["components"]["schemas"], name
    assert document["servers"] == [{"url": "/api/v1"}]
    assert document["info"]["version"] == "0.test"
    assert {"/jobs", "/jobs/{job}", "/jobs/{job}/preview", "/jobs/{job}/events", "/images/{image}", "/uploads", "/recipe"} <= set(
        document["paths"]
    )
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error"), (path, method)


def test_a_job_is_described_by_the_request_classes(it: Served) -> None:
    document = it.client.get("/openapi.json").json()
    body = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["discriminator"]["propertyName"] == "task"
    assert set(body["discriminator"]["mapping"]) == set(TASKS)
    schemas = document["components"]["schemas"]
    for task, reference in body["discriminator"]["mapping"].items():
        schema = schemas[reference.rpartition("/")[2]]
        assert set(schema["properties"]) == set(TASKS[task].model_fields)
    width, field = schemas["Txt2Img"]["properties"]["width"], Txt2Img.model_fields["width"]
    assert (width["minimum"], width["maximum"], width["multipleOf"]) == (64, 2048, 8)
    assert width["description"] == field.description
    assert "place" not in width
    assert len(schemas["Inpaint"]["properties"]["mask_image"]["anyOf"]) == 3


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_it_and_asks_nobody_else(it: Served) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    asked: list[str] = []
    wrong: list[str] = []
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{it.server.url}docs")
        page.locator(".opblock").first.wait_for(timeout=20_000)
        page.get_by_text("/jobs", exact=True).first.click()
        page.locator(".opblock-body").first.wait_for()
        browser.close()
    assert all(url.startswith((it.server.url, "data:", "blob:")) for url in asked)
    assert not wrong
