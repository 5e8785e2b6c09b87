"""Every layout and spelling of a LoRA's names finds the parameters that it means."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import SD3Transformer2DModel, UNet2DConditionModel
from torch import nn

from pipelines.adapters.lora import LoraUse, applied
from pipelines.components import Components
from pipelines.families import FAMILIES
from tests.pipelines.adapters import files
from tests.toys import toy_components

QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    return toy_components(tmp_path / "tokenizer")


@pytest.fixture
def components(parts: dict[str, Any]) -> Components:
    return files.components(parts)


XL: Mapping[str, str] = {  # kohya's names for SDXL, and diffusers' modules
    "input_blocks_0_0": "conv_in",
    "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
    "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "input_blocks_4_0_skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
    "input_blocks_4_1_transformer_blocks_0_attn1_to_k": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k",
    "input_blocks_8_1_proj_in": "down_blocks.2.attentions.1.proj_in",
    "middle_block_1_transformer_blocks_1_ff_net_0_proj": "mid_block.attentions.0.transformer_blocks.1.ff.net.0.proj",
    "middle_block_2_emb_layers_1": "mid_block.resnets.1.time_emb_proj",
    "output_blocks_2_1_transformer_blocks_0_attn2_to_out_0": "up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_out.0",
    "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
    "output_blocks_8_0_out_layers_3": "up_blocks.2.resnets.2.conv2",
    "time_embed_2": "time_embedding.linear_2",
    "label_emb_0_0": "add_embedding.linear_1",
    "out_2": "conv_out",
}


@pytest.fixture(scope="module")
def xl() -> nn.Module:
    """A UNet of SDXL's build at toy size."""
    return UNet2DConditionModel(
        block_out_channels=(8, 16, 16),
        layers_per_block=2,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        transformer_layers_per_block=(1, 1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )


@pytest.mark.parametrize("name", XL)
def test_original_names_of_sdxl(xl: nn.Module, tmp_path: Path, name: str) -> None:
    module = xl.get_submodule(XL[name])
    base = module.weight.detach().clone()
    down, up = files.low_rank(module)
    path = files.save(tmp_path / "xl.safetensors", {f"lora_unet_{name}.lora_down.weight": down, f"lora_unet_{name}.lora_up.weight": up})
    with applied(files.components({"unet": xl}), [LoraUse(path)]) as report:
        assert report.parameters == 1
        torch.testing.assert_close(module.weight, base + (up.flatten(1) @ down.flatten(1)).reshape(base.shape))


SD3: Mapping[str, tuple[str, ...]] = {  # the original's names, and diffusers' modules, of which several may be one there
    "joint_blocks_0_x_block_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "joint_blocks_0_context_block_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "joint_blocks_0_context_block_attn_proj": ("attn.to_add_out",),
    "joint_blocks_0_x_block_mlp_fc1": ("ff.net.0.proj",),
}


@pytest.fixture(scope="module")
def sd3() -> nn.Module:
    return SD3Transformer2DModel(
        sample_size=8, patch_size=2, num_layers=2, attention_head_dim=4, num_attention_heads=2, joint_attention_dim=8,
        caption_projection_dim=8, pooled_projection_dim=8, pos_embed_max_size=8,
    )  # fmt: skip


@pytest.mark.parametrize("name", SD3)
def test_original_names_of_sd3(sd3: nn.Module, tmp_path: Path, name: str) -> None:
    modules = [sd3.get_submodule(f"transformer_blocks.0.{each}") for each in SD3[name]]
    base = torch.cat([module.weight.detach() for module in modules])
    down, up = torch.randn(3, base.shape[1]), torch.randn(base.shape[0], 3)
    path = files.save(tmp_path / "3.safetensors", {f"lora_unet_{name}.lora_down.weight": down, f"lora_unet_{name}.lora_up.weight": up})
    components = replace(files.components({"transformer": sd3}), family=replace(FAMILIES["sd1"], denoiser="transformer"))
    with applied(components, [LoraUse(path)]) as report:
        assert report.parameters == len(modules)
        torch.testing.assert_close(torch.cat([module.weight.detach() for module in modules]), base + up @ down)


def test_sd3s_last_modulation_has_its_halves_the_other_way_round(sd3: nn.Module, tmp_path: Path) -> None:
    base = sd3.norm_out.linear.weight.detach().clone()
    shift, scale = torch.randn_like(base).chunk(2)
    path = files.save(tmp_path / "3.safetensors", {"lora_unet_final_layer_adaLN_modulation_1.diff": torch.cat([shift, scale])})
    components = replace(files.components({"transformer": sd3}), family=replace(FAMILIES["sd1"], denoiser="transformer"))
    with applied(components, [LoraUse(path)]):
        torch.testing.assert_close(sd3.norm_out.linear.weight, base + torch.cat([scale, shift]))


NAMES = {  # of one layer, in the ways that files write it: (of down, of up)
    "kohya": "lora_unet_{flat}.lora_{down}.weight",
    "onetrainer": "lora_transformer_{flat}.lora_{down}.weight",
    "lycoris": "lycoris_{flat}.lora_{down}.weight",
    "peft": "base_model.model.{dotted}.lora_{A}.weight",
    "peft with the adapter's name": "{dotted}.lora_{A}.default.weight",
    "diffusers": "unet.{dotted}.lora_{A}.weight",
    "diffusers 0.20": "unet.{dotted}.lora.{down}.weight",
    "diffusers 0.17": "unet.{processor}_lora.{down}.weight",
    "diffusers 0.12": "{processor}_lora.{down}.weight",
    "comfy": "diffusion_model.{dotted}.lora_{down}.weight",
}


@pytest.mark.parametrize("layer", ["to_q", "to_out.0"])
@pytest.mark.parametrize("style", NAMES)
def test_every_way_to_write_a_name(components: Components, tmp_path: Path, style: str, layer: str) -> None:
    dotted = QUERY.replace("to_q", layer)
    module = components.denoiser.get_submodule(dotted)
    base = module.weight.detach().clone()
    down, up = files.low_rank(module)
    processor = dotted.replace("attn1.", "attn1.processor.").removesuffix(".0")
    more = {"dotted": dotted, "flat": dotted.replace(".", "_"), "processor": processor}
    tensors = {NAMES[style].format(down=slot, A=letter, **more): tensor for slot, letter, tensor in (("down", "A", down), ("up", "B", up))}
    with applied(components, [LoraUse(files.save(tmp_path / "n.safetensors", tensors))]) as report:
        assert (report.parameters, report.notices) == (1, ())
        torch.testing.assert_close(module.weight, base + up @ down)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.{}.weight", "q_proj"),
        ("text_encoder.text_model.encoder.layers.0.self_attn.out_proj.lora_linear_layer.{}.weight", "out_proj"),
        ("lora_te1_text_model_encoder_layers_0_self_attn_v_proj.lora_{}.weight", "v_proj"),
        ("text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.k_proj.lora_{}.weight", "k_proj"),
    ],
)
def test_names_in_the_text_encoder(components: Components, tmp_path: Path, name: str, module: str) -> None:
    layer = components.text_encoder.get_submodule(f"encoder.layers.0.self_attn.{module}")
    base = layer.weight.detach().clone()
    down, up = files.low_rank(layer)
    path = files.save(tmp_path / "t.safetensors", {name.format("down"): down, name.format("up"): up})
    with applied(components, [LoraUse(path)]):
        torch.testing.assert_close(layer.weight, base + up @ down)
