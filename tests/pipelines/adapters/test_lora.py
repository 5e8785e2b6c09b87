"""LoRAs in force and gone again: every weight is its own tensor afterwards, whatever happens in between."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.adapters.lora import LoraUse, applied
from pipelines.components import Components
from pipelines.errors import CheckpointError
from tests.pipelines.adapters import files
from tests.toys import toy_components

QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    return toy_components(tmp_path / "tokenizer")


@pytest.fixture
def components(parts: dict[str, Any]) -> Components:
    return files.components(parts)


@pytest.fixture
def lora(parts: dict[str, Any], tmp_path: Path) -> Path:
    models = {"lora_unet": parts["unet"], "lora_te": parts["text_encoder"]}
    return files.save(tmp_path / "one.safetensors", files.kohya(models, files.everything))


@pytest.fixture
def other(parts: dict[str, Any], tmp_path: Path) -> Path:
    return files.save(tmp_path / "two.safetensors", files.diffusers({"unet": parts["unet"]}))


def places(components: Components) -> dict[str, int]:
    """Where in memory each weight lies."""
    modules = components.modules.items()
    return {f"{name}.{key}": tensor.data_ptr() for name, module in modules for key, tensor in module.state_dict().items()}


class Untouched:
    """Holds what the weights were, and checks that they are those very tensors again."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._weights, self._places = files.weights(components.modules), places(components)

    def check(self) -> None:
        now = files.weights(self._components.modules)
        assert now.keys() == self._weights.keys()
        assert all(torch.equal(now[name], self._weights[name]) for name in now)
        assert places(self._components) == self._places

    def changed(self) -> set[str]:
        now = files.weights(self._components.modules)
        return {name for name in now if not torch.equal(now[name], self._weights[name])}


def test_everything_is_put_back(components: Components, lora: Path, other: Path) -> None:
    before = Untouched(components)
    with applied(components, [LoraUse(lora, 0.7), LoraUse(other, -0.5)]) as report:
        changed = before.changed()
        assert len(changed) == report.parameters > 50
        assert not any(name.startswith("vae.") for name in changed)
    before.check()


def test_everything_is_put_back_after_an_exception(components: Components, lora: Path) -> None:
    before = Untouched(components)
    with pytest.raises(KeyError), applied(components, [LoraUse(lora)]):
        raise KeyError
    before.check()


def test_contexts_nest(components: Components, lora: Path, other: Path) -> None:
    before = Untouched(components)
    with applied(components, [LoraUse(lora)]):
        between = Untouched(components)
        with applied(components, [LoraUse(other), LoraUse(lora, -1.0)]):
            assert between.changed()
        between.check()
    before.check()


def test_mapped_weights_stay_mapped(components: Components, lora: Path, tmp_path: Path) -> None:
    for name in ("unet", "text_encoder"):
        module = components.modules[name]
        save_file(module.state_dict(), tmp_path / name)
        module.load_state_dict(load_file(tmp_path / name), assign=True)
    before = Untouched(components)
    with applied(components, [LoraUse(lora)]):
        assert before.changed()
    before.check()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_the_sum_is_rounded_once(components: Components, lora: Path, other: Path, dtype: torch.dtype) -> None:
    query = components.denoiser.get_submodule(QUERY)
    exact = query.weight.detach().to(dtype).float()
    for path, weight in ((lora, 2 / 3 * 0.7), (other, -0.5)):
        tensors = load_file(path)
        stem = f"lora_unet_{QUERY.replace('.', '_')}.lora_%s.weight" if path == lora else f"unet.{QUERY}.lora_%s.weight"
        down, up = (tensors[stem % slot] for slot in (("down", "up") if path == lora else ("A", "B")))
        exact = exact + weight * (up @ down)
    components.denoiser.to(dtype)
    before = Untouched(components)
    with torch.inference_mode(), applied(components, [LoraUse(lora, 0.7), LoraUse(other, -0.5)]):
        assert query.weight.dtype == dtype
        close = (query.weight.float() - exact).abs() <= torch.finfo(dtype).eps * exact.abs() + 1e-2 * (dtype == torch.float8_e4m3fn)
        assert close.all()
    before.check()


def test_the_text_has_a_weight_of_its_own(components: Components, lora: Path) -> None:
    before = Untouched(components)
    with applied(components, [LoraUse(lora, 1.0, text_weight=0.0)]):
        assert {name.partition(".")[0] for name in before.changed()} == {"unet"}
    with applied(components, [LoraUse(lora, 0.0, text_weight=0.5)]):
        half = files.weights(components.modules)
        assert {name.partition(".")[0] for name in before.changed()} == {"text_encoder"}
    with applied(components, [LoraUse(lora, 0.5)]):
        now = files.weights(components.modules)
        assert all(torch.equal(now[name], half[name]) for name in now if name.startswith("text_encoder."))
    with applied(components, [LoraUse(lora, 0.0)]) as report:
        assert (report.parameters, before.changed()) == (0, set())


