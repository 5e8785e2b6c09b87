"""Extensions: our own come through the same door, a broken one is left out and reported, FreeU leaves no trace."""

import hashlib
from pathlib import Path

import pytest
import torch

from extensions import loader
from extensions.builtin.freeu import FreeU, FreeUParams
from pipelines.catalog import Catalog
from pipelines.errors import InvalidRequest, UnknownName
from pipelines.modifiers import check
from tests.toys import toy_components

GOOD = """
from extensions.hookspecs import hookimpl
from pipelines.names import SchedulerSpec

@hookimpl
def schedulers():
    return {"my_euler": SchedulerSpec("My Euler", sampler="euler")}
"""


def dropped(folder: Path, name: str, text: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)
    return folder


def test_freeu_comes_through_the_door() -> None:
    offered = loader.load()
    assert "freeu" in offered.modifiers
    assert offered.broken == {}
    assert {"euler", "ddim"} <= offered.schedulers.keys()


def test_a_dropped_folder_is_off_until_it_is_named(tmp_path: Path) -> None:
    dropped(tmp_path, "mine", GOOD)
    assert "my_euler" not in loader.load((), tmp_path).schedulers
    assert loader.load(("mine",), tmp_path).schedulers["my_euler"].title == "My Euler"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('no such card')", "no such card"),
        ("def (:", "SyntaxError"),
        ("{}['key']", "KeyError"),
        (GOOD.replace("my_euler", "euler"), "offered twice: euler"),
        (GOOD.replace("def schedulers", "def shedulers"), "shedulers"),
        (GOOD.replace("return {", "return 1 / 0 or {"), "ZeroDivisionError"),
    ],
)
def test_a_broken_extension_is_reported_and_the_rest_runs(tmp_path: Path, text: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    offered = loader.load(("bad",), dropped(tmp_path, "bad", text))
    assert reason in offered.broken["bad"]
    assert caplog.records[0].exc_info is not None
    assert "freeu" in offered.modifiers and len(offered.schedulers) == len(loader.load().schedulers)


@pytest.mark.parametrize("name", ["nope", "../elsewhere", "builtin"])
def test_a_folder_that_is_not_there_is_named_in_one_line(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    said = loader.load((name,), tmp_path).broken[name]
    assert said.startswith(f"Extension {name} was left out: there is no folder of that name")
    (record,) = caplog.records
    assert record.getMessage() == said and record.exc_info is None


def test_modifier_parameters_are_checked_by_their_own_model() -> None:
    known = loader.load().modifiers
    assert check({"freeu": {"b1": 1.2}}, known)["freeu"] == FreeUParams(b1=1.2)
    with pytest.raises(InvalidRequest, match=r"modifiers\.freeu\.b1.*9"):
        check({"freeu": {"b1": 9}}, known)
    with pytest.raises(InvalidRequest, match=r"modifiers\.freeu\.b1.*\(100,000 characters\)\.$") as caught:
        check({"freeu": {"b1": "x" * 100_000}}, known)
    assert len(str(caught.value)) < 300
    with pytest.raises(InvalidRequest, match=r"modifiers\.freeu\.b1.*finite.*nan"):
        check({"freeu": {"b1": float("nan")}}, known)
    with pytest.raises(InvalidRequest) as caught:
        check({"freeu": {"x" * 100_000: 1}}, known)
    assert len(str(caught.value)) < 300
    with pytest.raises(UnknownName, match="freeu") as caught:
        check({"nope": {}}, known)
    assert caught.value.field == "modifiers"


class Parts:
    """The one component that FreeU touches."""

    def __init__(self, denoiser: torch.nn.Module) -> None:
        self.denoiser = denoiser


def output(unet: torch.nn.Module) -> str:
    generator = torch.Generator().manual_seed(0)
    latents, text = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 77, 16, generator=generator)
    with torch.inference_mode():
        return hashlib.sha256(unet(latents, 500, text).sample.numpy().tobytes()).hexdigest()


def test_freeu_changes_the_prediction_and_leaves_no_trace_also_after_an_exception(tmp_path: Path) -> None:
    unet = toy_components(tmp_path)["unet"]
    plain = output(unet)
    with FreeU().modify(Parts(unet), FreeUParams(), Catalog([])):
        assert output(unet) != plain
    assert output(unet) == plain
    with pytest.raises(RuntimeError, match="stop"), FreeU().modify(Parts(unet), FreeUParams(), Catalog([])):
        raise RuntimeError("stop")
    assert output(unet) == plain
