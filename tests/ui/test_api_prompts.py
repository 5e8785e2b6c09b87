"""Prompts over HTTP: read as the page shows them, with the names they may hold; styles; and one prompt that becomes many jobs."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from extensions.builtin.lora import Lora
from pipelines.prompts.tree import SYNTAXES
from tests.pipelines.prompts.test_any_text import TEXTS
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
        it.studio.modifiers["lora"] = Lora()  # type: ignore[index]
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


LONGEST = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\u200d\u202e",
        "שלום \u202e(",
        "👩‍👩‍👧" * 50,
        *((piece * LONGEST)[:LONGEST] for piece in ("(", "[a:b:c:d:0.5]", "{a|", "a, ", "__x__")),
    ],
    ids=lambda text: repr(text[:8]),
)
@pytest.mark.parametrize("syntax", ["a1111", "compel"])
def test_any_text_is_read(it: Served, text: str, syntax: str) -> None:
    found = read(it, text, prompt_syntax=syntax)
    assert found["timeline"] and all(0 <= notice["start"] <= notice["end"] <= len(text) for notice in found["notices"])


def test_a_text_beyond_the_limit_is_a_sentence(it: Served) -> None:
    answer = it.client.post("/api/v1/prompt", json={"text": "a" * (LONGEST + 1)})
    assert answer.status_code == 422 and "text" in answer.json()["error"]


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(SYNTAXES), st.booleans(), st.integers(-1, 2**32 - 1))
def test_any_text_has_an_answer(it: Served, text: str, syntax: str, negative: bool, seed: int) -> None:
    """Half a surrogate pair, which is no text, may be refused; nothing else is, and nothing fails."""
    asked = {"text": text, "prompt_syntax": syntax, "negative": negative, "seed": seed}
    answer = it.client.post("/api/v1/prompt", content=json.dumps(asked), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200 or (answer.status_code == 422 and not text.isprintable() and "\ud800" in text), answer.text
    assert answer.json().get("timeline") or answer.json()["error"]


def test_wildcards_are_counted_as_what_they_become(it: Served) -> None:
    wild = read(it, "a __animals/tame__ {x|a very long way of saying it}")
    least, most = wild["lengths"]
    assert least < most and most - least >= 5
    assert read(it, "a {x|a b c}", seed=3)["lengths"] in ([2, 2], [4, 4])
    assert read(it, "a cat")["lengths"] is None
    assert read(it, "a __nowhere__")["lengths"] is None


def test_a_lora_that_is_not_there_is_told_at_the_prompt(it: Served) -> None:
    answer = it.client.post("/api/v1/jobs", json={"prompt": "a cat <lora:inc:1>"})
    assert answer.status_code in (404, 422) and answer.json()["field"] == "prompt"
    assert answer.json()["error"].startswith("There is no lora named 'inc'")
    chosen = {"prompt": "a cat", "modifiers": {"lora": {"loras": [{"name": "inc"}]}}}
    assert it.client.post("/api/v1/jobs", json=chosen).json()["field"] == "modifiers"


def test_the_pictures_of_a_matrix_make_one_sheet(it: Served) -> None:
    jobs = batch(it, {"prompt": "a cat|red"}, matrix=True)
    images = [image for job in jobs for image in finished(it, job["id"])["images"]]
    answer = it.client.get("/api/v1/grid", params={"image": images, "download": "1"})
    assert (
        answer.status_code == 200 and answer.headers["content-type"] == "image/png" and "grid.png" in answer.headers["content-disposition"]
    )
    size = Image.open(io.BytesIO(answer.content)).size
    assert size[0] > 2 * 64 and size[1] > 64
    assert it.client.get("/api/v1/grid", params={"image": "gone"}).status_code == 404
    assert it.client.get("/api/v1/grid").status_code == 422


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
    combined = batch(it, {"prompt": "a cat|red|big"}, matrix=True)
    prompts = [job["request"]["prompt"] for job in combined]
    assert len({job["request"]["seed"] for job in combined}) == 1
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


def test_several_pictures_to_start_from_are_jobs_each_in_its_own_size(it: Served) -> None:
    request = {"task": "img2img", "prompt": "a cat", "strength": 0.5}
    uris = []
    for size in ((64, 64), (96, 64)):
        file = io.BytesIO()
        Image.new("RGB", size, "teal").save(file, "PNG")
        uris.append("data:image/png;base64," + base64.b64encode(file.getvalue()).decode())
    jobs = batch(it, request, images=uris)
    assert [(job["request"]["width"], job["request"]["height"]) for job in jobs] == [(64, 64), (96, 64)]
    assert len({job["request"]["image"] for job in jobs}) == 2
    wrong = it.client.post("/api/v1/batches", json={"request": request, "images": [uris[0], "0" * 64]})
    assert wrong.status_code in (404, 422) and wrong.json()["field"] == "image"
