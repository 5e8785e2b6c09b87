"""The tokenizer, the learning rate, the latents' normalization: small exact promises."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from training.config import CONFIGS
from training.latents import normalize_latents
from training.loop import Job, learning_rate, train
from training.tokenizer import TOKENS, load_tokenizer, write_tokenizer
from training.vae import build_vae
from training.workers import Worker


def job(folder: Path, minutes: float) -> Job:
    model = torch.nn.Linear(2, 1)
    ones = torch.ones(4, 2)
    return Job(
        folder=folder,
        model=model,
        loss=lambda m: (m(ones) - 3.0).square().mean(),
        export=lambda m: {"made": float(m(ones).mean())},
        minutes=minutes,
        rate=0.05,
        batch=4,
    )


def test_tokenizer_round_trips_and_pads_with_the_end_token(tmp_path: Path) -> None:
    write_tokenizer(["a red apple on a blue background"] * 3, 40, tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    ids = tokenizer("A red apple", padding="max_length", truncation=True).input_ids
    assert len(ids) == TOKENS and ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    assert tokenizer.decode(tokenizer("über red!").input_ids, skip_special_tokens=True).strip() == "über red !"


def test_learning_rate_follows_the_clock_and_not_the_steps(tmp_path: Path) -> None:
    one = job(tmp_path, 1.0)
    assert learning_rate(one, 1000, 0.3) == one.rate
    assert learning_rate(one, 10**6, 0.3) == one.rate
    assert learning_rate(one, 1000, 1.0) < 0.03 * one.rate
    assert learning_rate(one, 0, 0.0) < 0.05 * one.rate


def test_training_learns_stops_and_resumes(tmp_path: Path) -> None:
    worker = Worker(0, 1, torch.device("cpu"))
    train(job(tmp_path, 0.01), worker)
    first = torch.load(tmp_path / "state-0.pt", weights_only=True)
    lines = json.loads((tmp_path / "log.json").read_text())
    # A busy machine may overshoot the first budget, but the second leaves time for more steps.
    train(job(tmp_path, first["spent"] / 60 + 0.02), worker)
    second = torch.load(tmp_path / "state-0.pt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert json.loads((tmp_path / "log.json").read_text())[: len(lines)] == lines


def test_normalization_keeps_pictures_and_levels_latents() -> None:
    torch.manual_seed(0)
    config = replace(CONFIGS["tiny"], picture_size=32)
    vae, pictures = build_vae(config).eval(), torch.rand(32, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = vae.decode(vae.encode(pictures).latent_dist.mean).sample
        spread = vae.encode(pictures).latent_dist.std
        old = vae.encode(pictures).latent_dist.mean.std((0, 2, 3))
        normalize_latents(vae, pictures)
        latents = vae.encode(pictures).latent_dist
        after = vae.decode(latents.mean).sample
    assert torch.allclose(latents.mean.mean((0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(latents.mean.std((0, 2, 3)), torch.ones(4), atol=1e-3)
    assert torch.allclose(latents.std * old.view(1, 4, 1, 1), spread, rtol=1e-2)
    assert torch.allclose(before, after, atol=1e-4)
