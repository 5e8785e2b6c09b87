"""ControlNets at toy size, with weights everywhere where a fresh one has zeros; as modules and as folders."""

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel


def toy_net(seed: int = 0, **config: Any) -> ControlNetModel:
    """Fits the toy Stable Diffusion of `tests.toys`."""
    torch.manual_seed(seed)
    plain = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 16, "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "conditioning_embedding_out_channels": (4, 4, 8, 8),
    }  # fmt: skip
    return _awake(ControlNetModel(**plain | config))


def toy_xl_net(seed: int = 0) -> ControlNetModel:
    """Fits the toy Stable Diffusion XL."""
    torch.manual_seed(seed)
    return _awake(
        ControlNetModel(
            block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, cross_attention_dim=40,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), transformer_layers_per_block=(1, 2), attention_head_dim=(1, 1),
            use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 20, conditioning_embedding_out_channels=(4, 4, 8, 8),
        )
    )  # fmt: skip


def _awake(net: ControlNetModel) -> ControlNetModel:
    """Its zero convolutions drawn at random: as if trained."""
    for block in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
        torch.nn.init.normal_(block.weight, std=0.3)
        torch.nn.init.normal_(block.bias, std=0.1)
    return net.eval()


def shelf(root: Path, **nets: ControlNetModel) -> Path:
    """A models folder with these ControlNets in diffusers' layout; returns `root`."""
    for name, net in nets.items():
        net.save_pretrained(root / "controlnet" / name)
    return root
