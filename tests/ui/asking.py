"""What the tests of the API share: pictures to send, errors to expect, jobs to wait for."""

import io
from typing import Any

import httpx
from PIL import Image

from tests.jobs.parts import until
from tests.ui.serving import Served
from ui.api import shapes

MB = 2**20
JSON = {"Content-Type": "application/json"}


def picture(size: tuple[int, int] = (64, 64), kind: str = "PNG", mode: str = "RGB", colour: Any = (200, 30, 30)) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind)
    return file.getvalue()


def refused(answer: httpx.Response, status: int = 422) -> tuple[str, str | None]:
    """The sentence and the field of an error, which must be just that."""
    assert answer.status_code == status, answer.text
    error = shapes.Error.model_validate(answer.json())
    assert "Traceback" not in error.error
    assert error.error.endswith((".", ")."))
    assert len(error.error) < 600
    return error.error, error.field


def finished(it: Served, job: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer = it.client.get(f"/api/v1/jobs/{job}").json()
        return answer if answer["state"] in ("finished", "failed", "cancelled") else None

    return until(look)
