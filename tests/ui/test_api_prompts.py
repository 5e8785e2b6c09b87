"""Prompts over HTTP: read as the page shows them, with the names they may hold; styles; and one prompt that becomes many jobs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.ui.asking import finished
from tests.ui.serving import Served, served


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("prompts")) as it:
        models = it.folder / "models"
        for folder in ("loras", "embeddings", "wildcards/animals"):
            (models / folder).mkdir(parents=True)
        safetensors.torch.save_file({"lora_unet_x.lora_up.weight": torch.zeros(4, 2)}, models / "loras" / "ink.safetensors")
        (models / "loras" / "ink.json").write_text(json.dumps({"activation text": "ink drawing", "preferred weight": 0.8}))
        safetensors.torch.save_file({"emb_params": torch.zeros(3, 16)}, models / "embeddings" / "dusk.safetensors")
        (models / "wildcards" / "animals" / "tame.txt").write_text("cat\ndog\n# a remark\nhen\n")
        yield it


def read(it: Served, text: str, **more: Any) -> dict[str, Any]:
    answer = it.client.post("/api/v1/prompt", json={"text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_prompt_is_read_as_the_engine_will_read_it(it: Served) -> None:
    found = read(it, "a (cat:1.3), [b:c:0.5] <lora:ink:0.5> dusk", num_inference_steps=10)
    assert [(entry["from"], entry["until"]) for entry in found["timeline"]] == [(1, 5), (6, 10)]
    assert {"start": 3, "end": 6, "weight": 1.3, "steps": [[1, 10]]} in found["spans"]
    assert [(each["name"], each["known"]) for each in found["networks"]] == [("ink", True)]
    assert [(each["name"], each["vectors"]) for each in found["embeddings"]] == [("dusk", 3)]
    assert found["notices"] == [] and found["unbalanced"] == []


def test_what_is_amiss_is_said_with_its_place(it: Served) -> None:
    found = read(it, "(a <lora:inc:1> __animals/wild__")
    assert found["unbalanced"] == [{"position": 0, "character": "("}]
    lora, wildcard = (notice["sentence"] for notice in found["notices"])
    assert "no LoRA named 'inc'" in wildcard + lora and "ink" in lora + wildcard and "animals/wild" in lora + wildcard


@pytest.mark.parametrize("text", ["", "(" * 5000, "\0\u200d\u202e", "[a:b:c:d:0.5]" * 300])
def test_any_text_is_read(it: Served, text: str) -> None:
    assert read(it, text)["timeline"]


def test_a_checkpoint_that_is_not_there_is_read_with_clips_own_words(it: Served) -> None:
    assert read(it, "a photo of a cat", checkpoint="gone")["tokens"] == 5


def test_the_names_that_a_prompt_may_hold(it: Served) -> None:
    words = it.client.get("/api/v1/words").json()
    assert words["loras"] == [{"name": "ink", "hint": "ink drawing", "weight": 0.8}]
    assert [each["name"] for each in words["embeddings"]] == ["dusk"] and words["wildcards"][0]["name"] == "animals/tame"


def test_styles_are_kept_applied_and_dropped(it: Served) -> None:
    kept = it.client.put("/api/v1/styles", json={"name": "Ink", "prompt": "ink drawing of {prompt}", "negative_prompt": "colour"})
    assert kept.status_code == 200 and [style["name"] for style in kept.json()["styles"]] == ["Ink"]
    styled = it.client.post("/api/v1/styles/apply", json={"prompt": "a cat", "negative_prompt": "blur", "styles": ["Ink"]}).json()
    assert styled == {"prompt": "ink drawing of a cat", "negative_prompt": "blur, colour"}
    unknown = it.client.post("/api/v1/styles/apply", json={"prompt": "a", "styles": ["Oil"]})
    assert unknown.status_code in (404, 422) and "Oil" in unknown.json()["error"]
    assert it.client.put("/api/v1/styles", json={"name": " # ", "prompt": "x"}).status_code == 422
    assert it.client.delete("/api/v1/styles/Ink").json()["styles"] == []


def batch(it: Served, request: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = it.client.post("/api/v1/batches", json={"request": {"num_inference_steps": 2, **request}, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["jobs"]


def test_a_matrix_and_a_list_become_jobs(it: Served) -> None:
    prompts = [job["request"]["prompt"] for job in batch(it, {"prompt": "a cat|red|big"}, matrix=True)]
    assert prompts == ["a cat", "a cat, red", "a cat, big", "a cat, red, big"]
    jobs = batch(it, {"prompt": "unused"}, lines='a dog\n\n--prompt "a hen" --steps 3 --seed 5')
    assert [(job["request"]["prompt"], job["request"]["num_inference_steps"]) for job in jobs] == [("a dog", 2), ("a hen", 3)]
    for job in jobs:
        assert finished(it, job["id"])["state"] == "finished"


def test_each_picture_of_a_wildcard_prompt_has_its_own_words_and_keeps_the_template(it: Served) -> None:
    jobs = batch(it, {"prompt": "a __animals/tame__ {red|blue}", "num_images_per_prompt": 4, "seed": 3})
    assert [job["request"]["seed"] for job in jobs] == [3, 4, 5, 6]
    assert all(job["request"]["template"] == "a __animals/tame__ {red|blue}" for job in jobs)
    assert all("_" not in job["request"]["prompt"] and "{" not in job["request"]["prompt"] for job in jobs)
    again = batch(it, {"prompt": "a __animals/tame__ {red|blue}", "num_images_per_prompt": 4, "seed": 3})
    assert [job["request"]["prompt"] for job in again] == [job["request"]["prompt"] for job in jobs]


def test_if_one_of_many_is_wrong_none_is_queued(it: Served) -> None:
    before = {job["id"] for job in it.client.get("/api/v1/jobs?limit=500").json()["jobs"]}
    answer = it.client.post("/api/v1/batches", json={"request": {}, "lines": 'a cat\n--prompt "a dog" --steps 9000'})
    assert answer.status_code == 422 and "9000" in answer.json()["error"]
    missing = it.client.post("/api/v1/batches", json={"request": {"prompt": "a __planet__"}})
    assert missing.status_code == 422 and "planet" in missing.json()["error"]
    assert {job["id"] for job in it.client.get("/api/v1/jobs?limit=500").json()["jobs"]} == before
