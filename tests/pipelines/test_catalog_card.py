"""What a checkpoint says about itself, and that no configuration, however odd, makes the listing fail."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.catalog import Catalog
from tests.pipelines.test_catalog import put
from tests.toys import save_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy(tmp_path_factory.mktemp("models") / "toy")


CARD = {
    "title": "Picture book",
    "summary": "Small pictures.",
    "native_size": [128, 128],
    "recommended": {"scheduler": "euler", "num_inference_steps": 12, "guidance_scale": 3},
    "latent_rgb_factors": [[0.1, 0.2, 0.3]] * 4,
    "latent_rgb_bias": [0, 0.5, -0.5],
    "example_prompts": ["a cat on a red background"],
}


def test_a_checkpoint_speaks_for_itself(tmp_path: Path, toy: Path) -> None:
    path = put(toy, tmp_path / "checkpoints" / "toy")
    catalog = Catalog([tmp_path])
    plain = catalog.checkpoint("toy")
    assert plain.native_size == (64, 64) and catalog.recommended("toy")["width"] == 64 and plain.title == "toy"
    (path / "safelight.json").write_text(json.dumps(CARD))
    info = catalog.checkpoint("toy")
    assert (info.title, info.summary, info.native_size) == ("Picture book", "Small pictures.", (128, 128))
    assert info.example_prompts == ["a cat on a red background"]
    assert info.latent_rgb_factors == ((0.1, 0.2, 0.3),) * 4 and info.latent_rgb_bias == (0.0, 0.5, -0.5)
    recommended = catalog.recommended("toy")
    assert recommended["scheduler"] == "euler" and recommended["num_inference_steps"] == 12 and recommended["guidance_scale"] == 3
    assert (recommended["width"], recommended["height"]) == (128, 128)


def test_nobody_vouches_for_the_card(tmp_path: Path, toy: Path) -> None:
    path = put(toy, tmp_path / "checkpoints" / "toy")
    bad = {
        "title": ["a"],
        "summary": "x" * 10_000 + "\0",
        "native_size": [65, 10**9],
        "recommended": {"num_inference_steps": 10**9, "guidance_scale": "3", "seed": 3, "prompt": "x", "width": 64.5, "scheduler": "heun"},
        "latent_rgb_factors": [[1, 2], [float("nan"), 1, 1]],
        "latent_rgb_bias": "abc",
        "example_prompts": [1, "", "ok"] + ["x" * 9000] * 100,
    }
    (path / "safelight.json").write_text(json.dumps(bad))
    info = Catalog([tmp_path]).checkpoint("toy")
    assert info.title == "toy" and len(info.summary) == 1000 and info.native_size == (64, 64)
    assert info.recommended["scheduler"] == "heun" and info.recommended["num_inference_steps"] == 25 and info.recommended["width"] == 64
    assert not {"seed", "prompt"} & set(info.recommended)
    assert info.latent_rgb_factors == () and info.latent_rgb_bias == ()
    assert info.example_prompts[0] == "ok" and len(info.example_prompts) < 30 and max(map(len, info.example_prompts)) <= 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_listing_never_raises_whatever_the_configurations_say(tmp_path: Path, toy: Path, data: st.DataObject) -> None:
    path = tmp_path / "checkpoints" / "toy"
    if not path.exists():
        put(toy, path)
    (path / "safelight.json").write_text(json.dumps(CARD))
    file = data.draw(
        st.sampled_from(["model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json", "safelight.json"])
    )
    whole = (path / file).read_text()
    found = json.loads(whole)
    found[data.draw(st.sampled_from(sorted(found)))] = data.draw(json_values)
    try:
        (path / file).write_text(json.dumps(found))
        (info,) = Catalog([tmp_path]).checkpoints()
        assert info.broken is None or info.broken.endswith(".")
    finally:
        (path / file).write_text(whole)