def test_one_file_twice_is_the_file_at_the_sum_of_its_weights(components: Components, lora: Path) -> None:
    with applied(components, [LoraUse(lora, 0.5), LoraUse(lora, 0.25)]):
        twice = files.weights(components.modules)
    with applied(components, [LoraUse(lora, 0.75)]):
        once = files.weights(components.modules)
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor)


def refused(components: Components, path: Path) -> str:
    """The sentence that a file is refused with; nothing may be changed by it."""
    before = Untouched(components)
    with pytest.raises(CheckpointError) as error, applied(components, [LoraUse(path)]):
        pass
    before.check()
    return str(error.value)


def test_a_file_for_another_family_is_refused_whole(components: Components, parts: dict[str, Any], tmp_path: Path) -> None:
    tensors = files.kohya({"lora_te": parts["text_encoder"], "lora_unet": parts["unet"]})
    cross = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    wide = tensors | {f"{cross}.lora_down.weight": torch.randn(3, 2048)}
    wide = {name: tensor for name, tensor in wide.items() if "attn2_to" not in name or cross in name}
    sentence = refused(components, files.save(tmp_path / "xl.safetensors", wide))
    assert sentence == "xl.safetensors is made for Stable Diffusion XL (2048 wide); toy is Stable Diffusion 1 (16 wide)."


def test_a_file_that_shares_only_the_text_encoder_is_refused(components: Components, parts: dict[str, Any], tmp_path: Path) -> None:
    text = files.kohya({"lora_te1": parts["text_encoder"]})
    block = "transformer.transformer_blocks.0.attn.add_q_proj"
    sd3 = text | {f"{block}.lora_A.weight": torch.randn(2, 16), f"{block}.lora_B.weight": torch.randn(16, 2)}
    sentence = refused(components, files.save(tmp_path / "sd3.safetensors", sd3))
    assert sentence == "sd3.safetensors is made for Stable Diffusion 3; toy is Stable Diffusion 1 (16 wide)."


def test_other_shapes_are_refused_by_name(components: Components, tmp_path: Path) -> None:
    tensors = {f"unet.{QUERY}.lora_A.weight": torch.randn(2, 24), f"unet.{QUERY}.lora_B.weight": torch.randn(16, 2)}
    sentence = refused(components, files.save(tmp_path / "odd.safetensors", tensors))
    assert sentence.startswith("odd.safetensors is made for another kind of model than toy: it changes unet.mid_block.")
    assert "by (16, 24), where (16, 16) is needed" in sentence
    elsewhere = {name.replace("mid_block", "far_block"): tensor for name, tensor in tensors.items()}
    sentence = refused(components, files.save(tmp_path / "far.safetensors", elsewhere))
    assert sentence == "far.safetensors is made for another kind of model than toy: its parts have no place there."


def test_damaged_files_are_refused_and_the_first_ones_taken_off_again(components: Components, lora: Path, tmp_path: Path) -> None:
    tensors = load_file(lora)
    name = next(reversed([name for name in tensors if name.endswith("lora_up.weight")]))
    tensors[name].view(-1)[0] = float("nan")
    assert refused(components, files.save(tmp_path / "nan.safetensors", tensors)) == f"nan.safetensors is damaged: {name!r} is not finite."
    (tmp_path / "short.safetensors").write_bytes(lora.read_bytes()[:-100])
    assert "is cut short" in refused(components, tmp_path / "short.safetensors")
    assert "no longer there" in refused(components, tmp_path / "gone.safetensors")
    (tmp_path / "old.pt").write_bytes(b"anything")
    assert "is a pickle" in refused(components, tmp_path / "old.pt")


def test_what_is_not_understood_is_told_and_the_rest_used(components: Components, other: Path, tmp_path: Path) -> None:
    tensors = load_file(other) | {
        "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.randn(2, 8),
        "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.randn(8, 2),
        "bundle_emb.word.string_to_param.*": torch.randn(2, 16),
    }
    before = Untouched(components)
    with applied(components, [LoraUse(files.save(tmp_path / "more.safetensors", tensors))]) as report:
        assert report.notices == ("more.safetensors: 2 of its parts are not known to toy and were left out.",)
        assert before.changed()
    before.check()


def test_the_plain_models_first_convolution_goes_into_an_inpainting_model(parts: dict[str, Any], tmp_path: Path) -> None:
    tensors = files.kohya({"lora_unet": parts["unet"]}, files.everything)
    path = files.save(tmp_path / "full.safetensors", tensors)
    inpaint = toy_components(tmp_path / "inpaint", in_channels=9)["unet"]
    base = inpaint.conv_in.weight.detach().clone()
    with applied(files.components({"unet": inpaint}), [LoraUse(path)]):
        difference = inpaint.conv_in.weight.detach() - base
    down, up = (tensors[f"lora_unet_conv_in.lora_{slot}.weight"] for slot in ("down", "up"))
    torch.testing.assert_close(difference[:, :4], 2 / 3 * torch.einsum("or,ricd->oicd", up.flatten(1), down), atol=1e-6, rtol=1e-4)
    assert not difference[:, 4:].any()
