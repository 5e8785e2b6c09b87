"""Units in the engine: nothing remains of them, jobs at different steps share passes, other checkpoints' nets are refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from extensions.builtin.control import Control
from extensions.builtin.hires import Hires
from pipelines import batching
from pipelines.catalog import Catalog
from pipelines.control import ControlParams, ControlUnit
from pipelines.control.noising import Levels, low_pass
from pipelines.denoise import Predict, Row
from pipelines.errors import InvalidRequest, UnknownName
from pipelines.events import Failed
from pipelines.manager import PipelineManager
from tests.pipelines.control.toy_nets import shelf, toy_net, toy_xl_net
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run, toy
from tests.pipelines.families import toys_sdxl
from tests.pipelines.test_oracle import picture
from tests.toys import save_toy

LINES = {"model": "lines"}
REFERENCE = {"preprocessor": "reference"}
LAYOUT = {"preprocessor": "blur"}


class Kit:
    def __init__(self, folder: Path) -> None:
        self.blobs = Blobs()
        self.components = toy(folder / "toy")
        self.manager = Shelf(toy=self.components)
        self.catalog: Any = SimpleNamespace(roots=(shelf(folder, lines=toy_net(1), xl=toy_xl_net()),))
        self.manager.catalog = self.catalog

    def asked(self, *units: dict[str, Any], **fields: Any) -> Any:
        given = [{"image": self.blobs.add(picture(seed=20 + place)), **unit} for place, unit in enumerate(units)]
        modifiers = {**fields.pop("modifiers", {}), **({"control": {"units": given}} if units else {})}
        return request(modifiers=modifiers, **fields)

    def run(self, *asked: Any, **more: Any) -> list[Any]:
        modifiers = {"control": Control(), "hires": Hires()}
        return run(engine(self.manager, self.blobs, modifiers, previews=False, **more), *asked)

    def traces(self) -> tuple[Any, ...]:
        """What a modifier could have left behind in the UNet."""
        unet = self.components.denoiser
        weights = float(sum(tensor.double().abs().sum() for tensor in unet.state_dict().values()))
        hooks = sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in unet.modules())
        return weights, hooks, tuple(map(id, unet.attn_processors.values()))


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


@pytest.mark.parametrize("unit", [LINES, REFERENCE, LAYOUT])
def test_it_changes_the_picture_and_leaves_nothing_behind(kit: Kit, unit: dict[str, Any]) -> None:
    before = kit.traces()
    plain = latents(kit.run(kit.asked()))[0]
    steered = latents(kit.run(kit.asked(unit)))[0]
    assert torch.isfinite(steered).all() and not torch.allclose(steered, plain, atol=1e-2)
    assert kit.traces() == before
    assert torch.equal(latents(kit.run(kit.asked()))[0], plain)


@pytest.mark.parametrize("unit", [LINES, REFERENCE, LAYOUT])
def test_nothing_is_left_after_an_error_either(kit: Kit, unit: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = kit.traces()
    unet = kit.components.denoiser

    def broken(*given: Any, **more: Any) -> Any:
        raise ValueError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(unet.mid_block, "forward", broken)
        assert of(kit.run(kit.asked(unit)), Failed)
    assert kit.traces() == before


@pytest.mark.parametrize("unit", [{"enabled": False}, {"controlnet_conditioning_scale": 0}, {"control_guidance_end": 0.01}])
@pytest.mark.parametrize("kind", [LINES, REFERENCE, LAYOUT])
def test_a_unit_that_does_not_act_changes_nothing(kit: Kit, kind: dict[str, Any], unit: dict[str, Any]) -> None:
    assert torch.equal(latents(kit.run(kit.asked({**kind, **unit})))[0], latents(kit.run(kit.asked()))[0])


@pytest.mark.parametrize("unit", [LINES, REFERENCE, LAYOUT])
def test_jobs_of_different_length_share_passes_and_make_what_they_make_alone(kit: Kit, unit: dict[str, Any]) -> None:
    window = {**unit, "control_guidance_start": 0.3, "control_guidance_end": 0.8}
    asked = [
        kit.asked(window, num_inference_steps=steps, seed=steps, guidance_scale=scale) for steps, scale in ((4, 5.0), (7, 3.0), (5, 6.0))
    ]
    together = kit.run(*asked, max_batch=8)
    for place, one in enumerate(asked):
        alone = latents(kit.run(one))[0]
        assert torch.allclose(latents(together, str(place))[0], alone, atol=2e-4 * float(alone.std()) + 1e-4)


@pytest.mark.parametrize("unit", [LINES, REFERENCE, LAYOUT])
def test_row_by_row_is_the_same(kit: Kit, unit: dict[str, Any]) -> None:
    asked = kit.asked({**unit, "control_mode": "control"})
    whole, by_rows = latents(kit.run(asked))[0], latents(kit.run(asked, max_batch=0))[0]
    assert torch.allclose(whole, by_rows, atol=1e-3)


def test_a_second_pass_gets_the_picture_at_its_size(kit: Kit) -> None:
    hires = {"hires": {"upscaler": "latent", "scale": 2, "strength": 0.5}}
    made = latents(kit.run(kit.asked(LINES, REFERENCE, LAYOUT, modifiers=hires)))[0]
    assert made.shape == (1, 4, 16, 16) and torch.isfinite(made).all()


@pytest.mark.parametrize("unit", [{"model": "xl"}, REFERENCE, LAYOUT])
def test_stable_diffusion_xl(tmp_path: Path, kit: Kit, unit: dict[str, Any]) -> None:
    kit.components = toys_sdxl.components(toys_sdxl.arguments(tmp_path / "xl"))
    kit.manager.models["toy"] = kit.components
    before = kit.traces()
    plain, steered = (latents(kit.run(kit.asked(*units)))[0] for units in ((), (unit,)))
    assert torch.isfinite(steered).all() and not torch.allclose(steered, plain, atol=1e-2)
    assert kit.traces() == before


def test_a_denoiser_of_another_kind_is_refused(kit: Kit) -> None:
    kit.components = kit.components.with_modules(unet=torch.nn.Linear(1, 1))
    for unit, what in ((REFERENCE, "Reference"), (LAYOUT, "Control without a ControlNet")):
        with pytest.raises(InvalidRequest, match=f"{what} goes with UNets of pictures, and 'toy' is Stable Diffusion 1"):
            params = ControlParams(units=(ControlUnit(image="0" * 64, **unit),))
            Control().around(kit.components, params, kit.catalog, kit.blobs.__getitem__).__enter__()


def test_a_net_for_another_kind_of_checkpoint_is_refused_by_name(kit: Kit) -> None:
    [failed] = of(kit.run(kit.asked({"model": "xl"})), Failed)
    assert failed.message == (
        "ControlNet 'xl' is made for another model (text of width 40), and checkpoint 'toy' is Stable Diffusion 1 (text of width 16)."
    )


def test_what_is_kept_for_the_next_job_is_counted_and_let_go(kit: Kit) -> None:
    control = Control()
    manager = PipelineManager(Catalog(kit.catalog.roots), keepers=[control])
    assert manager.memory_bytes() == 0 and not manager.spare()
    run(engine(kit.manager, kit.blobs, {"control": control}, previews=False), kit.asked(LINES))
    weights = sum(tensor.numel() * tensor.element_size() for tensor in toy_net(1).state_dict().values())
    assert manager.status()["memory_bytes"] == manager.memory_bytes() == weights
    assert manager.spare() and manager.memory_bytes() == 0 and not manager.spare()


def test_what_is_wrong_is_told_before_a_job_is_queued(kit: Kit) -> None:
    control = Control()
    save_toy(kit.catalog.roots[0] / "checkpoints" / "toy")
    catalog = Catalog(kit.catalog.roots)

    def check(**unit: Any) -> None:
        control.check(ControlParams(units=(ControlUnit(image="0" * 64, **unit),)), catalog, "toy")

    with pytest.raises(InvalidRequest, match="Control 1: Canny steers by way of a ControlNet, and none is chosen"):
        check(preprocessor="canny")
    with pytest.raises(UnknownName, match="no ControlNet named 'depth'; known: lines, xl"):
        check(preprocessor="none", model="depth")
    check(preprocessor="canny", enabled=False)
    check(preprocessor="reference")
    check(preprocessor="tile")
    check(preprocessor="canny", model="lines")
    with pytest.raises(
        InvalidRequest,
        match=r"Control 1: ControlNet 'xl' is made for another model \(text of width 40\), and checkpoint 'toy' is Stable Diffusion 1",
    ):
        check(preprocessor="canny", model="xl")
    assert control.pictures(ControlParams(units=(ControlUnit(image="0" * 64), ControlUnit(image="1" * 64, enabled=False)))) == ("0" * 64,)


@pytest.mark.parametrize(
    "unit",
    [
        {"image": "x"},
        {"preprocessor": "openpose"},
        {"controlnet_conditioning_scale": 3},
        {"control_guidance_start": 0.5, "control_guidance_end": 0.5},
        {"preprocessor": "canny", "parameters": {"radius": 1}},
        {"control_mode": "both"},
        {"weight": 1},
    ],
)
def test_units_keep_their_rules(unit: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ControlUnit(**{"image": "0" * 64, **unit})


def test_windows_are_counted_as_diffusers_counts_them() -> None:
    unit = ControlUnit(image="0" * 64, control_guidance_start=0.2, control_guidance_end=0.8)
    assert [unit.keeps(step, 5) for step in range(5)] == [False, True, True, True, False]
    assert all(ControlUnit(image="0" * 64).keeps(step, 7) for step in range(7))


def test_a_layout_is_kept_to_at_its_own_coarseness(kit: Kit) -> None:
    """What comes out has the low frequencies of the picture, whatever the model said."""
    asked = kit.asked({**LAYOUT, "parameters": {"radius": 16}}, num_inference_steps=6, scheduler="ddim")
    from pipelines.control.maps import Maps

    unit = ControlUnit(**asked.modifiers["control"]["units"][0])
    made = latents(kit.run(asked))[0]
    with torch.no_grad():
        wanted = Maps(kit.components, kit.blobs.__getitem__).latents(unit, made, [Row(0, 1, True)])
    assert torch.allclose(low_pass(made, 4), low_pass(wanted, 4), atol=0.2)
    assert not torch.allclose(made, wanted, atol=0.5)


def test_the_clean_estimate_moves_by_what_it_is_told_to(kit: Kit) -> None:
    levels = Levels(kit.components, "This")
    x, output, by = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    asked = Predict(x, torch.tensor([10.0, 700.5]), {}, rows=(Row(0, 4, False), Row(0, 4, True)))
    moved = levels.moved(output, by, asked)
    assert torch.allclose(levels.denoised(moved, asked), levels.denoised(output, asked) + by, atol=1e-4)


def test_questions_are_joined_and_cut_with_their_rows(kit: Kit) -> None:
    def one(step: int) -> Predict:
        rows = (Row(step, 9, False), Row(step, 9, True))
        return Predict(
            torch.full((2, 4, 8, 8), float(step)), torch.full((2,), float(step)), {"a": torch.full((2, 3), float(step))}, "", rows
        )

    whole = batching.joined([one(1), one(2)])
    assert [row.step for row in whole.rows] == [1, 1, 2, 2]
    part = batching.rows_of(whole, 1, 3)
    assert part.rows == (Row(1, 9, True), Row(2, 9, False)) and part.conditioning["a"][:, 0].tolist() == [1, 2]
