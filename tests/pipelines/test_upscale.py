"""Upscaling as a task: the upscaler alone, and the redrawing in tiles after it."""

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extensions.builtin.freeu import FreeU
from pipelines import infotext
from pipelines.components import Components
from pipelines.errors import InvalidRequest
from pipelines.events import Cancelled, Decoded, Developed, Failed, Loading, Step
from pipelines.recipe import from_picture
from pipelines.request import parse
from pipelines.rounds import tiles
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run, toy
from tests.pipelines.upscalers import toys


@dataclass(frozen=True)
class Roots:
    roots: tuple[Path, ...]


class WithUpscalers(Shelf):
    def __init__(self, folder: Path, **models: object) -> None:
        super().__init__(**models)
        self.catalog = Roots((folder,))


def shelf(folder: Path) -> WithUpscalers:
    toys.saved(folder / "models" / "upscalers" / "sharp.safetensors", toys.weights(toys.compact(scale=2)))
    return WithUpscalers(folder / "models", toy=toy(folder))


def noise(width: int = 96, height: int = 72) -> Image.Image:
    return Image.effect_noise((width, height), 90).convert("RGB")


def made(events: list) -> Image.Image:
    (done,) = of(events, Decoded)
    picture = Image.open(io.BytesIO(done.data))
    assert picture.size == (done.width, done.height)
    return picture


def test_without_redrawing_it_is_the_upscalers_own_picture(tmp_path: Path) -> None:
    blobs, picture = Blobs(), noise()
    asked = request("upscale", image=blobs.add(picture), scale=1.5)
    events = run(engine(shelf(tmp_path), blobs), asked)
    assert np.array_equal(np.asarray(made(events)), np.asarray(picture.resize((144, 108), Image.Resampling.LANCZOS)))
    assert not of(events, Developed) and not of(events, Failed)


def test_a_network_tells_how_far_it_is_and_can_be_cancelled(tmp_path: Path) -> None:
    blobs = Blobs()
    asked = request("upscale", image=blobs.add(noise(500, 300)), upscaler="sharp.safetensors", scale=2)
    events = run(engine(shelf(tmp_path), blobs), asked)
    steps = of(events, Step)
    assert made(events).size == (1000, 600)
    assert [each.step for each in steps] == sorted(each.step for each in steps) and 1 < len(steps) <= 10 and steps[-1].total == 10
    ours = engine(shelf(tmp_path), blobs)
    again = run(ours, asked, react=lambda event: ours.cancel("0") if isinstance(event, Step) else None)
    assert isinstance(again[-1], Cancelled) and not of(again, Decoded)


def test_redrawing_goes_over_every_tile_and_keeps_what_each_came_to(tmp_path: Path) -> None:
    blobs, picture = Blobs(), noise()
    asked = request("upscale", image=blobs.add(picture), scale=2, strength=0.5, overlap=16)
    events = run(engine(shelf(tmp_path), blobs), asked)
    larger = picture.resize((192, 144), Image.Resampling.LANCZOS)
    assert made(events).size == larger.size
    assert of(events, Step)[-1].step == of(events, Step)[-1].total == 10 + 2 * len(tiles(larger.size, (64, 64), 16))
    assert not np.array_equal(np.asarray(made(events)), np.asarray(larger))
    assert latents(events)[0].shape == (1, 4, 8, 8)
    frames = [Image.open(io.BytesIO(each.frame)).size for each in of(events, Step) if each.frame]
    assert frames and set(frames) == {larger.size}, "a tile is shown where it belongs"
    again = run(engine(shelf(tmp_path), blobs), asked)
    assert np.array_equal(np.asarray(made(events)), np.asarray(made(again)))


def test_two_at_once_are_as_each_alone(tmp_path: Path) -> None:
    blobs = Blobs()
    asked = [request("upscale", image=blobs.add(noise()), scale=1.5, strength=0.5, seed=seed) for seed in (1, 2)]
    together = run(engine(shelf(tmp_path), blobs), *asked)
    for job, one in enumerate(asked):
        (ours,) = of(together, Decoded, str(job))
        alone = np.asarray(made(run(engine(shelf(tmp_path), blobs), one))).astype(int)
        assert np.abs(np.asarray(Image.open(io.BytesIO(ours.data))).astype(int) - alone).max() <= 1


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (200, 130), (300, 64), (50, 40)])
@pytest.mark.parametrize("overlap", [0, 16, 63])
def test_tiles_cover_everything_and_what_is_laid_over_adds_up_to_white(size: tuple[int, int], overlap: int) -> None:
    canvas = Image.new("RGB", size)
    for each in tiles(size, (64, 64), overlap):
        left, top, right, bottom = each.box
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert (right - left, bottom - top) == (min(64, size[0]), min(64, size[1]))
        canvas = each.stitched(Image.new("RGB", (64, 64), "white"), canvas)
    # the first tile is laid down whole, and the others only fade in over tiles
    assert np.asarray(canvas).min() >= 254


