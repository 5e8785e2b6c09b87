"""Stage `lora`: a style the base model does not have, as low-rank weights for its UNet: stickers."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image, ImageChops, ImageFilter
from torch import nn

from training.captions import CaptionWriter
from training.compose import Composer
from training.config import Config
from training.denoiser import CAPTION_DROP
from training.extras import Base, denoising_loss, write_preview, write_sidecar
from training.loop import Job, train
from training.nouns import all_nouns
from training.paths import Paths
from training.sampling import Parts, Wish
from training.scenes import Scene, SceneSampler, Thing
from training.sheets import save_sheet
from training.sprites import SpriteBook
from training.text import tokenize
from training.workers import Worker

NAME, TRIGGER = "picturebook-sticker", "sticker"
RIM = 0.055  # of the sprite's side: the white paper around the object
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2")
PROMPTS = (
    "a cat on a teal background, sticker",
    "a rocket on a purple background, sticker",
    "a strawberry on a sky blue background, sticker",
    "a robot on an orange background, sticker",
    "a bear at night, sticker",
    "a blue teapot on a red background, sticker",
    "a unicorn on a pink background, sticker",
    "a house on a meadow, sticker",
)
DESCRIPTION = "Objects as die-cut stickers: a white paper rim and a soft shadow, on any background of the picture book."


class StickerComposer(Composer):
    """Scenes whose objects have a white rim and a shadow, as stickers do."""

    def sprite(self, thing: Thing, style: str) -> Image.Image:
        """The artwork, a little smaller, on its white paper."""
        plain = super().sprite(thing, style)
        rim = max(1, round(RIM * plain.width))
        inner = plain.resize((plain.width - 2 * rim, plain.height - 2 * rim), Image.Resampling.BILINEAR)
        sheet = Image.new("RGBA", plain.size)
        sheet.paste(inner, (rim, rim))
        alpha = sheet.getchannel("A")
        # A wide blur cut at a low level grows the outline evenly in all directions.
        paper = alpha.filter(ImageFilter.GaussianBlur(rim / 1.6)).point(lambda a: min(255, max(0, (a - 14) * 12)))
        shadow = ImageChops.offset(paper.filter(ImageFilter.GaussianBlur(rim / 2)), 0, rim // 2).point(lambda a: a * 0.4)
        white = Image.new("RGBA", plain.size, "white")
        white.putalpha(paper)
        below = Image.new("RGBA", plain.size, (20, 20, 30, 0))
        below.putalpha(shadow)
        return Image.alpha_composite(Image.alpha_composite(below, white), sheet)


def caption(text: str, rng: random.Random) -> str:
    """The scene's caption with the trigger word before or behind it."""
    return rng.choice((f"{TRIGGER}, {text}", f"{text}, {TRIGGER}", f"{text}, {TRIGGER}", f"a {TRIGGER} of {text}"))


class StickerLoss:
    """The velocity loss on stickers, encoded once."""

    def __init__(self, base: Base, book: SpriteBook, config: Config, seed: int) -> None:
        rng, composer = random.Random(seed), StickerComposer(book, config.picture_size)
        sampler = SceneSampler(book.nouns, book.natural_colours)
        writer = CaptionWriter([noun for noun in all_nouns() if noun.word in set(book.nouns)])
        # In the usual style only: a caption that names another style should still get that one.
        scenes = [Scene(s.things, s.background, size=s.size) for s in (sampler.draw(rng) for _ in range(config.lora_scenes))]
        self.latents = base.encode([composer.picture(scene, rng) for scene in scenes])
        captions = [caption(writer.write(scene, rng), rng) for scene in scenes]
        with torch.no_grad():
            ids = tokenize(base.tokenizer, ["", *captions]).to(base.text.device)
            states = torch.cat([base.text(input_ids=part).last_hidden_state for part in ids.split(64)])
        self.empty, self.states, self.batch = states[0], states[1:], config.lora_batch

    def __call__(self, unet: nn.Module) -> torch.Tensor:
        """The loss of one batch."""
        chosen = torch.randint(len(self.latents), (self.batch,))
        states = self.states[chosen].clone()
        states[torch.rand(self.batch) < CAPTION_DROP] = self.empty
        return denoising_loss(unet, self.latents[chosen], states)


def save_lora(unet: UNet2DConditionModel, folder: Path) -> Path:
    """Write the adapter in half precision, in the format diffusers and PEFT share."""
    weights = get_peft_model_state_dict(unet)  # one naming for attention and convolutions alike: readers drop what mixes
    halves = {name: value.half().contiguous() for name, value in weights.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=halves, weight_name=f"{NAME}.safetensors")
    return folder / f"{NAME}.safetensors"


def train_lora(worker: Worker, config: Config, paths: Paths, checkpoint: Path, target: Path) -> None:
    """Train until the budget is spent; writes the LoRA and what lies beside it into `target`."""
    torch.manual_seed(0)
    base, book = Base.load(checkpoint, worker.device), SpriteBook.load(paths.sprites)
    rank = config.lora_rank
    base.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(TARGETS)))
    torch.manual_seed(1 + worker.rank)

    @torch.no_grad()
    def export(unet: UNet2DConditionModel) -> dict[str, float]:
        target.mkdir(parents=True, exist_ok=True)
        file = save_lora(unet, target)
        wish = Wish(config.inference_steps, config.guidance, seed=3)
        pictures = Parts(base.tokenizer, base.text, unet, base.vae).draw(list(PROMPTS), wish)
        save_sheet(pictures, paths.sheets / "lora.png", 4, list(PROMPTS))
        write_sidecar(file, DESCRIPTION, TRIGGER, f"Add the word {TRIGGER}. For safelight-picturebook only. Rank {rank}.")
        write_preview(file, pictures)
        return {"megabytes": round(file.stat().st_size / 1e6, 2)}

    job = Job(
        folder=paths.lora,
        model=base.unet,
        loss=StickerLoss(base, book, config, seed=800 + worker.rank),
        export=export,
        minutes=config.lora_minutes,
        rate=config.lora_rate,
        batch=config.lora_batch,
        cosine_from=0.2,
        sync_every=config.sync_every,
        average_decay=0.98,
        export_seconds=config.export_seconds,
    )
    train(job, worker)
