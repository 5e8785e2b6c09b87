"""What a person does at the page, in their words; and what the program knows behind it, over its API."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Locator, Page, expect

ENDED = {"finished", "failed", "cancelled"}
DEADLINE = 180.0  # machines that test are often busy


@dataclass(frozen=True)
class Program:
    """The program under test. `pid` is the page's process."""

    url: str
    pid: int
    outputs: Path

    def ask(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}api/v1/{path}", timeout=20)
        answer.raise_for_status()
        return answer.json()

    def jobs(self) -> list[dict[str, Any]]:
        return self.ask("jobs?limit=50")["jobs"]

    def job(self, id: str) -> dict[str, Any]:
        return self.ask(f"jobs/{id}")

    def submit(self, **draft: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}api/v1/jobs", json={"checkpoint": "a-toy", "num_inference_steps": 4, **draft}, timeout=20)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def picture(self, id: str) -> Image.Image:
        return Image.open(io.BytesIO(self.picture_bytes(id)))

    def upload(self, id: str) -> Image.Image:
        return Image.open(io.BytesIO(httpx.get(f"{self.url}api/v1/uploads/{id}", timeout=20).raise_for_status().content))

    def picture_bytes(self, id: str) -> bytes:
        return httpx.get(f"{self.url}api/v1/images/{id}", timeout=20).raise_for_status().content

    def until(self, holds: Callable[[], bool], seconds: float = DEADLINE) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    def finished(self, id: str) -> dict[str, Any]:
        """The job once it has ended."""
        self.until(lambda: self.job(id)["state"] in ENDED)
        return self.job(id)

    def settle(self) -> None:
        """Cancel whatever is left of another test."""
        for job in self.jobs():
            if job["state"] not in ENDED:
                httpx.delete(f"{self.url}api/v1/jobs/{job['id']}", timeout=20)
        self.until(lambda: all(job["state"] in ENDED for job in self.jobs()))


class Desk:
    """One page of the studio in a browser."""

    def __init__(self, page: Page, program: Program) -> None:
        self.page = page
        self.program = program

    def open(self) -> None:
        self.page.goto(self.program.url)
        self.ready()

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def ready(self) -> None:
        self.page.wait_for_selector("html[data-safelight=ready]")
        expect(self.prompt).to_be_visible()

    # -- the column --------------------------------------------------------------------------------------------------

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_role("textbox", name="Prompt", exact=True).first  # modifiers may have one of their own

    def tab(self, title: str) -> None:
        self.page.get_by_role("tab", name=title).click()
        expect(self.page.locator(f"#{title}-prompt")).to_be_visible()

    def number(self, field: str, tab: str = "txt2img") -> Locator:
        """The number box of a slider, or a number on its own."""
        return self.page.locator(f"#{tab}-{field} input[type=number]")

    def set(self, field: str, value: float, tab: str = "txt2img") -> None:
        self.number(field, tab).fill(str(value))
        self.number(field, tab).press("Tab")

    def fold(self, name: str, tab: str = "txt2img") -> Locator:
        """The head of a fold."""
        return self.page.locator(f"#{tab}-fold-{name} .sl-fold-head")

    def unfold(self, name: str, tab: str = "txt2img") -> None:
        if self.fold(name, tab).get_attribute("aria-expanded") != "true":
            self.fold(name, tab).click()

    def pick(self, title: str, option: str) -> None:
        """Choose from a list."""
        self.page.get_by_role("combobox", name=title, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def choose_picture(self, tab: str, path: Path) -> None:
        self.page.locator(f"[data-mount=source][data-tab={tab}] input[type=file]").set_input_files(path)
        expect(self.page.get_by_role("img", name="The picture to start from")).to_be_visible()

    # -- Generate ----------------------------------------------------------------------------------------------------

    @property
    def go(self) -> Locator:
        return self.page.get_by_role("button", name="Generate")

    @property
    def cancel(self) -> Locator:
        return self.page.get_by_role("button", name="Cancel", exact=True)

    def generate(self) -> str:
        """Press Generate; the id of the job that this made."""
        with self.page.expect_response(lambda answer: answer.url.endswith("/api/v1/jobs") and answer.request.method == "POST") as answer:
            self.go.click()
        assert answer.value.status == 201, answer.value.text()
        return answer.value.json()["id"]

    # -- the stage ---------------------------------------------------------------------------------------------------

    @property
    def developing(self) -> Locator:
        return self.page.locator("img.sl-developing")

    @property
    def made(self) -> Locator:
        """The finished pictures on the stage."""
        return self.page.locator("img.sl-made")

    @property
    def film(self) -> Locator:
        return self.page.get_by_role("group", name="Pictures, newest first").get_by_role("button")

    @property
    def queue(self) -> Locator:
        return self.page.locator(".sl-chip")

    def shows(self, job: dict[str, Any]) -> None:
        """The stage shows this job's pictures, and they are loaded."""
        for image in job["images"]:
            shown = self.page.locator(f'img.sl-made[data-image="{image}"]')
            expect(shown).to_be_visible(timeout=DEADLINE * 1000)
            expect(shown).to_have_js_property("complete", True)
            assert shown.evaluate("image => image.naturalWidth") > 0
