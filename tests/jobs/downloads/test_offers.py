"""What a local hub offers: looked at first, named safely, put on the shelf that it belongs to."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.downloads import Downloads
from jobs.fetching import FetchError
from pipelines.errors import InvalidRequest
from tests.jobs.downloads.parts import LORA, ended
from tests.jobs.elsewhere import Elsewhere, weights


def test_a_repository_is_looked_at_before_anything_comes(make: Callable[..., Downloads]) -> None:
    offer = make().look("artist/ink-lora")
    assert [(each.path, each.size) for each in offer.files] == [("ink.safetensors", len(LORA))]
    assert offer.files[0].sha256 == hashlib.sha256(LORA).hexdigest()
    assert (offer.kind, offer.unsafe, offer.folder) == ("lora", 1, ())


def test_a_network_of_preprocessors_comes_as_its_folder(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    config = {"architectures": ["DepthAnythingForDepthEstimation"]}
    files = {"config.json": json.dumps(config).encode(), "preprocessor_config.json": b"{}", "model.safetensors": weights()}
    there.repos["depth/small"] = {**files, "README.md": b"#", "pytorch_model.bin": b"pickle", "extra.json": b"{}"}
    downloads = make()
    offer = downloads.look("depth/small")
    assert (offer.kind, offer.folder_kind, offer.files, offer.unsafe) == ("preprocessor", "preprocessor", (), 1)
    done = ended(downloads, downloads.add("depth/small")["id"])
    assert (done["state"], done["kind"], done["placed"]) == ("finished", "preprocessor", "preprocessors/small"), done
    assert {path.name: path.read_bytes() for path in (root / "preprocessors" / "small").iterdir()} == files
    there.repos["depth/other"] = {**files, "config.json": b'{"architectures": ["ViTModel"]}'}
    other = downloads.look("depth/other")
    assert (other.folder, len(other.files)) == ((), 1)


def test_a_file_finds_its_shelf_by_what_it_is(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    placed: list[tuple[Path, str]] = []
    downloads = make(placed=lambda path, source: placed.append((path, source)))
    asked = downloads.add("artist/ink-lora")
    done = ended(downloads, asked["id"])
    assert done["state"] == "finished", done
    assert (done["kind"], done["placed"]) == ("lora", "loras/ink.safetensors")
    assert done["bytes_done"] == done["bytes_total"] == len(LORA)
    assert done["sha256"] == hashlib.sha256(LORA).hexdigest()
    assert (root / "loras" / "ink.safetensors").read_bytes() == LORA
    assert not (root / ".downloads").exists()
    assert placed == [(root / "loras" / "ink.safetensors", f"{there.address}/artist/ink-lora")]
    assert all(headers.get("authorization") == "Bearer secret" for _, headers in there.asked)


def test_an_existing_shelf_in_another_programs_words_is_used(make: Callable[..., Downloads], root: Path) -> None:
    (root / "Lora").mkdir()
    downloads = make()
    done = ended(downloads, downloads.add("artist/ink-lora", kind="lora", name="My ink: v2?")["id"])
    assert done["placed"] == "Lora/My ink_ v2_.safetensors"


@pytest.mark.parametrize(
    "source",
    ["", "   ", "a b", "../..", "org/../x", "http://192.0.2.1/x.safetensors", "ftp://h/x.safetensors", "https://[::1/x", "https:///x.safetensors",
     "artist/ink-lora/old.ckpt", "artist/ink-lora/nope.safetensors", "file:///etc/passwd", "x" * 3000, "org/na\x00me"],
)  # fmt: skip
def test_addresses_that_are_none(make: Callable[..., Downloads], source: str) -> None:
    with pytest.raises((InvalidRequest, FetchError)):
        make().look(source)


def test_files_that_can_run_code_are_never_offered(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.repos["bad/pickles"] = {"model.ckpt": b"x", "pytorch_model.bin": b"x", "run.py": b"x", "config.json": b"{}"}
    with pytest.raises(InvalidRequest, match="can run code"):
        make().look("bad/pickles")
    there.files["x.ckpt"] = b"x"
    with pytest.raises(InvalidRequest, match=r"Only \.safetensors"):
        make().look(f"{there.plain}/x.ckpt")


def test_a_whole_model_is_put_together_before_it_shows(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    parts = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "feature_extractor": [None, None]}
    index = json.dumps({"_class_name": "StableDiffusionPipeline", **parts, "safety_checker": ["x", "y"]}).encode()
    there.repos["lab/model"] = {
        "model_index.json": index,
        "whole.safetensors": LORA,
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": LORA,
        "unet/diffusion_pytorch_model.fp16.safetensors": LORA,
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/deep/er/still/more/x.safetensors": LORA,
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": LORA,
        "vae/../../escape.safetensors": LORA,
        "safety_checker/model.safetensors": LORA,
        "CON/x.json": b"{}",
    }
    downloads = make()
    offer = downloads.look("lab/model")
    assert [remote.path for remote in offer.files] == ["whole.safetensors"]
    done = ended(downloads, downloads.add("lab/model")["id"])
    assert done["state"] == "finished", done
    assert done["placed"] == "checkpoints/model"
    come = {path.relative_to(root / "checkpoints" / "model").as_posix() for path in (root / "checkpoints").rglob("*") if path.is_file()}
    assert come == {
        "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }  # fmt: skip
    assert not (root.parent / "escape.safetensors").exists()


def test_names_from_elsewhere_stay_in_their_folder(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    names = {
        "../../evil": "evil.safetensors",
        "..\\..\\evil2": "evil2.safetensors",
        "CON": "_CON.safetensors",
        "com1.x": "_com1.x.safetensors",
        "a" * 300: None,
        'q"u<o>t|e*': "q_u_o_t_e_.safetensors",
        "tab\tnew\nline": "tab_new_line.safetensors",
        " dots. . ": "dots.safetensors",
    }
    downloads = make()
    for name, called in names.items():
        done = ended(downloads, downloads.add("artist/ink-lora", name=name[:200], kind="lora")["id"])
        assert done["state"] == "finished", done
        found = root / str(done["placed"])
        assert found.parent == root / "loras"
        assert called is None or found.name == called
    for name in ("..", "...", "/", "", "///"):
        if name:
            with pytest.raises(InvalidRequest):
                downloads.add("artist/ink-lora", name=name, kind="lora")


def test_the_servers_own_name_for_a_file(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.files["api/download/123"] = LORA
    there.headers["/api/download/123"] = {"Content-Disposition": 'attachment; filename="../Nice Style.safetensors"'}
    downloads = make()
    asked = downloads.add(f"{there.plain}/api/download/123?token=secret")
    assert "secret" not in str(asked)
    assert ended(downloads, asked["id"])["placed"] == "loras/Nice Style.safetensors"


def test_a_name_that_is_taken_is_said_before(make: Callable[..., Downloads], root: Path) -> None:
    (root / "loras").mkdir()
    (root / "loras" / "ink.safetensors").write_bytes(b"mine")
    downloads = make()
    with pytest.raises(InvalidRequest, match="is taken"):
        downloads.add("artist/ink-lora", kind="lora")
    done = ended(downloads, downloads.add("artist/ink-lora")["id"])  # known only when it has come
    assert "is taken" in done["error"]
    assert (root / "loras" / "ink.safetensors").read_bytes() == b"mine"


def test_which_file_must_be_said_where_there_are_several(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.repos["artist/two"] = {"a.safetensors": LORA, "b.safetensors": LORA}
    downloads = make()
    with pytest.raises(InvalidRequest, match=r"a\.safetensors, b\.safetensors"):
        downloads.add("artist/two")
    with pytest.raises(InvalidRequest, match="no file"):
        downloads.add("artist/two", file="c.safetensors")
    with pytest.raises(InvalidRequest, match="kind"):
        downloads.add("artist/two", file="a.safetensors", kind="nope")
    assert ended(downloads, downloads.add("artist/two", file="b.safetensors")["id"])["name"] == "b.safetensors"
    assert ended(downloads, downloads.add(f"{there.address}/artist/two/blob/main/a.safetensors")["id"])["name"] == "a.safetensors"
    with pytest.raises(InvalidRequest, match="cannot be tried again"):
        downloads.retry(downloads.all()[0]["id"])


def test_lists_of_files_that_are_none(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.files["api/models/odd"] = b"[]"
    for body in ([], {"siblings": "x"}, {"siblings": [1, {"rfilename": 7}, {"rfilename": "a" * 500 + ".safetensors"}]}):
        there.repos["odd/one"] = {}
        downloads = make()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("jobs.hub._json", lambda web, url, body=body: body if isinstance(body, dict) else {})
            with pytest.raises(InvalidRequest, match="nothing to download"):
                downloads.look("odd/one")
