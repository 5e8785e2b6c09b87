"""Live jobs over HTTP: asked for, waited for, replaced, kept."""

import base64
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.jobs.parts import until
from tests.jobs.scripted import png
from tests.ui.asking import finished, picture, refused
from tests.ui.serving import Served, served
from ui.api import shapes

SESSION = "a-session-of-mine"


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("live")) as it:
        yield it


def ask(it: Served, session: str = SESSION, **draft: Any) -> httpx.Response:
    return it.client.post(f"/api/v1/jobs?live={session}", json={"num_inference_steps": 4, **draft})


def test_from_asking_to_the_picture(it: Served) -> None:
    answer = ask(it, prompt="a fox", seed=7)
    assert answer.status_code == 201
    job = shapes.Job.model_validate(answer.json())
    assert "live" not in job.request  # which stays what makes the same picture again
    made = it.client.get(f"/api/v1/jobs/{job.id}/picture")
    assert (made.status_code, made.headers["content-type"], made.content) == (200, "image/png", png(7))
    assert shapes.Job.model_validate(it.client.get(f"/api/v1/jobs/{job.id}").json()).state == "finished"
    assert "x-ended" in it.client.get(f"/api/v1/jobs/{job.id}/preview").headers
    assert it.client.get("/api/v1/jobs").json()["jobs"] == it.client.get("/api/v1/images").json()["images"] == []


def test_kept_it_is_a_usual_job(it: Served) -> None:
    job = ask(it, prompt="a fox", seed=8).json()["id"]
    it.client.get(f"/api/v1/jobs/{job}/picture")
    kept = shapes.Job.model_validate(it.client.post(f"/api/v1/jobs/{job}/keep").json())
    assert (kept.id, kept.state, len(kept.images)) == (job, "finished", 1)
    assert it.client.get(f"/api/v1/images/{kept.images[0]}").content == png(8)
    assert [one["id"] for one in it.client.get("/api/v1/jobs").json()["jobs"]] == [job]
    assert it.client.post(f"/api/v1/jobs/{job}/keep").json()["images"] == kept.images
    refused(it.client.get(f"/api/v1/jobs/{job}/picture"), 404)


def test_who_waits_for_a_replaced_one_is_told(it: Served) -> None:
    first = ask(it, prompt="hold:2").json()["id"]
    address = f"/api/v1/jobs/{first}"
    until(lambda: it.client.get(address).json()["step"] == 2)
    assert "finished" in refused(it.client.post(f"{address}/keep"))[0]
    assert "live job" in refused(it.client.post(f"{address}/pause"))[0]
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(httpx.get(it.client.base_url.join(f"{address}/picture"), timeout=20)))
    waiting.start()
    second = ask(it, prompt="the next", seed=9).json()["id"]
    assert it.client.get(f"/api/v1/jobs/{second}/picture").content == png(9)
    waiting.join(20)
    assert [(answer.status_code, answer.headers["x-ended"]) for answer in answers] == [(204, "1")]
    assert finished(it, first)["state"] == "cancelled"


def test_a_live_job_can_be_cancelled(it: Served) -> None:
    job = ask(it, prompt="hold:1").json()["id"]
    assert it.client.delete(f"/api/v1/jobs/{job}").status_code == 200
    assert finished(it, job)["state"] == "cancelled"
    assert "x-ended" in it.client.get(f"/api/v1/jobs/{job}/picture").headers


def test_a_failure_is_one_sentence(it: Served) -> None:
    job = ask(it, prompt="fail:1").json()["id"]
    assert refused(it.client.get(f"/api/v1/jobs/{job}/picture"), 503)[0] == "The script says so."


def test_pictures_in_the_body_are_only_lent(it: Served) -> None:
    red, blue = (picture(colour=colour) for colour in ("red", "blue"))
    job = ask(it, task="img2img", image="data:image/png;base64," + base64.b64encode(red).decode(), seed=1).json()
    other = ask(it, task="img2img", image=base64.b64encode(blue).decode(), seed=1).json()
    assert it.client.get(f"/api/v1/jobs/{other['id']}/picture").status_code == 200
    lent = it.studio.blobs / "lent"
    assert {path.name for path in lent.iterdir()} == {job["request"]["image"], other["request"]["image"]}
    assert it.client.get(f"/api/v1/uploads/{other['request']['image']}").content == blue


@pytest.mark.parametrize("session", ["short", "with%20space", "x" * 65])
def test_names_of_sessions_have_a_rule(it: Served, session: str) -> None:
    assert refused(ask(it, session))[1] == "live"


def test_what_is_wrong_is_told_as_usual(it: Served) -> None:
    assert refused(ask(it, num_inference_steps=0))[1] == "num_inference_steps"
    assert "one picture" in refused(ask(it, num_images_per_prompt=3))[0]
    refused(it.client.get("/api/v1/jobs/unknown/picture"), 404)
    refused(it.client.post("/api/v1/jobs/unknown/keep"), 404)
