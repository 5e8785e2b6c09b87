"""Loading and swapping Stable Diffusion 1.5 at true size (random weights), as ratios of one run, and memory over a hundred swaps.

`python -m tests.benchmarks.bench_swap [--device cpu|cuda] [--folder FOLDER] [--rounds N] [--swaps N]`. Writes three files of 2.1 GB
into a temporary folder below FOLDER and removes them. 1.0 is reading one file from front to back out of the page cache, or
from the disk. What is compared takes turns, and medians are told, so that a busy machine is busy for all.
Peaks are the high-water marks of processes of their own, less what they took before. Prints what it saw and asserts nothing.
"""

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import diffusers
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


Action = Callable[[], object]


def _nothing() -> None:
    pass


class Bench:
    def __init__(self, folder: Path, device: str, rounds: int) -> None:
        self.folder, self.device, self.rounds = folder, device, rounds
        seeds = {"one": (1, 1), "kin": (2, 1), "other": (3, 3)}  # kin shares VAE and text encoder with one
        self.files = {name: folder / "checkpoints" / f"{name}.safetensors" for name in seeds}
        for name, (unet, rest) in seeds.items():
            if not self.files[name].exists():
                true_sizes.save_sd15(self.files[name], {"unet": unet, "vae": rest, "text_encoder": rest})
        self.config = true_sizes.configurations(folder / "config")
        self.tokenizer = toy_tokenizer(folder / "tokenizer")
        self.catalog = Catalog([folder])
        self.catalog.checkpoints()

    def manager(self, budget: int | None = None) -> PipelineManager:
        return PipelineManager(self.catalog, self.device, DTYPE, budget)

    def synchronize(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)

    def timed(self, actions: Mapping[str, Action], before: Action = _nothing) -> dict[str, float]:
        """The median of the rounds, seconds; in each round all take their turn, and what they give is let go off the clock. Out of
        the page cache (nothing is done `before`) on a CPU they are those that were computed, whatever else the machine did."""
        clock = time.process_time if before is _nothing and self.device == "cpu" else time.perf_counter
        found: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(self.rounds):
            for name, action in actions.items():
                before()
                self.synchronize()
                start = clock()
                kept = action()
                self.synchronize()
                found[name].append(clock() - start)
                del kept
                gc.collect()
        return {name: statistics.median(times) for name, times in found.items()}

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
    actions: dict[str, Action] = {
        "reading the file": bench.read,
        "load_file": bench.plain,
        "ours": bench.ours,
        "diffusers": bench.diffusers,
    }
    size = bench.files["one"].stat().st_size
    for where, more, before in (("page cache", {}, _nothing), ("disk", {"ours, read ahead": bench.ours_ahead}, bench.forget)):
        bench.read()
        seen = bench.timed({**actions, **more}, before)
        read = seen.pop("reading the file")
        told = ", ".join(f"{name} {seconds / read:.2f}" for name, seconds in seen.items())
        print(f"{size / 1e9:.2f} GB from the {where} in {read:.2f} s = 1.0; every weight touched: {told}", flush=True)


def swapping(bench: Bench) -> None:
    for first, second, what in (("one", "other", "nothing shared"), ("one", "kin", "VAE and text encoder shared")):
        small, kept, turn = bench.manager(budget=1), bench.manager(budget=2**40), [0]
        for manager, name in ((small, first), (kept, first), (kept, second)):
            bench.ours(manager, name)

        def swap(manager: PipelineManager = small, names: tuple[str, str] = (first, second), turn: list[int] = turn) -> object:
            turn[0] += 1
            return bench.ours(manager, names[turn[0] % 2])

        def back(manager: PipelineManager = kept, names: tuple[str, str] = (first, second), turn: list[int] = turn) -> object:
            return manager.acquire(f"{names[turn[0] % 2]}.safetensors").__enter__()

        seen = bench.timed({"read": bench.read, "swap": swap, "warm": back})
        print(f"swap, {what}: {seen['swap'] / seen['read']:.2f}; both kept: {seen['warm'] * 1e3:.2f} ms", flush=True)
        del small, kept, swap, back


def memory(bench: Bench, swaps: int) -> None:
    manager, process = bench.manager(budget=1), psutil.Process()
    for turn in range(6):
        bench.ours(manager, ("one", "kin")[turn % 2])
    gc.collect()  # managers of before, which are held in circles
    before = process.memory_info().rss
    for turn in range(swaps):
        bench.ours(manager, ("one", "kin")[turn % 2])
    after = process.memory_info().rss
    print(f"resident memory after {swaps} swaps / before: {after / before:.4f} ({before / 1e6:.0f} MB before)", flush=True)


def peaks(bench: Bench) -> None:
    found = {}
    for side in ("plain", "ours", "diffusers"):
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.bench_swap",
            "--child",
            side,
            "--keep",
            str(bench.folder),
            "--device",
            bench.device,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        found[side] = int(done.stdout.split()[-1])
    told = ", ".join(f"{side} {peak / found['plain']:.2f}" for side, peak in found.items() if side != "plain")
    print(f"peak memory of loading, over load_file's {found['plain'] / 1e6:.0f} MB: {told}", flush=True)


def child(bench: Bench, side: str) -> None:
    """Prints the bytes by which loading once raised the process's peak; on the device those of its allocator."""
    if bench.device.startswith("cuda"):
        kept = getattr(bench, side)()
        print(torch.cuda.max_memory_allocated(bench.device))
    else:
        before = high_water()
        kept = getattr(bench, side)()
        print(high_water() - before)
    del kept


def high_water() -> int:
    """Bytes this process once had resident; what getrusage tells on Linux is handed down from the process before."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--keep", type=Path, help="use and leave the files in this folder instead")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--child", choices=("ours", "diffusers", "plain"), help="load once in this way and print the peak")
    given = parser.parse_args()
    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    if given.device == "cpu":
        torch.set_num_threads(1)  # reading is one thread's work, and the others' barriers measure the neighbours
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary, torch.inference_mode():
        with told("files"):
            bench = Bench(given.keep or Path(temporary), given.device, given.rounds)
        if given.child:
            return child(bench, given.child)
        for part in (loading, swapping, peaks):
            with told(part.__name__):
                part(bench)
        with told("memory"):
            memory(bench, given.swaps)


if __name__ == "__main__":
    main()
