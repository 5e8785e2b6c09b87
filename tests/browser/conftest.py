"""The real program in a process of its own, on toy checkpoints, and a Chromium that fails a test on any error of the page."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.desk import Desk, Program
from tests.jobs.elsewhere import Elsewhere, elsewhere

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_SECONDS = 120
# Answers that are part of the play: to requests that a test makes wrong on purpose.
EXPECTED = ("422 (Unprocessable", "502 (Bad Gateway")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="package")  # its event loop would be in the way of the tests that come after
def browser() -> Iterator[Browser]:
    path = os.environ.get("SAFELIGHT_BROWSER") or next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        expect.set_options(timeout=30_000)  # machines that test are often busy
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two toy checkpoints, the second with other recommended settings, one that makes clips, and one that is broken."""
    from tests.pipelines.families.svd_toys import save_toy_svd
    from tests.toys import save_toy

    folder = tmp_path_factory.mktemp("models") / "checkpoints"
    cards = {
        "a-toy": {
            "title": "Toy",
            "native_size": [64, 64],
            "recommended": {"num_inference_steps": 6, "guidance_scale": 5.0, "width": 64, "height": 64, "scheduler": "dpmpp_2m"},
            "example_prompts": ["a red apple", "a black cat", "a green frog", "one too many"],
        },
        "b-toy": {
            "title": "Other toy",
            "native_size": [96, 96],
            "recommended": {"num_inference_steps": 9, "guidance_scale": 2.5, "width": 96, "height": 96, "scheduler": "ddim"},
        },
    }
    for name, card in cards.items():
        save_toy(folder / name)
        (folder / name / "safelight.json").write_text(json.dumps(card))
    save_toy_svd(folder / "c-clips")
    card = {"title": "Toy for clips", "native_size": [96, 64], "recommended": {"num_inference_steps": 4}}
    (folder / "c-clips" / "safelight.json").write_text(json.dumps(card))
    (folder / "broken.safetensors").write_bytes(b"no model")
    return folder.parent


@pytest.fixture(scope="package")
def hub() -> Iterator[Elsewhere]:
    """Stands for the Hugging Face Hub."""
    with elsewhere() as it:
        yield it


@pytest.fixture(scope="package")
def program(models: Path, hub: Elsewhere, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """`python app.py` as a user starts it; the default checkpoint is whatever it finds first."""
    outputs = tmp_path_factory.mktemp("outputs")
    options = ["--models", str(models), "--outputs", str(outputs), "--port", "0", "--device", "cpu", "--no-open"]
    process = subprocess.Popen(
        [sys.executable, "-u", "app.py", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_ENDPOINT": hub.address},
    )
    said: list[str] = []
    url = _address(process, said)
    program = Program(url, process.pid, outputs)
    program.until(lambda: program.ask("health")["engine"] == "ready", START_SECONDS)
    yield program
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


def _address(process: subprocess.Popen[str], said: list[str]) -> str:
    """The address that the program prints once it answers; what it says later is read and kept too, lest it block."""
    late = threading.Timer(START_SECONDS, process.kill)
    late.start()
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if "http://" in line:
            late.cancel()
            threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True).start()
            return "http://" + line.partition("http://")[2].split()[0]
    raise AssertionError("the program ended before it could be used:\n" + "".join(said))


@pytest.fixture
def problems() -> list[str]:
    """Errors of the page; a test that expects one takes it out."""
    return []


def watch(page: Page, program: Program, problems: list[str]) -> None:
    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in EXPECTED):
            problems.append(f"console: {message.text} {message.location}")

    inside = (program.url, "data:", "blob:")
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("console", heard)
    page.on("request", lambda request: request.url.startswith(inside) or problems.append(f"outside: {request.url}"))


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that was never here before."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def desk(context: BrowserContext, program: Program, problems: list[str]) -> Iterator[Desk]:
    """The page, open and ready, with nothing in the queue; afterwards nothing may have gone wrong in it."""
    program.settle()
    page = context.new_page()
    watch(page, program, problems)
    desk = Desk(page, program)
    desk.open()
    yield desk
    program.settle()
    assert problems == []
