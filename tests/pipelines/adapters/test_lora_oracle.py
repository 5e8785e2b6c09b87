"""Our merge against diffusers and peft on the same files: the same numbers come out of UNet and text encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from pipelines.adapters.lora import LoraUse, applied
from tests.pipelines.adapters import files
from tests.toys import toy_components

peft = pytest.importorskip("peft")
LoraConfig, get_peft_model_state_dict = peft.LoraConfig, peft.utils.get_peft_model_state_dict


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    return toy_components(tmp_path / "tokenizer")


def outputs(parts: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    with torch.no_grad():
        text = parts["text_encoder"](torch.arange(20)[None])[0]
        return text, parts["unet"](latents, 500, encoder_hidden_states=text.expand(2, -1, -1)).sample


def theirs(parts: Mapping[str, Any], *loras: tuple[Path, float]) -> tuple[Tensor, Tensor]:
    pipeline = StableDiffusionPipeline(**parts)
    try:
        for index, (path, _) in enumerate(loras):
            pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=f"a{index}", local_files_only=True)
        pipeline.set_adapters([f"a{index}" for index in range(len(loras))], [weight for _, weight in loras])
        return outputs(parts)
    finally:
        pipeline.unload_lora_weights()


def ours(parts: Mapping[str, Any], *loras: tuple[Path, float]) -> tuple[Tensor, Tensor]:
    with applied(files.components(parts), [LoraUse(path, weight) for path, weight in loras]) as report:
        assert report.notices == ()
        return outputs(parts)


def check(parts: Mapping[str, Any], *loras: tuple[Path, float]) -> None:
    plain = outputs(parts)
    for own, their, without in zip(ours(parts, *loras), theirs(parts, *loras), plain, strict=True):
        spread = without.std()
        assert (own - without).abs().max() > 0.01 * spread, "the LoRA changes nothing"
        assert (own - their).abs().max() < 2e-5 * spread
    assert all(torch.equal(a, b) for a, b in zip(outputs(parts), plain, strict=True))


def models(parts: Mapping[str, Any]) -> dict[str, torch.nn.Module]:
    return {"lora_unet": parts["unet"], "lora_te": parts["text_encoder"]}


@pytest.mark.parametrize("weight", [1.0, 0.6, -1.5])
def test_kohya(parts: dict[str, Any], tmp_path: Path, weight: float) -> None:
    check(parts, (files.save(tmp_path / "k.safetensors", files.kohya(models(parts))), weight))


def test_diffusers(parts: dict[str, Any], tmp_path: Path) -> None:
    tensors = files.diffusers({"unet": parts["unet"], "text_encoder": parts["text_encoder"]})
    check(parts, (files.save(tmp_path / "d.safetensors", tensors), 0.8))


def trained(folder: Path, unet: Any, text: Any) -> tuple[Path, tuple[Tensor, Tensor]]:
    """A file that diffusers saves of the same toy under peft's own adapters, and what that toy puts out."""
    parts = toy_components(folder / "other")
    for component, config in (("unet", unet), ("text_encoder", text)):
        parts[component].add_adapter(config)
        for name, parameter in parts[component].named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
            if "magnitude" in name:
                parameter.data.mul_(1 + 0.3 * torch.rand_like(parameter))
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=get_peft_model_state_dict(parts["unet"]),
        text_encoder_lora_layers=get_peft_model_state_dict(parts["text_encoder"]),
        unet_lora_adapter_metadata=unet.to_dict(),
        text_encoder_lora_adapter_metadata=text.to_dict(),
        weight_name="peft.safetensors",
    )
    return folder / "peft.safetensors", outputs(parts)


def test_diffusers_with_its_own_alphas(parts: dict[str, Any], tmp_path: Path) -> None:
    one = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    unet = LoraConfig(r=4, lora_alpha=3, target_modules=["to_q", "to_v"], alpha_pattern={one: 8})
    path, expected = trained(tmp_path, unet, LoraConfig(r=2, lora_alpha=5, target_modules=["q_proj"], use_rslora=True))
    for own, their in zip(ours(parts, (path, 1.0)), expected, strict=True):
        assert (own - their).abs().max() < 2e-5 * their.std()


def test_dora(parts: dict[str, Any], tmp_path: Path) -> None:
    """diffusers reads DoRA for Stable Diffusion no more, peft does."""
    unet = LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_out.0", "conv1"], use_dora=True)
    path, expected = trained(tmp_path, unet, LoraConfig(r=2, lora_alpha=2, target_modules=["fc1"], use_dora=True))
    for own, their in zip(ours(parts, (path, 1.0)), expected, strict=True):
        assert (own - their).abs().max() < 5e-5 * their.std()


def test_locon(parts: dict[str, Any], tmp_path: Path) -> None:
    check(parts, (files.save(tmp_path / "c.safetensors", files.kohya(models(parts), files.everything)), 0.7))


def test_several_at_once(parts: dict[str, Any], tmp_path: Path) -> None:
    first = files.save(tmp_path / "a.safetensors", files.kohya(models(parts)))
    second = files.save(tmp_path / "b.safetensors", files.diffusers({"unet": parts["unet"], "text_encoder": parts["text_encoder"]}))
    check(parts, (first, 0.5), (second, -0.25))
