"""A step of ours against a step of diffusers' pipeline for every family, on the same modules, as ratios of one run.

`python -m tests.benchmarks.bench_families [--true-size] [--device cpu|cuda] [--compile] [--rounds N] [--only NAME]`. Without
`--true-size` the toys of the tests, where nothing but overhead is seen; with it Stable Diffusion 1.5 at 512 and XL at 1024
pixels with random weights, on CUDA in float16: steps per second, time to the first preview, peak memory of both sides; with
`--compile` once more with the repeated blocks compiled. A step is the difference of two runs, so that encoding and decoding
fall away; the sides take turns. On a CPU all is done, and counted, on one thread, whatever else the machine does. Prints what it
saw and asserts nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    PixArtSigmaPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)

from pipelines.components import Components
from pipelines.engine import Engine
from pipelines.events import Failed, Finished, Step, Work
from pipelines.families import FAMILIES
from pipelines.names import SCHEDULERS
from tests.benchmarks import true_sizes
from tests.pipelines.engines import Shelf, components, request, run
from tests.pipelines.families import sd3_toys, test_pixart, toys_sdxl
from tests.toys import toy_components

DDIM = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": False}


@dataclass
class Both:
    """One set of modules for both sides; `fields` are those of our request, `embeds` what diffusers is given instead of a prompt,
    `more` what its pipeline is told besides."""

    name: str
    ours: Components
    pipeline: Any
    fields: dict[str, Any]
    embeds: dict[str, torch.Tensor] | None = None
    previews: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pipeline.set_progress_bar_config(disable=True)
        self.engine = Engine(Shelf(toy=self.ours), SCHEDULERS, {}, {}.__getitem__, self.previews)
        self.calls = 0

    def we(self, steps: int) -> None:
        self.calls += 1
        run(self.engine, request(num_inference_steps=steps, seed=self.calls, negative_prompt="", **self.fields))

    def they(self, steps: int) -> None:
        given: dict[str, Any] = self.embeds or {"prompt": "a cat", "negative_prompt": ""}
        sizes = {name: self.fields.get(name, 64) for name in ("width", "height")}
        with torch.inference_mode():
            self.pipeline(**given, **sizes, **self.more, num_inference_steps=steps, guidance_scale=5.0, output_type="latent")

    def first_preview(self) -> str:
        """Milliseconds from the order to the first frame, the prompt not encoded before."""
        engine = Engine(Shelf(toy=self.ours), SCHEDULERS, {}, {}.__getitem__, True)
        engine.submit(Work("first", request(num_inference_steps=20, **{**self.fields, "prompt": "a first picture"})))
        start = time.perf_counter()
        for event in engine.events():
            if isinstance(event, Step) and event.frame is not None:
                engine.close()
                return f"{(time.perf_counter() - start) * 1e3:.0f} ms"
            if isinstance(event, Finished):  # a toy without factors that make its latents visible
                engine.close()
            if isinstance(event, Failed):
                raise RuntimeError(event.message)
        return "none"


def toys(folder: Path) -> Iterator[Both]:
    plain = toy_components(folder / "sd1")
    yield Both("sd1", components(plain), StableDiffusionPipeline(**plain), {"scheduler": "ddim"})
    xl = toys_sdxl.arguments(folder / "sdxl")
    yield Both("sdxl", toys_sdxl.components(xl), StableDiffusionXLPipeline(**xl, add_watermarker=False), {"scheduler": "euler"})
    three = sd3_toys.toy_parts(folder / "sd3")
    yield Both("sd3", sd3_toys.components(three, folder / "sd3"), StableDiffusion3Pipeline(**three), {"scheduler": "euler"})
    sigma, whole = test_pixart.toy_parts(folder / "pixart"), {"use_resolution_binning": False, "clean_caption": False}
    yield Both("pixart_sigma", test_pixart.components(sigma), PixArtSigmaPipeline(**sigma), {"scheduler": "dpmpp_2m"}, more=whole)


def true_size(device: str) -> Iterator[Both]:
    dtype = torch.float16 if device.startswith("cuda") else torch.bfloat16
    for name, modules, size, width in (("sd1", true_sizes.sd15(), 512, 768), ("sdxl", true_sizes.sdxl(), 1024, 2048)):
        made = {part: true_sizes.filled(module, device, dtype) for part, module in modules.items()}
        family = FAMILIES[name]
        encoders = [part for part in made if part.startswith("text_encoder")]
        ours = Components(
            checkpoint="toy", vae_name="automatic", family=family, modules=made,
            tokenizers={part: family.load_tokenizer(part, None) for part in encoders},
            scheduler_config={"_class_name": "DDIMScheduler", **DDIM}, device=torch.device(device), dtype=dtype,
            latent_rgb_factors=family.latent_rgb_factors, latent_rgb_bias=family.latent_rgb_bias,
        )  # fmt: skip
        embeds = {key: torch.randn(1, 77, width, device=device, dtype=dtype) for key in ("prompt_embeds", "negative_prompt_embeds")}
        scheduler = DDIMScheduler(**DDIM, steps_offset=1)
        if name == "sd1":
            pipeline: Any = StableDiffusionPipeline(made["vae"], None, None, made["unet"], scheduler, None, None, None, False)
        else:
            pipeline = StableDiffusionXLPipeline(made["vae"], None, None, None, None, made["unet"], scheduler, add_watermarker=False)
            embeds |= {
                key: torch.randn(1, 1280, device=device, dtype=dtype) for key in ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")
            }
        yield Both(name, ours, pipeline, {"scheduler": "ddim", "width": size, "height": size}, embeds)


def per_step(side: Callable[[int], None], few: int, many: int, synchronize: Callable[[], None]) -> float:
    """Seconds a step; on a CPU those that this thread computed, which a busy machine changes little."""
    clock = time.perf_counter if torch.cuda.is_available() else time.thread_time
    times = []
    for steps in (few, many):
        synchronize()
        start = clock()
        side(steps)
        synchronize()
        times.append(clock() - start)
    return (times[1] - times[0]) / (many - few)


def compare(both: Both, rounds: int, few: int, many: int, device: str, label: str) -> None:
    cuda = device.startswith("cuda")
    synchronize: Callable[[], None] = torch.cuda.synchronize if cuda else lambda: None
    peaks = []
    for side in (both.we, both.they):  # the first call of each pays for what is made once
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        side(few)
        peaks.append(torch.cuda.max_memory_allocated() if cuda else 0)
    seen = [(per_step(both.we, few, many, synchronize), per_step(both.they, few, many, synchronize)) for _ in range(rounds)]
    ours, theirs = (statistics.median(pair[side] for pair in seen) for side in (0, 1))
    ratio = statistics.median(we / they for we, they in seen)
    line = f"{both.name}{label}: step ÷ diffusers' step {ratio:.3f}; {1 / ours:.2f} it/s against {1 / theirs:.2f}"
    line += f"; peak memory {peaks[0] / peaks[1]:.3f} of {peaks[1] / 1e9:.2f} GB" if cuda else ""
    print(f"{line}; first preview {both.first_preview()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--true-size", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, nargs=2, default=(5, 25), metavar=("FEW", "MANY"))
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for both in true_size(given.device) if given.true_size else toys(Path(folder)):
            if given.only in ("", both.name):
                compare(both, given.rounds, *given.steps, given.device, "")
                if given.compile:
                    both.ours.denoiser.compile_repeated_blocks(fullgraph=True)
                    compare(both, given.rounds, *given.steps, given.device, ", compiled")


if __name__ == "__main__":
    main()
