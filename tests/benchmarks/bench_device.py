"""What this device does, in one go: speed, previews, swaps and memory, ours beside diffusers', eager and compiled.

`python -m tests.benchmarks.bench_device [--out FOLDER] [--device cuda|cpu] [--tiny] [--no-compile] [--rounds N] [--only sd1|sdxl]`.
On CUDA Stable Diffusion 1.5 at 512 and XL at 1024 pixels, random weights in float16; elsewhere, or with `--tiny`, the toys of the
tests, which show that it runs and little more. Nothing is downloaded. Prints what it saw, writes it to FOLDER/device.json too, and
asserts nothing. The sides take turns; of steps and calls the fastest are told, of the rest medians.
"""

import argparse
import copy
import gc
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from pipelines.catalog import Catalog
from pipelines.engine import Engine
from pipelines.manager import PipelineManager
from pipelines.names import SCHEDULERS
from pipelines.tuning import Tuning
from tests.benchmarks import true_sizes
from tests.benchmarks.bench_families import Both, per_step, toys, true_size
from tests.pipelines.engines import Shelf, run
from tests.toys import save_toy

MB = 2**20


class Device:
    def __init__(self, name: str) -> None:
        self.name, self.cuda = name, name.startswith("cuda")

    def synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.name)

    def seconds(self, action: Callable[[], object]) -> float:
        self.synchronize()
        start = time.perf_counter()
        action()
        self.synchronize()
        return time.perf_counter() - start

    def peak(self, action: Callable[[], object]) -> int | None:
        """Bytes at most on the device meanwhile, what was there before included; None where the device does not tell."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.name)
        action()
        return torch.cuda.max_memory_allocated(self.name) if self.cuda else None


def speed(both: Both, device: Device, rounds: int, few: int, many: int) -> dict[str, Any]:
    """Steps per second of both sides, their ratio, and what each has on the device at most."""
    peaks = {name: device.peak(lambda side=side: side(few)) for name, side in (("ours", both.we), ("diffusers", both.they))}
    ours, theirs = per_step((both.we, both.they), few, many, rounds, device.synchronize)
    return {
        "steps per second": round(1 / ours, 3),
        "diffusers' steps per second": round(1 / theirs, 3),
        "step over diffusers' step": round(ours / theirs, 4),
        "peak MB": {name: None if peak is None else round(peak / MB) for name, peak in peaks.items()},
    }


def layouts(both: Both, device: Device, rounds: int) -> dict[str, Any]:
    """Seconds of one guided call of the denoiser and of one decoding, as they are over otherwise: numbers laid out channels last,
    projections fused, the VAE in bfloat16. Copies are timed, so that the next measurement finds the modules as they were."""
    unet, vae = both.ours.denoiser, both.ours.vae
    weight, shape = next(unet.parameters()), (2, unet.config.in_channels, *(both.fields[side] // 8 for side in ("height", "width")))
    latents = torch.randn(shape, device=weight.device, dtype=weight.dtype)
    seen: dict[Any, Any] = {}
    caught = unet.register_forward_pre_hook(lambda module, args, told: seen.update(told=told, args=args[1:]), with_kwargs=True)
    both.we(1)
    caught.remove()

    def called(module: Any) -> Callable[[], object]:
        return lambda: module(latents, *seen["args"], **seen["told"])

    def decoded(module: Any) -> Callable[[], object]:
        first = latents[:1, : vae.config.latent_channels].to(next(module.parameters()).dtype)
        return lambda: module.decode(first)

    def changed(module: Any, how: Callable[[Any], object]) -> Any:
        made = copy.deepcopy(module)
        how(made)
        return made

    def last(module: Any) -> object:
        return module.to(memory_format=torch.channels_last)

    ways = {
        "denoiser": called(unet),
        "denoiser, channels last": called(changed(unet, last)),
        "denoiser, fused projections": called(changed(unet, lambda module: module.fuse_qkv_projections())),
        "VAE": decoded(vae),
        "VAE, channels last": decoded(changed(vae, last)),
        "VAE in float32": decoded(changed(vae, lambda module: module.float())),
        "VAE in bfloat16": decoded(changed(vae, lambda module: module.bfloat16())),
    }
    with torch.inference_mode():
        times = {name: [device.seconds(way) for _ in range(rounds + 1)][1:] for name, way in ways.items()}
    return {name: round(min(each), 5) for name, each in times.items()}


def previews(both: Both, device: Device, rounds: int, steps: int) -> dict[str, Any]:
    """Seconds to the first frame, and what a picture of so many steps takes with previews over one without."""
    engines = {shown: Engine(Shelf(toy=both.ours), SCHEDULERS, {}, {}.__getitem__, shown) for shown in (True, False)}
    made = both.asked(steps)

    def picture(shown: bool) -> None:
        run(engines[shown], made)

    seen = [[device.seconds(lambda shown=shown: picture(shown)) for shown in (True, False)] for _ in range(rounds + 1)][1:]
    return {
        "seconds to the first preview": round(statistics.median(both.first_preview() or math.nan for _ in range(rounds)), 4),
        "picture with previews over without": round(statistics.median(with_ / without for with_, without in seen), 4),
    }


def swaps(folder: Path, device: Device, rounds: int, tiny: bool) -> dict[str, Any]:
    """Seconds from asking for a checkpoint to having it on the device: another one, one that shares VAE and text encoder, one that
    was kept; and from reading its file once."""
    names = ("one", "kin", "other")
    for name, (unet, rest) in zip(names, ((1, 1), (2, 1), (3, 3)), strict=True):
        if tiny:
            save_toy(folder / "checkpoints" / name, unet)
        else:
            seeds = {"unet": unet, "vae": rest, "text_encoder": rest}
            true_sizes.save_sd15(folder / "checkpoints" / f"{name}.safetensors", seeds)
    catalog = Catalog([folder])
    listed = {Path(info.name).stem: info.name for info in catalog.checkpoints()}
    file = next((folder / "checkpoints").rglob("one*.safetensors"), None) or next((folder / "checkpoints" / "one").rglob("*.safetensors"))

    def to(manager: PipelineManager, name: str) -> float:
        def take() -> None:
            with manager.acquire(listed[name]):
                device.synchronize()

        return device.seconds(take)

    found: dict[str, list[float]] = {"reading the file": [], "another": [], "kin": [], "kept": []}
    for _ in range(rounds):
        found["reading the file"].append(device.seconds(file.read_bytes))
        for what, after in (("another", "other"), ("kin", "kin")):
            manager = PipelineManager(catalog, device.name, budget_bytes=1)
            to(manager, "one")
            found[what].append(to(manager, after))
            del manager
            gc.collect()
        manager = PipelineManager(catalog, device.name, budget_bytes=2**50)
        to(manager, "one"), to(manager, "other")
        found["kept"].append(to(manager, "one"))
        del manager
    return {what: round(statistics.median(times), 4) for what, times in found.items()}


def families(given: argparse.Namespace, folder: Path) -> Iterator[Both]:
    for both in toys(folder) if given.tiny else true_size(given.device, given.only):
        if both.name in ((given.only,) if given.only else ("sd1", "sdxl")):
            yield both


def compilations(both: Both) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each on top of the one before: what `--compile` does, then what it leaves out."""
    unet = both.ours.denoiser
    yield "compiled as by --compile", lambda: Tuning(compiled=True).finish(unet)
    yield "and channels last", lambda: unet.to(memory_format=torch.channels_last)
    yield "the whole denoiser compiled, with CUDA graphs", lambda: unet.compile(mode="reduce-overhead")


