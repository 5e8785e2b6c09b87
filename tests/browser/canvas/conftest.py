"""The canvas alone on a page of its own, on a desk and on a phone; `browser` comes from the folder above."""

from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.canvas.driver import Canvas

HERE = Path(__file__).parent
STATIC = HERE.parents[2] / "ui" / "static"


class Files(SimpleHTTPRequestHandler):
    """Serves ui/static as /static and the page of the test as /."""

    def translate_path(self, path: str) -> str:
        name = path.split("?")[0].removeprefix("/static/")
        return str(STATIC / name if path.startswith("/static/") else HERE / "canvas.html")

    def log_message(self, *_: object) -> None:
        """A test's requests are nobody's news."""


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="package")
def desktop(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    yield page
    page.close()


@pytest.fixture
def layers() -> str:
    """The layers that the canvas of a test offers, after "?"."""
    return ""


@pytest.fixture
def canvas(desktop: Page, address: str, layers: str) -> Iterator[Canvas]:
    problems: list[str] = []
    on_error = lambda error: problems.append(str(error))  # noqa: E731
    on_message = lambda message: problems.append(message.text) if message.type == "error" else None  # noqa: E731
    desktop.on("pageerror", on_error)
    desktop.on("console", on_message)
    desktop.mouse.move(0, 0)
    desktop.goto(address + layers)
    desktop.wait_for_function("window.canvas")
    yield Canvas(desktop)
    desktop.remove_listener("pageerror", on_error)
    desktop.remove_listener("console", on_message)
    assert problems == []


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Canvas]:
    context = browser.new_context(viewport={"width": 390, "height": 800}, device_scale_factor=2, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("window.canvas")
    yield Canvas(page)
    context.close()
