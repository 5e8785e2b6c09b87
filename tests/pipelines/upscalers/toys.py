"""Upscalers at toy size: random weights in every layout that files of the real ones have."""

import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from pipelines.upscalers.networks import RRDBNet, SRVGGNetCompact

Weights = dict[str, torch.Tensor]


def rrdb(doublings: int = 2, shrink: int = 1, channels: int = 3, features: int = 8, blocks: int = 1, seed: int = 0) -> RRDBNet:
    """A few thousand weights, small enough that what it gives stays near 0..1."""
    torch.manual_seed(seed)
    return RRDBNet(channels, features, 4, blocks, doublings, shrink).eval()


def compact(scale: int = 4, channels: int = 3, layers: int = 2, seed: int = 0) -> SRVGGNetCompact:
    torch.manual_seed(seed)
    return SRVGGNetCompact(channels, 8, layers, scale).eval()


def weights(network: torch.nn.Module) -> Weights:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def oldest(network: RRDBNet) -> Weights:
    """As ESRGAN's first files: layers numbered through, with gaps where there is nothing to learn."""
    blocks, doublings = len(network.body), network.doublings
    numbers = {f"conv_up{index + 1}": 3 * (index + 1) for index in range(doublings)}
    numbers |= {"conv_hr": 3 * doublings + 2, "conv_last": 3 * doublings + 4}
    found = {}
    for name, tensor in weights(network).items():
        layer, ending = name.rsplit(".", 1)
        name = re.sub(r"^body\.(\d+)\.rdb(\d)\.(conv\d)\.", r"model.1.sub.\1.RDB\2.\3.0.", name)
        name = name.replace("conv_first", "model.0").replace("conv_body", f"model.1.sub.{blocks}")
        found[f"model.{numbers[layer]}.{ending}" if layer in numbers else name] = tensor
    return found


def renamed(network: RRDBNet) -> Weights:
    """As the files of BSRGAN, and of ESRGAN's later code."""
    pairs = (("conv_body", "trunk_conv"), ("body.", "RRDB_trunk."), (".rdb", ".RDB"), ("conv_up", "upconv"), ("conv_hr", "HRconv"))
    found = {}
    for name, tensor in weights(network).items():
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        found[name] = tensor
    return found


def wrapped(network: torch.nn.Module) -> Weights:
    """As training code saves: plain weights beside the averaged ones, which are the better."""
    found = weights(network)
    plain = {f"params.{name}": tensor + 1 for name, tensor in found.items()}
    return plain | {f"params_ema.{name}": tensor for name, tensor in found.items()}


def saved(path: Path, tensors: Weights) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path
