"""Stage `text`: teaches the text encoder what captions say, before any picture is drawn.

A small reader attends to the encoder's 77 hidden states, as the denoiser's cross-attention will,
and must name both things, their colours, the background, the style and the size. Captions cost nothing, so this is
far cheaper than letting the denoiser's loss teach the language; the encoder is then frozen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import CaptionWriter, tells_background
from training.config import Config
from training.loop import Job, train
from training.nouns import all_nouns
from training.palette import BACKGROUNDS, OBJECT_COLOURS, SCENERY, STYLES
from training.paths import Paths
from training.scenes import Scene, SceneSampler
from training.sprites import SpriteBook
from training.start import known_nouns, start_part
from training.tokenizer import TOKENS, load_tokenizer
from training.workers import Worker

ANCHOR_WEIGHT = 1.0
SHORT_TOKENS = 40  # longer than any caption; two batches in three stop here, to save time


def build_text_encoder(config: Config, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A small CLIP text model for our vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.text_width,
            intermediate_size=4 * config.text_width,
            projection_dim=config.text_width,
            num_hidden_layers=config.text_layers,
            num_attention_heads=config.text_heads,
            max_position_embeddings=TOKENS,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Ids of shape (n, 77), padded with the end token exactly as pipelines do."""
    made = tokenizer(captions, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
    return made.input_ids


class Slots:
    """What a caption says, as class numbers; 0 always means "not said"."""

    def __init__(self, nouns: list[str]) -> None:
        colours = [*OBJECT_COLOURS, "brown", "beige"]
        places = [*BACKGROUNDS, *SCENERY]
        answers = (nouns, nouns, colours, colours, places, list(STYLES), ["small", "big"])
        self.tables = [{name: index + 1 for index, name in enumerate(names)} for names in answers]

    @property
    def sizes(self) -> list[int]:
        """The number of classes of each slot."""
        return [len(table) + 1 for table in self.tables]

    def read(self, scene: Scene, said_background: bool) -> list[int]:
        """The scene's class numbers."""
        nouns = [thing.noun for thing in scene.things] + [""]
        colours = [thing.colour or "" for thing in scene.things] + [""]
        background = scene.background if said_background else ""
        names = [*nouns[:2], *colours[:2], background, scene.style, scene.size or ""]
        return [table.get(name, 0) for table, name in zip(self.tables, names, strict=True)]


class Reader(nn.Module):
    """The text encoder under one layer of cross-attention with one question per slot."""

    def __init__(self, encoder: CLIPTextModel, sizes: list[int]) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.questions = nn.Parameter(torch.randn(len(sizes), width))
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.answers = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def forward(self, ids: torch.Tensor) -> list[torch.Tensor]:
        """Logits of every slot."""
        return self.answer(self.encoder(input_ids=ids).last_hidden_state)

    def answer(self, states: torch.Tensor) -> list[torch.Tensor]:
        """Logits of every slot from the encoder's states."""
        asked = self.questions.expand(len(states), -1, -1)
        read = self.attention(asked, states, states, need_weights=False)[0]
        return [answer(read[:, index]) for index, answer in enumerate(self.answers)]


@dataclass(frozen=True)
class Captions:
    """A batch: token ids (n, 77), class numbers (n, slots), and whether an older checkpoint knows all the nouns."""

    ids: torch.Tensor
    targets: torch.Tensor
    known: torch.Tensor


class CaptionStream:
    """Endless batches of captions."""

    def __init__(self, book: SpriteBook, tokenizer: CLIPTokenizer, seed: int, nouns_known: set[str] | None = None) -> None:
        self.rng = random.Random(seed)
        self.tokenizer = tokenizer
        self.slots = Slots(book.nouns)
        self.sampler = SceneSampler(book.nouns, book.natural_colours, two_objects=0.4, repainted=0.4)
        known = set(book.nouns)
        self.nouns_known = known if nouns_known is None else nouns_known
        self.writer = CaptionWriter([n for n in all_nouns() if n.word in known])

    def batch(self, size: int) -> Captions:
        """`size` fresh captions."""
        scenes = [self.sampler.draw(self.rng) for _ in range(size)]
        captions = [self.writer.write(scene, self.rng) for scene in scenes]
        told = [tells_background(s, c) for s, c in zip(scenes, captions, strict=True)]
        targets = torch.tensor([self.slots.read(s, t) for s, t in zip(scenes, told, strict=True)])
        known = [all(thing.noun in self.nouns_known for thing in scene.things) for scene in scenes]
        return Captions(tokenize(self.tokenizer, captions), targets, torch.tensor(known))


class Reading:
    """The loss of naming what captions say; an older encoder's states keep the new ones near them.

    The denoiser that read the older states then finds its way in the new ones.
    """

    def __init__(self, stream: CaptionStream, batch: int, device: torch.device, older: CLIPTextModel | None) -> None:
        self.stream, self.batch, self.device, self.older = stream, batch, device, older

    def __call__(self, reader: nn.Module) -> torch.Tensor:
        """The loss of one batch."""
        captions = self.stream.batch(self.batch)
        short = self.stream.rng.random() < 0.67
        ids = (captions.ids[:, :SHORT_TOKENS] if short else captions.ids).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            states = reader.encoder(input_ids=ids).last_hidden_state
            answers = reader.answer(states)
        goal = captions.targets.to(self.device)
        loss = sum(F.cross_entropy(a.float(), goal[:, i]) for i, a in enumerate(answers))
        if self.older is None:
            return loss
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            before = self.older(input_ids=ids).last_hidden_state
        apart = (states.float() - before.float()).square().mean((1, 2))
        return loss + ANCHOR_WEIGHT * (apart * captions.known.to(self.device)).mean()


def load_text_encoder(folder: Path) -> CLIPTextModel:
    """The exported encoder, for inference."""
    return CLIPTextModel.from_pretrained(folder).eval().requires_grad_(False)


def train_text(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `text/export`."""
    book, tokenizer = SpriteBook.load(paths.sprites), load_tokenizer(paths.tokenizer)
    torch.manual_seed(0)
    encoder, older = build_text_encoder(config, tokenizer), None
    stream = CaptionStream(book, tokenizer, worker.rank, known_nouns(config))
    if config.start_from is not None:
        start_part(encoder, config.start_from, "text_encoder")
        older = load_text_encoder(config.start_from / "text_encoder").float().to(worker.device)
    model = Reader(encoder, stream.slots.sizes).to(worker.device)
    torch.manual_seed(1 + worker.rank)
    held = CaptionStream(book, tokenizer, seed=9000).batch(256)

    @torch.no_grad()
    def export(reader: nn.Module) -> dict[str, float]:
        answers = torch.stack([a.argmax(1) for a in reader(held.ids.to(worker.device))], 1).cpu()
        reader.encoder.save_pretrained(paths.text / "export")
        right = (answers == held.targets).float().mean(0)
        return {f"slot{index}": float(share) for index, share in enumerate(right)}

    job = Job(
        folder=paths.text,
        model=model,
        loss=Reading(stream, config.text_batch, worker.device, older),
        export=export,
        minutes=config.text_minutes,
        rate=config.text_rate,
        batch=config.text_batch,
        cosine_from=0.4,
        sync_every=config.sync_every,
        average_decay=0.995,
        export_seconds=min(60.0, config.export_seconds),
    )
    train(job, worker)
