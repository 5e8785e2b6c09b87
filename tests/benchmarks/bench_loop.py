"""The loop against diffusers' pipeline, previews, and jobs at once, as ratios of one run: `python -m tests.benchmarks.bench_loop`.

Same work on both sides: prompts that were not encoded before, denoising, decoding, a PNG. The variants take turns within
every round, so that what else the machine does meets all of them; printed are the ratio of the fastest rounds and the
median of the rounds' ratios, of the wall clock and of this process's own CPU time. On a busy machine believe the latter.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTokenizer

from pipelines.catalog import BUILT_IN, Catalog
from pipelines.components import Components
from pipelines.engine import Engine
from pipelines.events import Step, Work
from pipelines.manager import PipelineManager
from pipelines.names import SCHEDULERS
from pipelines.request import Txt2Img
from tests.pipelines.engines import Shelf, components, run
from tests.toys import toy_components, toy_tokenizer

MODELS = Path(__file__).parents[2] / "models"


def stand_in(folder: Path) -> Components:
    """Random weights of the built-in checkpoint's size: 16 × 16 latents for 64 pixels."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(96, 160, 256),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
    )
    blocks = (24, 48, 96)
    vae = AutoencoderKL(
        block_out_channels=blocks,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=8,
        latent_channels=4,
        mid_block_add_attention=False,
    )
    tiny = AutoencoderTiny(
        encoder_block_out_channels=(16,) * 3, decoder_block_out_channels=(16,) * 3, num_encoder_blocks=(1,) * 3, num_decoder_blocks=(1,) * 3
    )
    made = components(toy_components(folder) | {"unet": unet.eval(), "vae": vae.eval()}, "stand-in")
    return made.with_modules(tiny_decoder=tiny.eval())


@dataclass
class Bench:
    """One set of components, run by both sides; every call gets words of its own, so that no cache helps."""

    shelf: Any
    checkpoint: str
    parts: Components
    tokenizer: Any  # transformers', for diffusers
    size: int
    steps: int
    calls: int = 0
    frames: int = 0

    def request(self, scheduler: str = "ddim", seed: int = 1) -> Txt2Img:
        self.calls += 1
        words = "".join(chr(ord("a") + int(digit)) for digit in str(self.calls))
        return Txt2Img(
            checkpoint=self.checkpoint,
            prompt=f"a {words}",
            negative_prompt=f"no {words}",
            scheduler=scheduler,
            num_inference_steps=self.steps,
            width=self.size,
            height=self.size,
            guidance_scale=5,
            seed=seed,
        )

    def ours(self, previews: bool) -> Callable[[], None]:
        engine = Engine(self.shelf, SCHEDULERS, {}, {}.__getitem__, previews)

        def develop() -> None:
            events = run(engine, self.request())
            if previews:
                self.frames = sum(isinstance(event, Step) and event.frame is not None for event in events)

        return develop

    def theirs(self) -> Callable[[], None]:
        scheduler = DDIMScheduler.from_config(dict(self.parts.scheduler_config), clip_sample=False)
        pipeline = StableDiffusionPipeline(
            self.parts.vae, self.parts.text_encoder, self.tokenizer, self.parts.denoiser, scheduler, None, None, None, False
        )
        pipeline.set_progress_bar_config(disable=True)

        def develop() -> None:
            asked = self.request()
            image = pipeline(
                asked.prompt,
                negative_prompt=asked.negative_prompt,
                num_inference_steps=self.steps,
                guidance_scale=5,
                width=self.size,
                height=self.size,
                generator=torch.Generator().manual_seed(1),
            ).images[0]
            image.save(io.BytesIO(), "PNG")

        return develop

    def jobs(self, count: int, at_once: bool) -> Callable[[], None]:
        engine = Engine(self.shelf, SCHEDULERS, {}, {}.__getitem__, True)

        def develop() -> None:
            works = [Work(str(index), self.request(seed=index)) for index in range(count)]
            for group in [works] if at_once else [[work] for work in works]:
                run(engine, *group)

        return develop


def compare(variants: Mapping[str, Callable[[], None]], base: str, rounds: int) -> None:
    """Prints each variant's time as a share of `base`'s."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for name in variants:  # the first call of each pays for what is made once
        variants[name]()
    for index in range(rounds):
        order = list(variants)
        for name in order[index % len(order) :] + order[: index % len(order)]:
            wall, own = time.perf_counter(), time.process_time()
            variants[name]()
            seen[name].append((time.perf_counter() - wall, time.process_time() - own))
    for name in variants:
        line = []
        for kind, label in enumerate(("wall", "CPU")):
            times, against = [pair[kind] for pair in seen[name]], [pair[kind] for pair in seen[base]]
            median = statistics.median(one / other for one, other in zip(times, against, strict=True))
            line.append(f"{label} fastest {min(times) / min(against):.3f} median {median:.3f} ({min(times) * 1000:.0f} ms)")
        print(f"  {name:<34} ÷ {base}: " + " · ".join(line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=None, help="torch's threads; left alone by default")
    parser.add_argument("--stand-in", action="store_true", help="random weights even if the built-in checkpoint is there")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog([MODELS])
        if not options.stand_in and any(info.name == BUILT_IN and not info.broken for info in catalog.checkpoints()):
            shelf, name, size = PipelineManager(catalog), BUILT_IN, catalog.checkpoint(BUILT_IN).native_size[0]
            tokenizer = CLIPTokenizer.from_pretrained(str(catalog.checkpoint(BUILT_IN).path / "tokenizer"))
        else:
            parts = stand_in(Path(folder))
            shelf, name, size = Shelf(**{"stand-in": parts}), parts.checkpoint, 64
            tokenizer = toy_tokenizer(Path(folder))
        with shelf.acquire(name) as parts:
            bench = Bench(shelf, name, parts, tokenizer, size, options.steps)
            print(f"{name}, {size} px, {options.steps} steps, {torch.get_num_threads()} threads, {options.rounds} rounds")
            compare(
                {"diffusers": bench.theirs(), "ours": bench.ours(False), "ours with previews": bench.ours(True)},
                "diffusers",
                options.rounds,
            )
            compare({"without previews": bench.ours(False), "with previews": bench.ours(True)}, "without previews", options.rounds)
            print(f"  frames in the last job with previews: {bench.frames} of {options.steps} steps")
            few = max(3, options.rounds // 4)
            compare({"one after another": bench.jobs(8, False), "8 jobs at once": bench.jobs(8, True)}, "one after another", few)


if __name__ == "__main__":
    main()