def test_what_cannot_be_is_told_in_one_sentence(tmp_path: Path) -> None:
    blobs = Blobs()
    given = {"task": "upscale", "checkpoint": "toy", "image": blobs.add(noise()), "num_inference_steps": 4, "width": 64, "height": 64}
    for wrong, sentence in (
        ({"strength": 0.1}, "leaves no step"),
        ({"strength": 0.5, "overlap": 64}, "overlap must be below the tile's sides, 64 and 64; got 64"),
        ({"scale": 9}, "scale should be less than or equal to 8; got 9"),
    ):
        with pytest.raises(InvalidRequest, match=sentence):
            parse(given | wrong)
    huge = blobs.add(Image.new("RGB", (3000, 3000)))
    (failed,) = of(run(engine(shelf(tmp_path), blobs), request("upscale", image=huge, scale=3)), Failed)
    assert "megapixels" in failed.message
    (failed,) = of(run(engine(shelf(tmp_path), blobs), request("upscale", image=given["image"], upscaler="nobody")), Failed)
    assert "nobody" in failed.message and "sharp" in failed.message


def test_its_text_gives_all_settings_back() -> None:
    asked = request("upscale", image="0" * 64, scale=3, upscaler="nearest", strength=0.0, overlap=8)
    said = infotext.parse(infotext.write(asked, asked.seed)).draft
    for name in ("task", "scale", "upscaler", "strength", "overlap", "width", "height"):
        assert said.get(name, type(asked).model_fields[name].default) == getattr(asked, name)


class Counting(WithUpscalers):
    """Knows what was read, and what was to be read ahead."""

    def __init__(self, folder: Path, **models: object) -> None:
        super().__init__(folder, **models)
        self.read: list[str] = []

    def acquire(self, checkpoint: str, vae: str = "automatic") -> AbstractContextManager[Components]:
        self.read.append(checkpoint)
        return super().acquire(checkpoint, vae)

    def ahead(self, target: tuple[str, str] | None) -> None:
        self.read += [target[0]] if target else []


@pytest.mark.parametrize("upscaler", ["lanczos", "sharp.safetensors"])
def test_without_redrawing_no_checkpoint_is_read(tmp_path: Path, upscaler: str) -> None:
    shelf(tmp_path)
    counting, blobs = Counting(tmp_path / "models"), Blobs()  # there is not even one
    asked = [request("upscale", image=blobs.add(noise()), upscaler=upscaler, scale=2, seed=seed) for seed in (1, 2)]
    events = run(engine(counting, blobs), *asked)
    assert counting.read == [] and len(of(events, Decoded)) == 2
    assert not of(events, Failed) and not of(events, Loading)
    recipe = from_picture(of(events, Decoded)[0].data).recipe
    assert recipe is not None and recipe.hashes == {} and recipe.request["checkpoint"] == "toy"


def test_with_redrawing_it_is_read_and_the_pictures_beside_it_are_as_they_were(tmp_path: Path) -> None:
    shelf(tmp_path)
    counting, blobs = Counting(tmp_path / "models", toy=toy(tmp_path)), Blobs()
    image = blobs.add(noise())
    asked = [request("upscale", image=image, scale=2, strength=strength) for strength in (0.0, 0.5, 0.0)]
    events = run(engine(counting, blobs), *asked, request())
    assert set(counting.read) == {"toy"} and not of(events, Failed)
    assert len(of(events, Decoded)) == 4 and {event.job for event in of(events, Loading)} == {"1", "3"}


def test_modifiers_mean_nothing_where_no_checkpoint_is_needed(tmp_path: Path) -> None:
    shelf(tmp_path)
    counting, blobs = Counting(tmp_path / "models"), Blobs()
    asked = request("upscale", image=blobs.add(noise()), modifiers={"freeu": {}})
    events = run(engine(counting, blobs, {"freeu": FreeU()}), asked)
    assert of(events, Decoded) and not of(events, Failed)
