"""What a checkpoint's numbers are loaded in can be chosen for each: modules have it, switching reads anew, nothing is mixed up."""

from pathlib import Path

import pytest
import torch

from pipelines.catalog import Catalog
from pipelines.devices import dtype_named
from pipelines.errors import UnknownName
from pipelines.manager import PipelineManager
from pipelines.names import DTYPES, SCHEDULERS
from tests.pipelines.engines import Engine, latents, request, run
from tests.toys import save_toy


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints that are alike in everything."""
    root = tmp_path_factory.mktemp("models")
    for name in ("one", "two"):
        save_toy(root / "checkpoints" / name)
    return root


@pytest.fixture
def chosen() -> dict[str, torch.dtype]:
    """By checkpoint."""
    return {}


@pytest.fixture
def manager(root: Path, chosen: dict[str, torch.dtype]) -> PipelineManager:
    return PipelineManager(Catalog([root]), dtypes=lambda path: chosen.get(path.name))


def dtypes(manager: PipelineManager, name: str) -> set[torch.dtype]:
    with manager.acquire(name) as parts:
        upcast = parts.dtype == torch.float16  # the toys' VAE overflows in it, as its configuration says
        assert next(parts.vae.parameters()).dtype == (torch.float32 if upcast else parts.dtype)
        modules = (module for component, module in parts.modules.items() if component != "vae")
        found = {weight.dtype for module in modules for weight in module.parameters()}
        assert found == {parts.dtype}
    return found


@pytest.mark.parametrize("name", DTYPES)
def test_every_module_has_what_was_chosen(manager: PipelineManager, chosen: dict[str, torch.dtype], name: str) -> None:
    chosen["one"] = getattr(torch, name)
    assert dtypes(manager, "one") == {chosen["one"]} and dtypes(manager, "two") == {torch.float32}
    told = "" if name == "float32" else f" It is in {name}, as chosen for it."
    assert manager.status()["plans"] == {"one": f"Everything is in main memory.{told}", "two": "Everything is in main memory."}


def test_switching_reads_anew_and_lets_the_old_go(manager: PipelineManager, chosen: dict[str, torch.dtype]) -> None:
    dtypes(manager, "one")
    whole = manager.memory_bytes()
    with manager.acquire("one") as parts:
        before = parts.denoiser
    chosen["one"] = torch.bfloat16
    with manager.acquire("one") as parts:
        assert parts.denoiser is not before and parts.dtype == torch.bfloat16
    assert manager.memory_bytes() < 0.6 * whole and manager.loaded() == ["one"]
    with manager.acquire("one") as parts, manager.acquire("one") as again:
        assert again.denoiser is parts.denoiser, "the same choice reads nothing"


def test_alike_checkpoints_share_what_has_the_same_numbers_only(manager: PipelineManager, chosen: dict[str, torch.dtype]) -> None:
    with manager.acquire("one") as one, manager.acquire("two") as two:
        assert one.denoiser is two.denoiser
    chosen["two"] = torch.float16
    with manager.acquire("one") as one, manager.acquire("two") as two:
        assert one.denoiser is not two.denoiser and one.fingerprints != two.fingerprints


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pictures_are_nearly_those_of_whole_numbers(manager: PipelineManager, chosen: dict[str, torch.dtype], dtype: torch.dtype) -> None:
    def made() -> torch.Tensor:
        return latents(run(Engine(manager, SCHEDULERS, {}, {}.__getitem__, previews=False), request(checkpoint="one")))[0]

    exact = made()
    chosen["one"] = dtype
    rounded = made()
    assert not torch.equal(exact, rounded) and float((exact - rounded).abs().max() / exact.std()) < 0.1


def test_an_unknown_dtype_lists_the_known() -> None:
    assert dtype_named("auto") is None
    with pytest.raises(UnknownName, match="known: auto, bfloat16, float16, float32"):
        dtype_named("int8")
