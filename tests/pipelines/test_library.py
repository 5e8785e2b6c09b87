"""The listing of all kinds of models, told from their headers and from what lies beside them."""

import json
from pathlib import Path

import pytest

from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError, UnknownName
from pipelines.library import AUTOMATIC, KINDS, Library, existing, kind_of, shelf
from tests.jobs.elsewhere import weights


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """In A1111's layout."""
    for folder in ("models/Lora/style", "embeddings", "models/ControlNet", "models/Stable-diffusion", "models/ESRGAN"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "models/Lora/style/ink.safetensors").write_bytes(weights())
    (tmp_path / "models/Lora/torn.safetensors").write_bytes(weights()[:-1])
    (tmp_path / "embeddings/hands.safetensors").write_bytes(weights({"emb_params": (3, 768)}))
    (tmp_path / "embeddings/old.pt").write_bytes(b"pickle")
    (tmp_path / "models/ControlNet/canny.safetensors").write_bytes(weights({"control_model.time_embed.0.weight": (4, 4)}))
    (tmp_path / "models/Stable-diffusion/no.ckpt").write_bytes(b"pickle")
    (tmp_path / "models/ESRGAN/4x.pth").write_bytes(b"pickle")
    return tmp_path


def test_every_kind_is_listed_by_name_broken_ones_too(root: Path) -> None:
    library = Library(Catalog([root]))
    found = {(entry.kind, entry.name): entry for entry in library.entries()}
    assert list(dict.fromkeys(kind for kind, _ in found)) == [kind for kind in KINDS if kind not in ("vae", "preprocessor")]
    ink = found["lora", "style/ink.safetensors"]
    assert (ink.prompt, ink.broken, ink.weights) == ("<lora:ink:1>", None, ink.path)
    hands = found["embedding", "hands.safetensors"]
    assert (hands.prompt, hands.family, hands.detail) == ("hands", "sd1", "3 vectors")
    assert found["controlnet", "canny.safetensors"].broken == "canny.safetensors is no ControlNet."
    for broken in (("lora", "torn.safetensors"), ("embedding", "old.pt"), ("checkpoint", "no.ckpt"), ("upscaler", "4x.pth")):
        assert str(found[broken].broken).endswith(".")
    assert [entry.name for entry in library.entries("lora")] == ["style/ink.safetensors", "torn.safetensors"]


def test_what_lies_beside_a_file_is_told_and_followed(root: Path) -> None:
    library = Library(Catalog([root]))
    path = root / "models/Lora/style/ink.safetensors"
    assert library.entry("lora", "style/ink.safetensors").trigger_words == ()
    info = {"name": "v2", "model": {"name": "Ink"}, "trainedWords": ["ink wash"], "baseModel": "SD 1.5", "description": "<p>Calm.</p>"}
    path.with_suffix(".civitai.info").write_text(json.dumps(info))
    path.with_suffix(".json").write_text(json.dumps({"preferred weight": 0.65, "notes": "theirs"}))
    path.with_suffix(".png").write_bytes(b"a picture")
    entry = library.entry("lora", "style/ink.safetensors")
    assert (entry.title, entry.summary, entry.base_model, entry.notes) == ("Ink v2", "Calm.", "SD 1.5", "theirs")
    assert (entry.trigger_words, entry.prompt, entry.preview) == (("ink wash",), "<lora:ink:0.65>", path.with_suffix(".png"))
    path.write_bytes(weights()[:-1])
    assert library.entry("lora", "style/ink.safetensors").broken
    path.unlink()
    with pytest.raises(UnknownName):
        library.entry("lora", "style/ink.safetensors")
    for kind in ("nope", "", "LORA"):
        with pytest.raises(UnknownName):
            library.entries(kind)


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [
        ("lora", None),
        ("embedding", {"emb_params": (3, 768)}),
        ("embedding", {"clip_l": (3, 768), "clip_g": (3, 1280)}),
        ("controlnet", {"control_model.time_embed.0.weight": (4, 4), "control_model.x": (1,)}),
        ("checkpoint", {"model.diffusion_model.input_blocks.0.0.weight": (4, 4, 3, 3), "first_stage_model.x": (1,)}),
        (None, {"something": (2, 2), "else": (2, 2)}),
    ],
)
def test_a_file_is_told_by_its_header(tmp_path: Path, kind: str | None, tensors: dict[str, tuple[int, ...]] | None) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(weights(tensors))
    assert kind_of(path) == kind
    path.write_bytes(weights(tensors)[:-1])
    with pytest.raises(CheckpointError):
        kind_of(path)


def test_shelves_are_ours_unless_others_are_there(tmp_path: Path) -> None:
    assert shelf(tmp_path, "lora") == tmp_path / "loras"
    (tmp_path / "Lora").mkdir()
    assert shelf(tmp_path, "lora") == tmp_path / "Lora"
    assert existing(tmp_path / "a" / "b") == tmp_path
    assert AUTOMATIC not in KINDS
