"""Putting a LoRA on a Stable Diffusion 1.5 UNet of true size and taking it off: time against one denoise step, and memory.

`python -m tests.benchmarks.bench_lora [rank] [LoRAs]`, by default 16 and 1; on the GPU in float16 where there is one, else
on the CPU in float32 and on one thread. Random weights cost what real ones cost. Prints what it saw and asserts nothing.
"""

import ctypes
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.adapters.lora import LoraUse, applied
from pipelines.components import Components
from tests.pipelines.adapters import files

CUDA = torch.cuda.is_available()
DEVICE, DTYPE = ("cuda", torch.float16) if CUDA else ("cpu", torch.float32)
ROUNDS = 5 if CUDA else 3
SIDE = 64 if CUDA else 16  # latents: a step at full size takes most of a minute on a small CPU


def unet(folder: Path) -> UNet2DConditionModel:
    """Of SD 1.5's configuration; on the CPU its weights are mapped from a file, as the loader leaves them."""
    blocks = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
    with torch.device("meta"):
        model = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8, down_block_types=blocks,
            up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    state = {name: (torch.randn(tensor.shape, generator=generator) * 0.02).to(DTYPE) for name, tensor in model.state_dict().items()}
    save_file(state, folder / "unet.safetensors")
    del state
    model.load_state_dict(load_file(folder / "unet.safetensors"), assign=True)
    return model.to(DEVICE).eval().requires_grad_(False)


def layers(name: str, module: nn.Module) -> bool:
    """What kohya trains by default: everything linear, or of one pixel, in the transformers."""
    return "attentions" in name and isinstance(module, (nn.Linear, nn.Conv2d))


def lora(path: Path, model: nn.Module, rank: int, choose: files.Choose) -> Path:
    tensors = {}
    for name, module in files.chosen(model, choose).items():
        stem = f"lora_unet_{name.replace('.', '_')}"
        down, up = files.low_rank(module, rank, 0.02)
        tensors |= {f"{stem}.lora_down.weight": down.half(), f"{stem}.lora_up.weight": up.half(), f"{stem}.alpha": torch.tensor(rank / 2)}
    return files.save(path, tensors)


def seconds(action: Callable[[], object]) -> float:
    if CUDA:
        torch.cuda.synchronize()
    start = time.perf_counter()
    action()
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def memory() -> int:
    """Bytes held: on the device, or by this process in memory of its own, which mapped files are not, and what was freed is not where
    the C library can be made to give it back."""
    if not CUDA and sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return torch.cuda.memory_allocated() if CUDA else psutil.Process().memory_info().rss - psutil.Process().memory_info().shared


def measure(title: str, components: Components, uses: list[LoraUse], step: float) -> None:
    before, on, off, held = memory(), [], [], 0
    for _ in range(ROUNDS):
        context = applied(components, uses)
        on.append(seconds(context.__enter__))
        held = max(held, memory() - before)
        off.append(seconds(lambda context=context: context.__exit__(None, None, None)))
    into, out = min(on), min(off)
    print(
        f"{title}: on in {into * 1e3:.0f} ms (median {statistics.median(on) * 1e3:.0f}) = {into / step:.3f} of a step, "
        f"off in {out * 1e3:.1f} ms; {held / 1e6:.0f} MB more while on, {(memory() - before) / 1e6:.0f} MB after"
    )


def main() -> None:
    rank, count = (int(sys.argv[index]) if len(sys.argv) > index else default for index, default in ((1, 16), (2, 1)))
    if not CUDA:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        folder = Path(temporary)
        model = unet(folder)
        components = files.components({"unet": model})
        latents = torch.randn(2, 4, SIDE, SIDE, device=DEVICE, dtype=DTYPE)
        text = torch.randn(2, 77, 768, device=DEVICE, dtype=DTYPE)
        forward = [seconds(lambda: model(latents, 500, encoder_hidden_states=text)) for _ in range(20 if CUDA else 2)]
        step = min(forward)
        size = sum(parameter.nbytes for parameter in model.parameters()) / 1e6
        print(f"{DEVICE}, {DTYPE}: one step at {SIDE * 8}², guided (batch 2): {step * 1e3:.0f} ms; the UNet: {size:.0f} MB")
        paths = [lora(folder / f"{index}.safetensors", model, rank, layers) for index in range(count)]
        measure(f"{count} LoRA of rank {rank} on the transformers", components, [LoraUse(path, 0.8) for path in paths], step)
        whole = lora(folder / "whole.safetensors", model, rank, files.everything)
        measure(f"LoCon of rank {rank} on everything", components, [LoraUse(whole, 0.8)], step)


if __name__ == "__main__":
    main()