def measure(given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    device, (few, many) = Device(given.device), given.steps
    for both in families(given, folder):
        yield f"{both.name}, eager", speed(both, device, given.rounds, few, many)
        yield f"{both.name}, previews", previews(both, device, given.rounds, many)
        yield f"{both.name}, seconds", layouts(both, device, given.rounds)
        for what, compile in compilations(both) if given.compile else ():
            took = device.seconds(lambda both=both, compile=compile: (compile(), both.we(few)))
            yield f"{both.name}, {what}", {"seconds to compile": round(took, 1), **speed(both, device, given.rounds, few, many)}
        del both
        gc.collect()
    yield "swaps, seconds", swaps(folder / "swaps", device, given.rounds, given.tiny)


def main() -> None:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--tiny", action="store_true", default=not cuda)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs=2, default=(5, 25), metavar=("FEW", "MANY"))
    parser.add_argument("--only", choices=("", "sd1", "sdxl"), default="")
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)  # a step is counted on one thread
    name = torch.cuda.get_device_name(given.device) if given.device.startswith("cuda") else given.device
    told: dict[str, Any] = {"device": name, "torch": torch.__version__, "sizes": "tiny" if given.tiny else "true"}
    print(json.dumps(told), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for what, seen in measure(given, Path(folder)):
            told[what] = seen
            print(f"{what}: {json.dumps(seen)}", flush=True)
            if given.out:  # after every part, for a machine that is taken away
                given.out.mkdir(parents=True, exist_ok=True)
                (given.out / "device.json").write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
