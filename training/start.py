"""Beginning with a trained checkpoint's weights instead of random ones, also where the model has grown since."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn

from training.config import Config


def take_over(model: nn.Module, weights: dict[str, torch.Tensor]) -> float:
    """Copy every weight whose name and shape fit; returns the share of the model's numbers that were copied."""
    own = model.state_dict()
    fitting = {name: value.float() for name, value in weights.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return sum(v.numel() for v in fitting.values()) / max(1, sum(v.numel() for v in own.values()))


def start_part(model: nn.Module, start: Path | None, part: str) -> None:
    """Let a fresh model begin with the weights of one part of the starting checkpoint, if there is one."""
    if start is None:
        return
    (file,) = (start / part).glob("*.safetensors")
    print(f"[start] {part}: {100 * take_over(model, load_file(file)):.0f} % of the weights from {start}", flush=True)


@torch.no_grad()
def widen(wide: nn.Module, narrow: nn.Module) -> None:
    """Give a model of the same build with more channels the function of the narrow one, exactly.

    Every channel is repeated side by side, so that normalization groups keep their statistics; what reads
    the repeats shares each weight among them in random parts, so that training can tell them apart.
    """
    for name, target in wide.state_dict().items():
        value = narrow.state_dict()[name].float()
        for dim, (more, before) in enumerate(zip(target.shape, value.shape, strict=True)):
            times = more // before
            if times == 1:
                continue
            value = value.repeat_interleave(times, dim)
            if dim == 1:
                parts = torch.rand(value.shape[0], before, times).add_(0.5)
                parts /= parts.sum(-1, keepdim=True)
                value = value * parts.flatten(1).view(*value.shape[:2], *[1] * (value.dim() - 2))
        target.copy_(value)


def grow_autoencoder(vae: AutoencoderKL, older: AutoencoderKL) -> float:
    """Put the older autoencoder inside one that halves the picture more often, its latents unchanged.

    The encoder's new levels come first, so the old ones move up; the decoder's come last.
    """
    added = len(vae.config.block_out_channels) - len(older.config.block_out_channels)

    def renamed(name: str) -> str:
        return re.sub(r"^encoder\.down_blocks\.(\d+)", lambda found: f"encoder.down_blocks.{int(found[1]) + added}", name)

    return take_over(vae, {renamed(name): value for name, value in older.state_dict().items()})


def inherit_autoencoder(vae: AutoencoderKL, older: AutoencoderKL) -> None:
    """Begin with an older autoencoder: the same, a narrower one, or one with fewer levels."""
    if len(vae.config.block_out_channels) == len(older.config.block_out_channels):
        widen(vae, older)
    else:
        print(f"[start] vae: {100 * grow_autoencoder(vae, older):.0f} % of the weights from one with fewer levels", flush=True)


def known_nouns(config: Config) -> set[str] | None:
    """The nouns the starting checkpoint can draw, or None where there is no such checkpoint."""
    if config.start_from is None:
        return None
    return set(json.loads((config.start_from / "safelight.json").read_text())["nouns"])
