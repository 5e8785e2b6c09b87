"""Swapping two checkpoints of the built-in's size: time of each kind of swap against diffusers' loading, and memory after 20.

`python -m tests.benchmarks.bench_swap [folder]`; the folder is a checkpoint, by default the built-in one, and without it
a random stand-in. Prints what it saw and asserts nothing.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from pipelines.catalog import BUILT_IN, Catalog
from pipelines.manager import PipelineManager
from tests.toys import toy_components

BUILT_IN_FOLDER = Path(__file__).parents[2] / "models" / "checkpoints" / BUILT_IN
SWAPS = 20


def stand_in(folder: Path) -> Path:
    """A random model as large as the built-in one."""
    components = toy_components(folder.parent / "tokenizer")
    blocks = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D")
    components["unet"] = UNet2DConditionModel(
        block_out_channels=(96, 160, 256), layers_per_block=2, norm_num_groups=16, cross_attention_dim=16, attention_head_dim=4,
        down_block_types=blocks, up_block_types=tuple(name.replace("Down", "Up") for name in blocks),
    )  # fmt: skip
    components["vae"] = AutoencoderKL(
        block_out_channels=(24, 48, 96),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=8,
    )
    StableDiffusionPipeline(**components).to(torch.float16).save_pretrained(folder)
    return folder


def with_other_weights(source: Path, folder: Path) -> None:
    """A copy whose every weight differs, so that nothing is shared."""
    shutil.copytree(source, folder)
    for path in folder.rglob("*.safetensors"):
        save_file({name: tensor.flip(0).contiguous() for name, tensor in load_file(path).items()}, path)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def use(manager: PipelineManager, name: str) -> None:
    with manager.acquire(name) as parts:
        parts.family.encode_prompt(parts, "a red apple")
        dict(parts.hashes)


def main() -> None:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT_IN_FOLDER
    with tempfile.TemporaryDirectory() as temporary:
        shelf = Path(temporary) / "checkpoints"
        source = given if given.is_dir() else stand_in(Path(temporary) / "stand-in")
        print(f"checkpoint: {source.name}")
        shutil.copytree(source, shelf / "one")
        with_other_weights(source, shelf / "two")
        catalog = Catalog([Path(temporary)])
        print(f"first listing of both: {seconds(catalog.checkpoints) * 1e3:.1f} ms, again: {seconds(catalog.checkpoints) * 1e3:.1f} ms")

        manager = PipelineManager(catalog)
        first = seconds(lambda: use(manager, "one"))
        use(manager, "two")
        kept = [seconds(lambda name=name: use(manager, name)) for name in ("one", "two") * 5]
        print(f"first load: {first * 1e3:.0f} ms; swap with both kept: {statistics.median(kept) * 1e3:.1f} ms; weights of both: "
              f"{manager.memory_bytes() / 1e6:.0f} MB")  # fmt: skip

        small = PipelineManager(catalog, budget_bytes=1)
        process, read = psutil.Process(), []
        for turn in range(4):
            use(small, ("one", "two")[turn % 2])
        before = process.memory_info().rss
        for turn in range(SWAPS):
            read.append(seconds(lambda name=("one", "two")[turn % 2]: use(small, name)))
        grown = process.memory_info().rss / before
        theirs = [seconds(lambda: StableDiffusionPipeline.from_pretrained(shelf / "one", safety_checker=None)) for _ in range(5)]
        ratio = statistics.median(read) / statistics.median(theirs)
        print(f"swap that reads the files again: {statistics.median(read) * 1e3:.0f} ms = {ratio:.2f} of diffusers' from_pretrained")
        print(f"resident memory after {SWAPS} such swaps / before: {grown:.3f} ({before / 1e6:.0f} MB before)")


if __name__ == "__main__":
    main()
