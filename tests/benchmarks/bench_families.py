"""A step of ours against a step of diffusers' pipeline for every family, on the same modules, as ratios of one run.

`python -m tests.benchmarks.bench_families [--true-size] [--device cpu|cuda] [--compile] [--rounds N] [--only NAME]`. Without
`--true-size` the toys of the tests, where nothing but overhead is seen; with it Stable Diffusion 1.5 at 512 and XL at 1024
pixels with random weights, on CUDA in float16: steps per second, time to the first preview, peak memory of both sides; with
`--compile` once more with the repeated blocks compiled. A step is the difference of two runs, so that encoding and decoding
fall away; the sides take turns. On a CPU all is done, and counted, on one thread, whatever else the machine does: toys take a
hundred steps for it, for a few of them are lost in the noise. Prints what it saw and asserts nothing.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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
    StableVideoDiffusionPipeline,
)
from PIL import Image

from extensions.builtin.cascade import Cascade
from pipelines import devices
from pipelines.components import Components
from pipelines.engine import Engine
from pipelines.events import Failed, Finished, Step, Work
from pipelines.families import FAMILIES
from pipelines.names import SCHEDULERS
from pipelines.request import TASKS, Request
from pipelines.tuning import Tuning
from tests.benchmarks import true_sizes
from tests.pipelines.engines import Blobs, Shelf, components, run
from tests.pipelines.families import cascade_toys, sd3_toys, svd_toys, test_pixart, test_svd_oracle, toys_sdxl
from tests.toys import toy_components

DDIM = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": False}

ASKED = {"prompt": "a cat", "negative_prompt": "", "guidance_scale": 5.0, "width": 64, "height": 64}


@dataclass
class Both:
    """One set of modules for both sides. `theirs` runs diffusers' pipeline for so many steps; `fields` are those of our request, and
    `varying` those that follow the number of steps."""

    name: str
    ours: Components
    theirs: Callable[[int], object]
    fields: dict[str, Any]
    task: str = "txt2img"
    varying: Callable[[int], dict[str, Any]] = lambda steps: {"num_inference_steps": steps}
    blobs: Blobs = field(default_factory=Blobs)

    def __post_init__(self) -> None:
        self.engine = self._engine(False)
        self.calls = 0

    def _engine(self, previews: bool) -> Engine:
        return Engine(Shelf(toy=self.ours), SCHEDULERS, {"cascade": Cascade()}, self.blobs.__getitem__, previews)

    def asked(self, steps: int, **more: Any) -> Request:
        return TASKS[self.task](checkpoint="toy", **{**self.varying(steps), **self.fields, **more})

    def we(self, steps: int) -> None:
        self.calls += 1
        run(self.engine, self.asked(steps, seed=self.calls))

    def they(self, steps: int) -> None:
        with torch.inference_mode():
            self.theirs(steps)

    def first_preview(self) -> float | None:
        """Seconds from the order to the first frame, the prompt not encoded before; None of latents that nothing makes visible."""
        engine = self._engine(True)
        new = {"prompt": "a first picture"} if "prompt" in self.fields else {}
        engine.submit(Work("first", self.asked(20, **new)))
        start = time.perf_counter()
        for event in engine.events():
            if isinstance(event, Step) and event.frame is not None:
                engine.close()
                return time.perf_counter() - start
            if isinstance(event, Finished):
                engine.close()
            if isinstance(event, Failed):
                raise RuntimeError(event.message)
        return None


def pipeline_of(made: Any, fields: dict[str, Any], **more: Any) -> Callable[[int], object]:
    """A diffusers pipeline as the other side, told what our `fields` say, but for the scheduler, and `more` besides."""
    made.set_progress_bar_config(disable=True)
    given = {**{name: value for name, value in fields.items() if name != "scheduler"}, **more}
    return lambda steps: made(num_inference_steps=steps, **given, output_type="latent")


def toys(folder: Path) -> Iterator[Both]:
    plain, fields = toy_components(folder / "sd1"), {**ASKED, "scheduler": "ddim"}
    yield Both("sd1", components(plain), pipeline_of(StableDiffusionPipeline(**plain), fields), fields)
    xl, fields = toys_sdxl.arguments(folder / "sdxl"), {**ASKED, "scheduler": "euler"}
    pipeline = StableDiffusionXLPipeline(**xl, add_watermarker=False)
    yield Both("sdxl", toys_sdxl.components(xl), pipeline_of(pipeline, fields), fields)
    three = sd3_toys.toy_parts(folder / "sd3")
    ours = sd3_toys.components(three, folder / "sd3")
    yield Both("sd3", ours, pipeline_of(StableDiffusion3Pipeline(**three), fields), fields)
    sigma, fields = test_pixart.toy_parts(folder / "pixart"), {**ASKED, "scheduler": "dpmpp_2m"}
    theirs = pipeline_of(PixArtSigmaPipeline(**sigma), fields, use_resolution_binning=False, clean_caption=False)
    yield Both("pixart_sigma", test_pixart.components(sigma), theirs, fields)
    yield cascade(folder / "cascade")
    yield video()


def cascade(folder: Path) -> Both:
    """A step is one of the prior, guided, and one of the decoder, which is not."""
    parts, fields = cascade_toys.toy_parts(folder), {**ASKED, "scheduler": "wuerstchen", "width": 128, "height": 128}
    prior, decoder = cascade_toys.pipelines(parts)

    def theirs(steps: int) -> object:
        told = {"prompt": "a cat", "negative_prompt": "", "num_inference_steps": steps}
        laid_out = prior(**told, width=128, height=128, guidance_scale=5.0).image_embeddings
        return decoder(laid_out, **told, guidance_scale=0.0, output_type="latent")

    def varying(steps: int) -> dict[str, Any]:
        return {"num_inference_steps": steps, "modifiers": {"cascade": {"num_inference_steps": steps}}}

    return Both("cascade", cascade_toys.components(parts, folder), theirs, fields, varying=varying)


def video() -> Both:
    parts, blobs, picture = svd_toys.toy_svd(), Blobs(), Image.new("RGB", (96, 64), "teal")
    pipeline = StableVideoDiffusionPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)
    sizes = {"width": 96, "height": 64, "num_frames": svd_toys.FRAMES}
    fields = {**sizes, "scheduler": "euler", "image": blobs.add(picture)}

    def theirs(steps: int) -> object:
        return pipeline(picture, **sizes, num_inference_steps=steps, output_type="latent")

    return Both("svd", test_svd_oracle.components(parts), theirs, fields, "img2vid", blobs=blobs)


def true_size(device: str, only: str = "") -> Iterator[Both]:
    """In what the program computes in there by itself."""
    dtype = devices.dtype_of(torch.device(device))
    every = (("sd1", true_sizes.sd15(), 512, 768), ("sdxl", true_sizes.sdxl(), 1024, 2048))
    for name, modules, size, width in (each for each in every if only in ("", each[0])):
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
        fields = {**ASKED, "scheduler": "ddim", "width": size, "height": size}
        yield Both(name, ours, pipeline_of(pipeline, fields, **embeds, prompt=None, negative_prompt=None), fields)


def per_step(sides: Sequence[Callable[[int], None]], few: int, many: int, rounds: int, synchronize: Callable[[], None]) -> list[float]:
    """Seconds a step of each side, which take turns: between the fastest short run and the fastest long one. On a CPU seconds are those
    that this thread computed, and the fastest were those in which the neighbours left most of the caches."""
    clock = time.perf_counter if torch.cuda.is_available() else time.thread_time
    fastest: dict[tuple[int, int], float] = {}
    for _ in range(rounds):
        for steps in (few, many):
            for place, side in enumerate(sides):
                synchronize()
                start = clock()
                side(steps)
                synchronize()
                fastest[place, steps] = min(clock() - start, fastest.get((place, steps), math.inf))
    return [(fastest[place, many] - fastest[place, few]) / (many - few) for place in range(len(sides))]


def compare(both: Both, rounds: int, few: int, many: int, device: str, label: str) -> None:
    cuda = device.startswith("cuda")
    synchronize: Callable[[], None] = torch.cuda.synchronize if cuda else lambda: None
    peaks = []
    for side in (both.we, both.they):  # the first call of each pays for what is made once
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        side(few)
        peaks.append(torch.cuda.max_memory_allocated() if cuda else 0)
    ours, theirs = per_step((both.we, both.they), few, many, rounds, synchronize)
    line = f"{both.name}{label}: step ÷ diffusers' step {ours / theirs:.3f}; {1 / ours:.2f} it/s against {1 / theirs:.2f}"
    line += f"; peak memory {peaks[0] / peaks[1]:.3f} of {peaks[1] / 1e9:.2f} GB" if cuda else ""
    first = both.first_preview()
    print(line + ("" if first is None else f"; first preview {first * 1e3:.0f} ms"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--true-size", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, nargs=2, metavar=("FEW", "MANY"))
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    given.steps = given.steps or ((5, 25) if given.true_size else (10, 110))
    with tempfile.TemporaryDirectory() as folder:
        for both in true_size(given.device, given.only) if given.true_size else toys(Path(folder)):
            if given.only in ("", both.name):
                compare(both, given.rounds, *given.steps, given.device, "")
                if given.compile:
                    Tuning(compiled=True).finish(both.ours.denoiser)
                    compare(both, given.rounds, *given.steps, given.device, ", compiled")


if __name__ == "__main__":
    main()
