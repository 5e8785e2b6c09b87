"""Jobs over HTTP: asked for, listed, steered; and everything that cannot be one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.request import Inpaint
from tests.jobs.parts import until
from tests.ui.asking import JSON, finished, picture, refused
from tests.ui.serving import Served, served
from ui.api import shapes


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("jobs")) as it:
        yield it


def test_a_job_from_its_request_to_its_pictures(it: Served) -> None:
    answer = it.client.post("/api/v1/jobs", json={"task": "txt2img", "prompt": "a fox", "seed": 7, "num_images_per_prompt": 2})
    assert answer.status_code == 201
    job = shapes.Job.model_validate(answer.json())
    assert answer.headers["location"] == f"jobs/{job.id}"
    assert job.request["num_inference_steps"] == 25  # what this checkpoint recommends
    done = shapes.Job.model_validate(finished(it, job.id))
    assert done.state == "finished"
    assert done.step == done.total == 50
    listed = shapes.Images.model_validate(it.client.get("/api/v1/images?limit=2").json()).images
    assert [image.id for image in listed] == done.images[::-1]
    assert [image.seed for image in listed] == [8, 7]
    before = it.client.get(f"/api/v1/images?limit=1&before={listed[0].id}").json()["images"]
    assert [image["id"] for image in before] == [listed[1].id]


def test_the_lists_of_jobs(it: Served) -> None:
    held = it.submit(prompt="hold:1")["id"]
    waiting = it.submit(prompt="after that")["id"]
    finished(it, waiting)
    everything = shapes.Jobs.model_validate(it.client.get("/api/v1/jobs").json())
    assert [job.id for job in everything.jobs[:2]] == [waiting, held]
    active = shapes.Jobs.model_validate(it.client.get("/api/v1/jobs?active=1").json())
    assert [job.id for job in active.jobs] == [held]
    assert len(it.client.get("/api/v1/jobs?limit=1").json()["jobs"]) == 1
    assert it.client.delete(f"/api/v1/jobs/{held}").status_code == 200
    assert finished(it, held)["state"] == "cancelled"
    assert it.client.get("/api/v1/jobs").json()["version"] > everything.version


def test_pause_resume_cancel_retry(it: Served) -> None:
    job = it.submit(prompt="hold:2:1")["id"]
    address = f"/api/v1/jobs/{job}"
    until(lambda: it.client.get(address).json()["step"] == 2)
    assert it.client.post(f"{address}/pause").status_code == 200
    until(lambda: it.client.get(address).json()["state"] == "paused")
    assert it.client.post(f"{address}/resume").status_code == 200
    assert finished(it, job)["state"] == "finished"
    assert "cannot be paused" in refused(it.client.post(f"{address}/pause"))[0]
    assert "tried again" in refused(it.client.post(f"{address}/retry"))[0]
    failing = it.submit(prompt="fail:2:1")["id"]
    assert finished(it, failing)["error"] == "The script says so."
    assert it.client.post(f"/api/v1/jobs/{failing}/retry").json()["state"] == "queued"
    assert finished(it, failing)["state"] == "finished"


BAD = {
    '{"num_inference_steps": 0}': "num_inference_steps",
    '{"guidance_scale": NaN}': "guidance_scale",
    '{"guidance_scale": -Infinity}': "guidance_scale",
    '{"guidance_scale": 1e999}': "guidance_scale",
    '{"seed": NaN}': "seed",
    '{"seed": 1%s}' % ("0" * 400): "seed",
    '{"seed": 1%s}' % ("0" * 9000): None,
    '{"width": 65}': "width",
    '{"width": 100000}': "width",
    '{"width": "wide"}': "width",
    '{"height": null}': "height",
    '{"scheduler": "nope"}': "scheduler",
    '{"scheduler": "ddim", "schedule": "karras"}': "schedule",
    '{"checkpoint": "nope"}': "checkpoint",
    '{"checkpoint": "../../etc/passwd"}': "checkpoint",
    '{"vae": "nope"}': "vae",
    '{"task": "nope"}': "task",
    '{"task": ["txt2img"]}': "task",
    '{"prompt": "%s"}' % ("x" * 100_001): "prompt",
    '{"prompt": "\\ud83d"}': "prompt",
    '{"prompt": "a\\u0000b"}': "prompt",
    '{"prompt": 7}': "prompt",
    '{"\\udcff": 1}': "?",
    '{"modifiers": {"freeu": {"b1": NaN}}}': "modifiers",
    '{"modifiers": {"\\ud800": {}}}': "modifiers",
    '{"modifiers": {"nope": {}}}': "modifiers",
    '{"owner": "me"}': "owner",
    '{"task": "img2img"}': "image",
    '{"task": "img2img", "image": "%s"}' % ("0" * 64): "image",
    '{"task": "img2img", "image": "http://127.0.0.1/a.png"}': "image",
    '{"task": "img2img", "image": "file:///etc/passwd"}': "image",
    '{"task": "img2img", "image": "/etc/passwd"}': "image",
    '{"task": "img2img", "image": "data:image/svg+xml,<svg/>"}': "image",
    '{"task": "img2img", "image": {"image": "nope"}}': "image",
    '{"task": "img2img", "image": {"image": 7}}': "image",
    '{"task": "img2img", "image": 7}': "image",
    "[]": None,
    "null": None,
    "{": None,
    "": None,
    "\ufeff{}": None,
    "[" * 50_000: None,
}


@pytest.mark.parametrize("body", BAD, ids=lambda body: body[:40])
def test_what_cannot_be_a_job_is_one_sentence_about_its_field(it: Served, body: str) -> None:
    answer = it.client.post("/api/v1/jobs", content=body.encode(), headers=JSON)
    assert refused(answer)[1] == BAD[body]


def test_text_that_is_no_utf8_and_bodies_of_other_types(it: Served) -> None:
    assert "UTF-8" in refused(it.client.post("/api/v1/jobs", content=b'{"prompt": "\xff"}', headers=JSON))[0]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = it.client.post("/api/v1/jobs", content=b"{}", headers={"Content-Type": kind})
        assert "application/json" in refused(answer, 415)[0]


def test_odd_prompts_come_back_as_they_were_sent(it: Served) -> None:
    for prompt in ("", "🦊" * 100, "\u202edettop", "a\r\nb\t\u2028", "((((" * 1000, '</script><img src=x onerror="1">'):
        job = it.submit(prompt=prompt)
        assert it.client.get(f"/api/v1/jobs/{job['id']}").json()["request"]["prompt"] == prompt
        finished(it, job["id"])


WITH_ID = ("jobs/{}", "jobs/{}/preview", "jobs/{}/events", "images/{}", "uploads/{}")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*Inpaint.model_fields, "other"]), ANYTHING, max_size=4))
def test_whatever_is_sent_the_answer_is_a_job_or_a_sentence(it: Served, draft: dict[str, Any]) -> None:
    answer = it.client.post("/api/v1/jobs", content=json.dumps(draft), headers=JSON)
    if answer.status_code != 201:
        refused(answer)


def test_an_outputs_folder_that_is_gone_is_said(it: Served) -> None:
    outputs = it.folder / "outputs"
    outputs.rename(it.folder / "elsewhere")
    try:
        assert "no longer there" in refused(it.client.post("/api/v1/jobs", json={}), 507)[0]
        refused(it.client.post("/api/v1/uploads", content=picture(colour=(9, 9, 9)), headers={"Content-Type": "image/png"}), 507)
    finally:
        (it.folder / "elsewhere").rename(outputs)


def test_ids_that_name_nothing(it: Served) -> None:
    for name in ("nope", "%00", "%2e%2e", "a" * 5000, "%F0%9F%A6%8A", "%ff"):
        for ask in (*(f"GET {each}" for each in WITH_ID), "DELETE jobs/{}", "POST jobs/{}/pause"):
            method, path = ask.format(name).split(" ")
            refused(it.client.request(method, f"/api/v1/{path}"), 404)
    refused(it.client.get("/api/v1/images?before=nope"), 404)


def test_arguments_out_of_bounds_and_addresses_that_are_none(it: Served) -> None:
    job = it.submit(prompt="x")["id"]
    for path, field in {
        "jobs?limit=0": "limit",
        "jobs?limit=x": "limit",
        "jobs?limit=99999999999999999999": "limit",
        "jobs?active=perhaps": "active",
        "images?limit=-1": "limit",
        f"jobs/{job}/preview?after=NaN": "after",
        f"jobs/{job}/events?after=-5": "after",
    }.items():
        assert refused(it.client.get(f"/api/v1/{path}"))[1] == field
    assert refused(it.client.get(f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": "x"}))[1] == "last-event-id"
    assert "action" in refused(it.client.post(f"/api/v1/jobs/{job}/explode"))[0]
    for path in ("", "/", "/nothing", "/jobs/a/b/c"):
        refused(it.client.get(f"/api/v1{path}", follow_redirects=True), 404)
    refused(it.client.put("/api/v1/jobs"), 405)


def test_what_nobody_foresaw_is_a_sentence_too(it: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(it.studio, "models", lambda: 1 / 0)
    assert "its log" in refused(it.client.get("/api/v1/models"), 500)[0]
    assert "ZeroDivisionError" in caplog.text


def test_models_schedulers_health(it: Served) -> None:
    models = shapes.Models.model_validate(it.client.get("/api/v1/models").json())
    assert models.default == "toy"
    assert models.checkpoints[0].family == "sd1"
    schedulers = shapes.Schedulers.model_validate(it.client.get("/api/v1/schedulers").json())
    assert "karras" in next(each for each in schedulers.schedulers if each.name == "euler").schedules
    health = shapes.Health.model_validate(it.client.get("/api/v1/health").json())
    assert (health.status, health.engine, health.version) == ("ok", "ready", "0.test")


def test_files_of_the_page(it: Served) -> None:
    answer = it.client.get("/safelight/static/canvas_mask.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    again = it.client.get("/safelight/static/canvas_mask.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for name in ("", "nope.js", "../server.py", "%2e%2e/server.py", "..%5cserver.py", "canvas_mask.js%00", "/etc/passwd", "C:/win.ini"):
        assert it.client.get(f"/safelight/static/{name}").status_code == 404, name
    assert it.client.get("/safelight/static/canvas_mask.js/").status_code == 404
