"""LoRA files of every layout, with random weights for real modules of toy size."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.components import Components
from pipelines.families import FAMILIES

RANK = 3
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
Choose = Callable[[str, nn.Module], bool]


def attention(name: str, module: nn.Module) -> bool:
    return name.endswith(ATTENTION)


def everything(name: str, module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, nn.Conv2d))


def chosen(model: nn.Module, choose: Choose = attention) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if choose(name, module) and isinstance(module, (nn.Linear, nn.Conv2d))}


def low_rank(module: nn.Module, rank: int = RANK, spread: float = 0.3) -> tuple[Tensor, Tensor]:
    """(down, up) for a linear layer or a convolution."""
    out, inside, *kernel = module.weight.shape
    return torch.randn(rank, inside, *kernel) * spread, torch.randn(out, rank, *[1] * len(kernel)) * spread


def kohya(models: Mapping[str, nn.Module], choose: Choose = attention, alpha: float | None = 2.0, dora: bool = False) -> dict[str, Tensor]:
    """`models` by prefix, such as "lora_unet" or "lora_te"; in kohya's names."""
    tensors: dict[str, Tensor] = {}
    for prefix, model in models.items():
        for name, module in chosen(model, choose).items():
            text = "" if prefix == "lora_unet" or name.startswith("text_model") else "text_model_"
            stem = f"{prefix}_{text}{name.replace('.', '_')}"
            tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"] = low_rank(module)
            if alpha is not None:
                tensors[f"{stem}.alpha"] = torch.tensor(alpha)
            if dora:
                length = module.weight.detach().flatten(1).norm(dim=1)
                tensors[f"{stem}.dora_scale"] = (length * (1 + 0.3 * torch.rand_like(length))).reshape(-1, *[1] * (module.weight.dim() - 1))
    return tensors


def diffusers(models: Mapping[str, nn.Module], choose: Choose = attention) -> dict[str, Tensor]:
    """`models` by component; in the names that diffusers writes today."""
    tensors: dict[str, Tensor] = {}
    for component, model in models.items():
        for name, module in chosen(model, choose).items():
            tensors[f"{component}.{name}.lora_A.weight"], tensors[f"{component}.{name}.lora_B.weight"] = low_rank(module)
    return tensors


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, dict(metadata) if metadata else None)
    return path


def weights(modules: Mapping[str, Any]) -> dict[str, Tensor]:
    """A copy of every parameter and buffer."""
    return {f"{name}.{key}": tensor.clone() for name, module in modules.items() for key, tensor in module.state_dict().items()}


def components(parts: Mapping[str, Any], name: str = "toy", family: str = "sd1") -> Components:
    """The modules of a diffusers pipeline as a modifier gets them."""
    return Components(
        checkpoint=name,
        vae_name="automatic",
        family=FAMILIES[family],
        modules={name: module for name, module in parts.items() if isinstance(module, nn.Module)},
        tokenizers={},
        scheduler_config={},
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
