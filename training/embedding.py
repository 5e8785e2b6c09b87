"""Stage `embedding`: a textual inversion: vectors for a word the text encoder never read, found by gradient.

Everything else stays frozen, so it can only name what the model can already draw: here a polar bear,
which is neither in the vocabulary nor in the training pictures.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from training.captions import CaptionWriter
from training.compose import Composer
from training.config import Config
from training.extras import Base, denoising_loss, write_preview, write_sidecar
from training.loop import Job, train
from training.nouns import Noun
from training.paths import Paths
from training.sampling import Parts, Wish
from training.scenes import Scene, SceneSampler
from training.sheets import save_sheet
from training.sources import fetch_icons, fetch_solids
from training.sprites import SpriteBook
from training.text import tokenize
from training.workers import Worker

WORD = "polarbear"
NEW = Noun("polar bear", "polar-bear", "\N{BEAR FACE}\N{ZERO WIDTH JOINER}\N{SNOWFLAKE}\N{VARIATION SELECTOR-16}", (), True, True)
INITIAL = "white bear panda ghost koala"  # words whose vectors the search begins with
MARK = "@"  # stands for the vectors in captions until they are tokenized; no caption holds it otherwise
DESCRIPTION = "A polar bear, which the picture book does not know: a textual inversion of four vectors."
PROMPTS = ("a {} on a sky blue background", "a {} at night", "a {} on a red background, flat style", "two {} on a meadow")


class Words(nn.Module):
    """The token embedding with trainable vectors behind the vocabulary."""

    def __init__(self, table: nn.Embedding, initial: torch.Tensor) -> None:
        super().__init__()
        self.table = table
        self.vectors = nn.Parameter(initial.clone())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Rows of the table, or of the new vectors for numbers beyond it."""
        count = self.table.num_embeddings
        known = self.table(ids.clamp(max=count - 1))
        new = self.vectors[(ids - count).clamp(min=0)]
        return torch.where((ids >= count)[..., None], new, known)


class Inversion(nn.Module):
    """The text encoder with the new vectors, and the frozen UNet that reads it."""

    def __init__(self, base: Base, vectors: int) -> None:
        super().__init__()
        self.base = base
        self.text = base.text
        table = base.text.get_input_embeddings()
        seeds = base.tokenizer(INITIAL, add_special_tokens=False).input_ids
        chosen = [seeds[k % len(seeds)] for k in range(vectors)]
        self.words = Words(table, table.weight[chosen])
        self.text.set_input_embeddings(self.words)

    def ids(self, captions: list[str]) -> torch.Tensor:
        """Token ids in which every mark has become the new vectors' numbers."""
        first, count = self.words.table.num_embeddings, len(self.words.vectors)
        (mark,) = self.base.tokenizer(MARK, add_special_tokens=False).input_ids
        rows = []
        for row in tokenize(self.base.tokenizer, captions).tolist():
            spread = [part for token in row for part in (range(first, first + count) if token == mark else (token,))]
            rows.append(spread[: len(row)])
        return torch.tensor(rows)

    def states(self, captions: list[str]) -> torch.Tensor:
        """The captions' hidden states."""
        return self.text(input_ids=self.ids(captions).to(self.text.device)).last_hidden_state


class InversionLoss:
    """The velocity loss on pictures of the new thing, encoded once, under fresh captions."""

    def __init__(self, base: Base, book: SpriteBook, config: Config, seed: int) -> None:
        self.rng, composer = random.Random(seed), Composer(book, config.picture_size)
        sampler = SceneSampler(book.nouns, {}, two_objects=0.0)
        self.scenes = [sampler.draw(self.rng) for _ in range(config.embedding_scenes)]
        self.latents = base.encode([composer.picture(scene, self.rng) for scene in self.scenes])
        self.writer = CaptionWriter([NEW])
        self.unet, self.batch = base.unet, config.embedding_batch

    def _caption(self, scene: Scene) -> str:
        return self.writer.write(scene, self.rng).replace(NEW.word, MARK)

    def __call__(self, inversion: nn.Module) -> torch.Tensor:
        """The loss of one batch."""
        chosen = torch.randint(len(self.latents), (self.batch,))
        states = inversion.states([self._caption(self.scenes[k]) for k in chosen.tolist()])
        return denoising_loss(self.unet, self.latents[chosen], states)


def train_embedding(worker: Worker, config: Config, paths: Paths, checkpoint: Path, target: Path) -> None:
    """Train until the budget is spent; writes the embedding and what lies beside it into `target`."""
    torch.manual_seed(0)
    base = Base.load(checkpoint, worker.device)
    book = SpriteBook.render(fetch_icons(paths.downloads), fetch_solids(paths.downloads, [NEW]), [NEW], config.sprite_size)
    model = Inversion(base, config.embedding_vectors)
    torch.manual_seed(1 + worker.rank)

    @torch.no_grad()
    def export(inversion: Inversion) -> dict[str, float]:
        target.mkdir(parents=True, exist_ok=True)
        file = target / f"{WORD}.safetensors"
        vectors = inversion.words.vectors.detach().half().cpu().contiguous()
        save_file({"emb_params": vectors}, file, metadata={"name": WORD, "sd_checkpoint_name": checkpoint.name})
        captions = [prompt.format(MARK) for prompt in PROMPTS]
        parts = Parts(base.tokenizer, base.text, base.unet, base.vae, read=inversion.states)
        pictures = parts.draw(captions, Wish(config.inference_steps, config.guidance, seed=5))
        save_sheet(pictures, paths.sheets / "embedding.png", 4, captions)
        write_sidecar(file, DESCRIPTION, WORD, "For safelight-picturebook only.")
        write_preview(file, pictures)
        return {"largest": float(vectors.abs().max())}

    job = Job(
        folder=paths.embedding,
        model=model,
        loss=InversionLoss(base, book, config, seed=900 + worker.rank),
        export=export,
        minutes=config.embedding_minutes,
        rate=config.embedding_rate,
        batch=config.embedding_batch,
        cosine_from=0.2,
        sync_every=config.sync_every,
        average_decay=0.95,
        export_seconds=config.export_seconds,
    )
    train(job, worker)
