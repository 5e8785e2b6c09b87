"""Upscalers by name: found on every kind of shelf, and pictures and latents exactly as large as asked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.errors import CheckpointError, InvalidRequest, OutOfMemory, UnknownName
from pipelines.upscalers import UPSCALERS, UpscalerInfo, UpscalerShelf, enlarged, is_latent, shelf, upscale, upscale_latents, upscaling
from pipelines.upscalers import pictures as pictures_module
from pipelines.upscalers.sizes import covering, passes
from tests.pipelines.upscalers.toys import compact, rrdb, saved, weights

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Roots:
    """Of a catalog, what an upscaler is found by."""

    roots: tuple[Path, ...]


@pytest.fixture
def catalog(tmp_path: Path) -> Roots:
    saved(tmp_path / "upscalers" / "2x.safetensors", weights(compact(2)))
    saved(tmp_path / "upscalers" / "1x.safetensors", weights(compact(1)))
    saved(tmp_path / "upscalers" / "grey.safetensors", weights(compact(2, channels=1)))
    return Roots((tmp_path,))


def picture(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height)).convert(mode)


def test_files_are_found_in_our_folders_and_in_those_of_others(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "models", tmp_path / "webui"
    saved(ours / "upscalers" / "a.safetensors", weights(rrdb()))
    saved(ours / "upscalers" / "anime" / "a.safetensors", weights(compact()))
    saved(theirs / "models" / "ESRGAN" / "a.safetensors", weights(rrdb(1)))
    saved(theirs / "models" / "upscale_models" / "b.safetensors", {"x": torch.zeros(1)})
    (theirs / "models" / "RealESRGAN").mkdir()
    (theirs / "models" / "RealESRGAN" / "c.pth").write_bytes(b"\x80")
    (theirs / "models" / "RealESRGAN" / "read me.txt").write_bytes(b"hello")
    found = UpscalerShelf([ours, theirs, ours])
    infos = {info.name: info for info in found.files()}
    assert list(infos) == ["a.safetensors", "anime/a.safetensors", "b.safetensors", "c.pth", "webui/a.safetensors"]
    assert [info.scale for info in infos.values()] == [4, 4, None, None, 2]
    assert found.find("anime/a.safetensors") == infos["anime/a.safetensors"]
    for name in ("b.safetensors", "c.pth"):
        with pytest.raises(CheckpointError, match=name):
            found.find(name)
    with pytest.raises(UnknownName, match=r"no upscaler named 'x4'; known: .*anime/a.*lanczos") as caught:
        found.find("x4")
    assert caught.value.field == "upscaler"
    assert UpscalerShelf([tmp_path / "nowhere"]).files() == []


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = saved(tmp_path / "upscalers" / "a.safetensors", weights(rrdb())), []
    monkeypatch.setattr(shelf, "inspect", lambda path, name: read.append(name) or UpscalerInfo(name, name, path))
    found = UpscalerShelf([tmp_path])
    assert found.files() == found.files() and len(read) == 1
    saved(path, weights(rrdb(blocks=2)))
    assert found.files() and len(read) == 2


@pytest.mark.parametrize("name", [name for name in UPSCALERS if not is_latent(name)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_filters_are_pillows(catalog: Roots, name: str, mode: str) -> None:
    source = picture(mode=mode)
    larger = upscale(source, name, (61, 46), CPU, catalog)
    assert larger.mode == mode and np.array_equal(larger, source.resize((61, 46), Image.Resampling[name.upper()]))


def test_a_network_runs_until_it_is_large_enough_and_lanczos_does_the_rest(catalog: Roots) -> None:
    source, network = picture(), compact(2)
    with torch.no_grad():
        pixels = torch.from_numpy(np.array(source)).permute(2, 0, 1)[None]
        for _ in range(2):
            pixels = network(pixels / 255).clamp(0, 1).mul(255).round()
    whole = Image.fromarray(pixels[0].byte().permute(1, 2, 0).numpy())
    assert np.array_equal(upscale(source, "2x.safetensors", (160, 120), CPU, catalog), whole)
    expected = whole.resize((100, 75), Image.Resampling.LANCZOS)
    assert np.array_equal(upscale(source, "2x.safetensors", (100, 75), CPU, catalog), expected)


@pytest.mark.parametrize("name", ["1x.safetensors", "grey.safetensors", "2x.safetensors"])
@pytest.mark.parametrize("size", [(40, 30), (41, 31), (120, 90), (20, 15)])
def test_the_size_is_the_one_asked_for(catalog: Roots, name: str, size: tuple[int, int]) -> None:
    assert upscale(picture(), name, size, CPU, catalog).size == size


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
def test_transparency_is_kept_and_other_modes_become_rgb(catalog: Roots, mode: str) -> None:
    source = picture(mode=mode)
    larger = upscale(source, "2x.safetensors", (80, 60), CPU, catalog)
    assert larger.mode == ("RGBA" if mode in ("LA", "P", "RGBA") else "RGB") and larger.size == (80, 60)
    if mode == "RGBA":
        opaque = upscale(source.convert("RGB"), "2x.safetensors", (80, 60), CPU, catalog)
        assert np.array_equal(larger.convert("RGB"), opaque)
        assert np.array_equal(larger.getchannel("A"), source.getchannel("A").resize((80, 60), Image.Resampling.LANCZOS))


def test_progress_is_yielded_and_the_picture_returned(catalog: Roots) -> None:
    steps = upscaling(picture(150, 40), "2x.safetensors", (600, 160), CPU, catalog, tile=96)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            assert end.value.size == (600, 160)
            break
    totals = [step.total for step in seen]
    assert totals[0] < totals[-1] and [step.done for step in seen if step.total == totals[-1]] == list(range(1, totals[-1] + 1))


def test_what_does_not_go_is_a_sentence(catalog: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="no upscaler named 'x4'"):
        upscale(picture(), "x4", (80, 60), CPU, catalog)
    with pytest.raises(InvalidRequest, match="'latent' enlarges latents"):
        upscale(picture(), "latent", (80, 60), CPU, catalog)
    with pytest.raises(InvalidRequest, match="'2x' enlarges pictures"):
        upscale_latents(torch.zeros(1, 4, 8, 8), (16, 16), "2x")

    def scarce(size: int, name: str, device: torch.device) -> None:
        raise OutOfMemory(f"{name} needs {size} bytes.")

    monkeypatch.setattr(pictures_module, "require", scarce)
    with pytest.raises(OutOfMemory, match=f"Enlarging this picture needs {2 * 40 * 30 * 3 * 4} bytes"):
        upscale(picture(), "2x.safetensors", (80, 60), CPU, catalog)


@pytest.mark.parametrize("name", [name for name in UPSCALERS if is_latent(name)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_latents_are_interpolated_as_torch_does(name: str, dtype: torch.dtype) -> None:
    latents = torch.randn(2, 4, 16, 24, generator=torch.Generator().manual_seed(1)).to(dtype)
    larger = upscale_latents(latents, (32, 48), name)
    assert larger.dtype == dtype and larger.shape == (2, 4, 32, 48) and larger.isfinite().all()
    spec = UPSCALERS[name]
    expected = torch.nn.functional.interpolate(latents.float(), scale_factor=2, mode=spec.mode, antialias=spec.antialias)
    assert torch.equal(larger, expected.to(dtype))


def test_the_modes_of_latents_differ() -> None:
    latents = torch.randn(1, 4, 16, 16)
    names = [name for name in UPSCALERS if is_latent(name) and not name.endswith("exact")]  # equal where it is a whole number of times
    made = [upscale_latents(latents, (24, 24), name) for name in names if "antialiased" not in name]
    assert all(not torch.equal(one, other) for index, one in enumerate(made) for other in made[:index])


def test_other_proportions_are_cut_not_stretched(catalog: Roots) -> None:
    assert covering((512, 512), (1024, 1024)) == (0, 0, 512, 512)
    assert covering((520, 512), (576, 560)) == (0, 0, 520, 512)  # what rounding to multiples of 8 does is not worth a cut
    assert covering((400, 200), (200, 200)) == (100, 0, 300, 200)
    assert covering((200, 400), (400, 200)) == (0, 150, 200, 250)
    source = Image.new("RGB", (40, 20), "red")
    source.paste("blue", (10, 0, 30, 20))
    assert upscale(source, "nearest", (40, 40), CPU, catalog).getcolors() == [(1600, (0, 0, 255))]
    latents = torch.zeros(1, 4, 10, 20)
    latents[..., 5:15] = 1
    assert torch.equal(upscale_latents(latents, (20, 20), "latent_nearest"), torch.ones(1, 4, 20, 20))


def test_arithmetic() -> None:
    assert passes((64, 64), (128, 128), 4) == 1 and passes((64, 64), (257, 64), 2) == 3 and passes((64, 64), (900, 900), 1) == 1
    assert enlarged((333, 217), 1.5, 40_000_000) == (500, 326)
    with pytest.raises(InvalidRequest, match=r"factor 4 makes 4000 × 3000 into 16000 × 12000, 192 megapixels; at most 40") as caught:
        enlarged((4000, 3000), 4, 40_000_000)
    assert caught.value.field == "factor"
