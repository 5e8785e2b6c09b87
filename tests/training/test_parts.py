"""The tokenizer, the learning rate, the latents' normalization: small exact promises."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from training.config import CONFIGS
from training.denoiser import build_unet
from training.latents import normalize_latents
from training.loop import Job, learning_rate, train
from training.sampling import Hole, Parts, Wish
from training.start import grow_autoencoder, take_over, widen
from training.text import build_text_encoder
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


def test_an_autoencoder_grows_around_an_older_one() -> None:
    config = CONFIGS["tiny"]
    older = build_vae(replace(config, vae_channels=config.vae_channels[1:]))
    newer = build_vae(config)
    assert grow_autoencoder(newer, older) > 0.5
    for mine, theirs in (
        (newer.encoder.mid_block, older.encoder.mid_block),
        (newer.decoder.mid_block, older.decoder.mid_block),
        (newer.encoder.down_blocks[2].downsamplers, older.encoder.down_blocks[1].downsamplers),
        (newer.decoder.up_blocks[0], older.decoder.up_blocks[0]),
        (newer.quant_conv, older.quant_conv),
    ):
        for name, value in theirs.state_dict().items():
            assert torch.equal(mine.state_dict()[name], value), name


def test_weights_that_do_not_fit_stay_as_they_are() -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.clone()
    assert take_over(model, {"weight": torch.ones(3, 3), "other": torch.ones(1)}) == 0.0
    assert torch.equal(model.weight, before)
    assert take_over(model, {"weight": torch.ones(2, 2), "bias": torch.ones(2)}) == 1.0
    assert torch.equal(model.weight, torch.ones(2, 2))


def test_a_widened_autoencoder_draws_the_same() -> None:
    torch.manual_seed(0)
    config = CONFIGS["tiny"]
    narrow = build_vae(config).eval()
    wide = build_vae(replace(config, vae_channels=(8, 8, 32, 32))).eval()
    widen(wide, narrow)
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        before, after = (vae.decode(vae.encode(picture).latent_dist.mean).sample for vae in (narrow, wide))
    assert torch.allclose(before, after, atol=1e-5)
    weight = wide.decoder.up_blocks[0].resnets[0].conv1.weight
    assert not torch.equal(weight[:, 0], weight[:, 1])  # repeats that read alike would learn alike


def toy_parts(folder: Path) -> Parts:
    config = CONFIGS["tiny"]
    torch.manual_seed(0)
    write_tokenizer(["a cat on a red background"], 20, folder)
    tokenizer = load_tokenizer(folder)
    models = (build_text_encoder(config, tokenizer), build_unet(config), build_vae(config))
    return Parts(tokenizer, *(model.eval() for model in models))


def test_what_lies_around_a_hole_is_kept(tmp_path: Path) -> None:
    parts, known = toy_parts(tmp_path), torch.randn(1, 4, 16, 16)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:12, 4:12] = 1.0
    made = parts.latents(["a cat"], Wish(steps=3, hole=Hole(known, mask)))
    around = mask[0, 0] == 0
    assert torch.allclose(made[0, :, around], known[0, :, around])
    assert not torch.allclose(made[0, :, ~around], known[0, :, ~around])


def test_a_negative_prompt_that_says_the_same_cancels_guidance(tmp_path: Path) -> None:
    parts = toy_parts(tmp_path)
    same = Wish(steps=2, guidance=8.0, negative="a cat")
    assert torch.allclose(parts.latents(["a cat"], same), parts.latents(["a cat"], Wish(steps=2, guidance=1.0)), atol=1e-4)
    assert not torch.allclose(parts.latents(["a cat"], Wish(steps=2, guidance=8.0)), parts.latents(["a cat"], same), atol=1e-4)
