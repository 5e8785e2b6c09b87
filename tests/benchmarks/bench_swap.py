"""Loading and swapping Stable Diffusion 1.5 at true size (random weights), as ratios of one run, and memory over a hundred swaps.

`python -m tests.benchmarks.bench_swap [--device cpu|cuda] [--folder FOLDER] [--rounds N] [--swaps N]`. Writes three files of 2.1 GB
into a temporary folder below FOLDER and removes them. 1.0 is reading one file from front to back out of the page cache, or
from the disk where it says cold. Prints what it saw and asserts nothing.
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from pipelines.catalog import Catalog
from pipelines.manager import PipelineManager
from tests.benchmarks import true_sizes
from tests.toys import toy_tokenizer

DTYPE = torch.float16
CHUNK = 2**23


class Bench:
    def __init__(self, folder: Path, device: str, rounds: int) -> None:
        self.folder, self.device, self.rounds = folder, device, rounds
        seeds = {"one": (1, 1), "kin": (2, 1), "other": (3, 3)}  # kin shares VAE and text encoder with one
        self.files = {
            name: true_sizes.save_sd15(folder / "checkpoints" / f"{name}.safetensors", {"unet": unet, "vae": rest, "text_encoder": rest})
            for name, (unet, rest) in seeds.items()
        }
        self.config = true_sizes.configurations(folder / "config")
        self.tokenizer = toy_tokenizer(folder / "tokenizer")
        self.catalog = Catalog([folder])
        self.catalog.checkpoints()

    def manager(self, budget: int | None = None) -> PipelineManager:
        return PipelineManager(self.catalog, self.device, DTYPE, budget)

    def synchronize(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)

    def timed(self, action: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
        """The median of the rounds, seconds; what `action` gives is let go after the clock is stopped."""
        found = []
        for _ in range(self.rounds):
            before()
            self.synchronize()
            start = time.perf_counter()
            kept = action()
            self.synchronize()
            found.append(time.perf_counter() - start)
            del kept
            gc.collect()
        return statistics.median(found)

    def forget(self, name: str = "one") -> None:
        """The file's pages leave memory; what is mapped must have been let go."""
        gc.collect()
        with self.files[name].open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    # -- what is timed -------------------------------------------------------------------------------------------------

    def read(self, name: str = "one") -> None:
        buffer = bytearray(CHUNK)
        with self.files[name].open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    def ours(self, manager: PipelineManager | None = None, name: str = "one") -> object:
        manager = manager or self.manager()
        with manager.acquire(f"{name}.safetensors") as parts:
            return touched(list(parts.modules.values())), manager

    def ours_ahead(self) -> object:
        manager = self.manager()
        manager.ahead(("one.safetensors", "automatic"))
        manager._ahead.idle(600)
        return self.ours(manager)

    def diffusers(self) -> object:
        pipe = StableDiffusionPipeline.from_single_file(
            str(self.files["one"]),
            config=str(self.config),
            local_files_only=True,
            torch_dtype=DTYPE,
            tokenizer=self.tokenizer,
            safety_checker=None,
        )
        return touched([module.to(self.device) for module in (pipe.unet, pipe.vae, pipe.text_encoder)])

    def plain(self) -> object:
        tensors = {name: tensor.to(self.device) for name, tensor in load_file(self.files["one"]).items()}
        for tensor in tensors.values():
            tensor.sum(dtype=torch.float32)
        return tensors


def touched(modules: list[torch.nn.Module]) -> list[torch.nn.Module]:
    """Every page read, as the first step would."""
    for module in modules:
        for tensor in module.parameters():
            tensor.sum(dtype=torch.float32)
    return modules


@contextmanager
def told(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"({what}: {time.perf_counter() - start:.0f} s)", flush=True)


def loading(bench: Bench) -> None:
    bench.read()
    read = bench.timed(bench.read)
    size = bench.files["one"].stat().st_size
    print(f"file: {size / 1e9:.2f} GB, read from the page cache in {read:.2f} s = 1.0", flush=True)
    for what, action in (
        ("load_file, every page touched", bench.plain),
        ("ours, every page touched", bench.ours),
        ("diffusers, touched", bench.diffusers),
    ):
        print(f"{what}: {bench.timed(action) / read:.2f}", flush=True)
    cold = bench.timed(bench.read, bench.forget)
    print(f"cold, reading once: {cold:.2f} s = 1.0", flush=True)
    for what, action in (("ours", bench.ours), ("ours, read ahead by a thread", bench.ours_ahead), ("diffusers", bench.diffusers)):
        print(f"cold, {what}: {bench.timed(action, bench.forget) / cold:.2f}", flush=True)


def swapping(bench: Bench) -> None:
    read = bench.timed(bench.read)
    for first, second, what in (("one", "other", "nothing shared"), ("one", "kin", "VAE and text encoder shared")):
        small, turn = bench.manager(budget=1), [0]

        def swap(manager: PipelineManager, names: tuple[str, str] = (first, second), turn: list[int] = turn) -> object:
            turn[0] += 1
            return bench.ours(manager, names[turn[0] % 2])

        bench.ours(small, first)
        again = bench.timed(lambda swap=swap, small=small: swap(small))
        kept = bench.manager(budget=2**40)
        bench.ours(kept, first), bench.ours(kept, second)
        # without touching: both are there, and nothing is read
        warm = bench.timed(lambda kept=kept, name=first: kept.acquire(f"{name}.safetensors").__enter__())
        print(f"swap, {what}: {again / read:.2f} of reading the file; both kept: {warm * 1e3:.2f} ms", flush=True)
        del small, kept


def memory(bench: Bench, swaps: int) -> None:
    manager, process = bench.manager(budget=1), psutil.Process()
    for turn in range(6):
        bench.ours(manager, ("one", "kin")[turn % 2])
    before = process.memory_info().rss
    for turn in range(swaps):
        bench.ours(manager, ("one", "kin")[turn % 2])
    print(
        f"resident memory after {swaps} swaps / before: {process.memory_info().rss / before:.4f} ({before / 1e6:.0f} MB before)", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--swaps", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, torch.inference_mode():
        with told("writing the files"):
            bench = Bench(Path(folder), given.device, given.rounds)
        loading(bench)
        swapping(bench)
        memory(bench, given.swaps)


if __name__ == "__main__":
    main()
