"""VAEs and tiny decoders from every kind of file there is."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

from pipelines import loading
from pipelines.families import FAMILIES, reading
from pipelines.families.digests import fingerprint, sha256
from tests.pipelines import ldm_files
from tests.pipelines.test_loading import CPU, assert_same
from tests.toys import save_toy, toy_components, toy_tiny_decoder


def test_a_checkpoints_own_tiny_decoder(tmp_path: Path) -> None:
    copy = save_toy(tmp_path / "copy")
    tiny = toy_tiny_decoder()
    tiny.save_pretrained(copy / "vae_tiny")
    part = reading.checkpoint(copy, FAMILIES).tiny
    assert_decodes_like(tiny, loading.load(part, "copy", CPU, torch.float32))
    (copy / "vae_tiny" / "config.json").write_text("garbage")
    assert reading.checkpoint(copy, FAMILIES).tiny is None


def test_a_tiny_decoder_is_loaded_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = save_toy(tmp_path / "copy")
    toy_tiny_decoder().save_pretrained(copy / "vae_tiny")
    assert "block_out_channels" in (copy / "vae_tiny" / "config.json").read_text()  # which diffusers writes and does not take
    said: list[str] = []
    monkeypatch.setattr("diffusers.configuration_utils.logger.warning", lambda text, *rest: said.append(text))
    loading.load(reading.checkpoint(copy, FAMILIES).tiny, "copy", CPU, torch.float32)
    assert said == []


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (3, 3, 3, 1), (2, 1)])
def test_taesd_in_its_original_layout(tmp_path: Path, blocks: tuple[int, ...]) -> None:
    widths = (8,) * len(blocks)
    tiny = AutoencoderTiny(
        encoder_block_out_channels=widths, decoder_block_out_channels=widths, num_encoder_blocks=blocks, num_decoder_blocks=blocks
    ).eval()
    original = {}
    for name, tensor in tiny.decoder.state_dict().items():
        _, place, rest = name.split(".", 2)
        original[f"{int(place) + 1}.{rest}"] = tensor
    path = tmp_path / "taesd_decoder.safetensors"
    save_file(original, path)
    assert_decodes_like(tiny, loading.load(reading.tiny_decoder(path), "taesd", CPU, torch.float32))


def assert_decodes_like(theirs: AutoencoderTiny, ours: torch.nn.Module) -> None:
    latents = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        assert torch.equal(ours.decode(latents).sample, theirs.decode(latents).sample)
    assert not list(ours.encoder.parameters())


def vae_forms(tmp_path: Path) -> dict[str, Path]:
    """One VAE as each kind of file there is."""
    vae = ldm_files.components(seed=5)["vae"]
    tensors = {name: tensor for name, tensor in ldm_files.original({"vae": vae}).items() if name.startswith("first_stage_model.")}
    forms = {name: tmp_path / f"{name}.safetensors" for name in ("prefixed", "plain", "diffusers")}
    save_file(tensors, forms["prefixed"])
    save_file({name.removeprefix("first_stage_model."): tensor for name, tensor in tensors.items()}, forms["plain"])
    save_file(vae.state_dict(), forms["diffusers"])
    vae.save_pretrained(tmp_path / "folder")
    vae.save_pretrained(tmp_path / "outer" / "vae")
    return {**forms, "folder": tmp_path / "folder", "outer": tmp_path / "outer"}


def test_vaes_in_every_form_are_the_same_vae(tmp_path: Path) -> None:
    parts = {name: reading.vae(path) for name, path in vae_forms(tmp_path).items()}
    vae = ldm_files.components(seed=5)["vae"]
    for part in parts.values():
        assert_same(loading.load(part, "vae", CPU, torch.float32), vae)
    assert len({fingerprint(part) for part in parts.values()}) == 1
    assert len({sha256(part) for part in parts.values()}) == 1


def test_a_fingerprint_tells_weights_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    prints = set()
    for seed in (0, 1):
        tensors = toy_components(tmp_path / "tokenizer", seed)["vae"].state_dict()
        save_file(tensors, path)
        prints.add(fingerprint(reading.vae(path)))
    assert len(prints) == 2
