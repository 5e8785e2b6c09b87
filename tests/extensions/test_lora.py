"""The LoRA modifier: found by name in the folders of models, checked before a job is queued, in force inside and gone after."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from extensions.builtin.lora import Lora, LoraParams
from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.events import Notice, Started
from pipelines.modifiers import check
from tests.pipelines.adapters import files
from tests.pipelines.engines import Shelf, components, engine, of, request, run
from tests.toys import toy_components

LORA = Lora()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toy_components(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def catalog(tmp_path: Path, parts: dict[str, Any]) -> Catalog:
    files.save(tmp_path / "loras" / "style" / "ink.safetensors", files.kohya({"lora_unet": parts["unet"]}))
    files.save(tmp_path / "loras" / "Wash.safetensors", files.diffusers({"text_encoder": parts["text_encoder"]}))
    (tmp_path / "loras" / "broken.safetensors").write_text("nothing")
    return Catalog([tmp_path])


def params(*loras: dict[str, Any]) -> LoraParams:
    parsed = check({"lora": {"loras": list(loras)}}, {"lora": LORA})["lora"]
    assert isinstance(parsed, LoraParams)
    return parsed


def test_loras_by_name(parts: dict[str, Any], catalog: Catalog) -> None:
    wanted = params({"name": "ink", "weight": 0.5, "text_weight": None}, {"name": "wash"})
    LORA.check(wanted, catalog, "toy")
    components = files.components(parts)
    before = files.weights(components.modules)
    with LORA.modify(components, wanted, catalog):
        inside = files.weights(components.modules)
    after = files.weights(components.modules)
    assert {name.partition(".")[0] for name in before if not before[name].equal(inside[name])} == {"unet", "text_encoder"}
    assert all(before[name].equal(after[name]) for name in before)


def test_names_are_checked_before_a_job_is_queued(catalog: Catalog) -> None:
    with pytest.raises(UnknownName, match="There is no lora named 'inc'; known: Wash, broken, ink"):
        LORA.check(params({"name": "inc"}), catalog, "toy")
    with pytest.raises(CheckpointError, match=r"broken\.safetensors is not a safetensors file"):
        LORA.check(params({"name": "broken"}), catalog, "toy")


NOT_LORAS: list[Any] = [
    [{"name": "a", "weight": 5.1}],
    [{"name": "a", "weight": float("nan")}],
    [{"name": ""}],
    [{"name": "a"}] * 17,
    [{"weight": 1}],
    "a",
]


@pytest.mark.parametrize("loras", NOT_LORAS)
def test_what_cannot_be_asked_for(loras: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"modifiers\.lora\.loras"):
        check({"lora": {"loras": loras}}, {"lora": LORA})
    with pytest.raises(ValidationError):
        LoraParams.model_validate({"loras": loras, "more": 1})


def test_what_is_left_out_of_a_file_is_told_to_the_user(parts: dict[str, Any], catalog: Catalog) -> None:
    tensors = files.kohya({"lora_unet": parts["unet"]})
    down = next(name for name in tensors if name.endswith("lora_down.weight"))
    files.save(catalog.roots[0] / "loras" / "more.safetensors", {**tensors, "lora_unet_nowhere.lora_down.weight": tensors[down].clone()})
    models = Shelf(toy=components(parts))
    models.catalog = catalog
    events = run(engine(models, modifiers={"lora": LORA}), request(prompt="a cat <lora:more:1> <lora:ink:1>"))
    notices = of(events, Notice)
    assert len(notices) == 1 and notices[0].message.startswith("more.safetensors: 1 of its parts")
    assert [type(event) for event in events].index(Started) < [type(event) for event in events].index(Notice)
