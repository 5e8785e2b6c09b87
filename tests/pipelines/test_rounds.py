"""What inpainting and img2img can be told, run by the engine on toy models; diffusers' pipelines are the oracle where they can do it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image

from pipelines import recipe
from pipelines.events import Decoded, Developed, Failed, Work
from pipelines.repaint import rounds_of
from pipelines.request import Inpaint, Request, parse
from pipelines.rounds import tiles
from tests.pipelines.engines import Blobs, Shelf, components, engine, latents, of, request, run
from tests.toys import toy_components

ODD = (131, 77)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toy_components(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    return Blobs()


def picture(size: tuple[int, int] = (64, 64), seed: int = 3) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def mask(size: tuple[int, int] = (64, 64), *boxes: tuple[int, int, int, int]) -> Image.Image:
    painted = Image.new("L", size)
    for box in boxes or ((size[0] // 4, size[1] // 4, size[0] // 2, size[1]),):
        painted.paste(255, box)
    return painted


def inpaint(blobs: Blobs, size: tuple[int, int] = (64, 64), painted: Image.Image | None = None, **fields: Any) -> Request:
    given = {"image": blobs.add(picture(size)), "mask_image": blobs.add(painted or mask(size))}
    return request("inpaint", **{"strength": 0.6, "num_inference_steps": 5, "scheduler": "ddim", **given, **fields})


def works(parts: dict[str, Any], blobs: Blobs, *asked: Work | Request) -> list[Any]:
    events = run(engine(Shelf(toy=components(parts)), blobs), *asked)
    assert not [event.message for event in events if isinstance(event, Failed)]
    return events


def made(parts: dict[str, Any], blobs: Blobs, *asked: Work | Request) -> list[np.ndarray]:
    decoded = of(works(parts, blobs, *asked), Decoded)
    return [np.asarray(Image.open(io.BytesIO(event.data))) for event in sorted(decoded, key=lambda event: (event.job, event.picture))]


OPTIONS: list[dict[str, Any]] = [
    {"inpaint_area": "masked", "padding": 8},
    {"soft_inpainting": True, "scheduler": "dpmpp_2m"},
    {"soft_inpainting": True, "mask_blur": 12},
    {"separately": True, "inpaint_area": "masked", "scheduler": "euler"},
    {"masked_content": "fill", "strength": 1.0, "color_correction": True},
    {"masked_content": "noise", "mask_blur": 3, "loops": 2},
    {"outpaint_left": 9, "outpaint_top": 14, "masked_content": "nothing"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_not_masked_comes_back_bit_for_bit(parts: dict[str, Any], blobs: Blobs, options: dict[str, Any]) -> None:
    painted = mask(ODD, (0, 3, 21, 30), (120, 60, 131, 77))
    (done,) = made(parts, blobs, inpaint(blobs, ODD, painted, **options))
    left, top = options.get("outpaint_left", 0), options.get("outpaint_top", 0)
    inner = done[top:, left:]
    black = np.asarray(painted) == 0
    assert inner.shape == (77, 131, 3) and np.array_equal(inner[black], np.asarray(picture(ODD))[black])
    assert (inner[~black] != np.asarray(picture(ODD))[~black]).any()


# -- against other implementations ---------------------------------------------------------------------------------------


def pipeline(kind: type, parts: dict[str, Any]) -> Any:
    scheduler = DDIMScheduler.from_config(parts["scheduler"].config)
    given = {name: parts[name] for name in ("text_encoder", "tokenizer", "unet", "vae")}
    done = kind(**given, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    done.set_progress_bar_config(disable=True)
    return done


def test_only_masked_is_diffusers_padding_mask_crop(parts: dict[str, Any], blobs: Blobs) -> None:
    size, painted = (160, 120), mask((160, 120), (40, 30, 80, 70))
    asked = inpaint(blobs, size, painted, inpaint_area="masked", padding=8, strength=1.0)
    seen: list[torch.Tensor] = []

    def keep(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        seen.append(given["latents"])
        return given

    pipeline(StableDiffusionInpaintPipeline, parts)(
        "a cat", image=picture(size), mask_image=painted, padding_mask_crop=8, strength=1.0, num_inference_steps=5, guidance_scale=5.0,
        width=64, height=64, generator=torch.Generator().manual_seed(7), callback_on_step_end=keep,
    )  # fmt: skip
    ours = latents(works(parts, blobs, asked))[0]
    assert (ours - seen[-1]).abs().max() < 1e-4 * seen[-1].std()


def test_soft_inpainting_is_differential_diffusion(parts: dict[str, Any], blobs: Blobs) -> None:
    """The reference is the paper's loop: before each step what is not yet free becomes the noised picture again."""
    strengths = Image.linear_gradient("L").resize((64, 64)).rotate(90)
    asked = inpaint(blobs, painted=strengths, soft_inpainting=True, strength=0.8, num_inference_steps=10)
    assert isinstance(asked, Inpaint)
    (round,) = rounds_of(asked, strengths)
    assert round.mask == strengths  # a mask with greys of its own is taken as it is
    small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(np.asarray(strengths) / np.float32(255))[None, None], 8)
    pipe = pipeline(StableDiffusionImg2ImgPipeline, parts)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        pixels = torch.from_numpy(np.asarray(picture()) / np.float32(127.5) - 1).permute(2, 0, 1)[None]
        x0 = parts["vae"].encode(pixels).latent_dist.sample(generator) * parts["vae"].config.scaling_factor
        noise = torch.randn(x0.shape, generator=generator)

    def kept(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        times = pipe.scheduler.timesteps[-8:]
        known = x0 if step == 7 else pipe.scheduler.add_noise(x0, noise, times[step + 1 : step + 2])
        return {"latents": torch.where(1 - small > (step + 1) / 8, known, given["latents"])}

    theirs = pipe(
        "a cat", image=picture(), strength=0.8, num_inference_steps=10, guidance_scale=5.0, output_type="latent",
        generator=torch.Generator().manual_seed(7), callback_on_step_end=kept,
    ).images  # fmt: skip
    ours = latents(works(parts, blobs, asked))[0]
    assert (ours - theirs).abs().max() < 1e-3 * theirs.std()


@pytest.mark.parametrize("scheduler", ["euler", "dpmpp_2m", "heun", "ddim"])
def test_what_is_hardly_masked_hardly_leaves_the_picture(parts: dict[str, Any], blobs: Blobs, scheduler: str) -> None:
    strengths = Image.linear_gradient("L").resize((64, 64)).rotate(90)
    asked = inpaint(blobs, painted=strengths, soft_inpainting=True, scheduler=scheduler, strength=1.0, num_inference_steps=8)
    ours = latents(works(parts, blobs, asked))[0]
    with torch.no_grad():
        pixels = torch.from_numpy(np.asarray(picture()) / np.float32(127.5) - 1).permute(2, 0, 1)[None]
        x0 = parts["vae"].encode(pixels).latent_dist.mode() * parts["vae"].config.scaling_factor
    apart = (ours - x0).abs().mean((0, 1, 2))
    order = apart if strengths.getpixel((0, 32)) < strengths.getpixel((63, 32)) else apart.flip(0)
    assert order[0] < order[4] < order[7] * 1.5 and order[:2].mean() < 0.7 * order[-2:].mean()


# -- what each setting does ----------------------------------------------------------------------------------------------


def test_masked_content_changes_what_is_started_from(parts: dict[str, Any], blobs: Blobs) -> None:
    contents = ("original", "fill", "noise", "nothing")
    half = [latents(works(parts, blobs, inpaint(blobs, masked_content=content)))[0] for content in contents]
    assert all(not torch.allclose(one, other, atol=1e-3) for index, one in enumerate(half) for other in half[:index])
    assert all(torch.equal(one[..., 5:], half[0][..., 5:]) or content == "fill" for one, content in zip(half, contents, strict=True))
    full = [latents(works(parts, blobs, inpaint(blobs, masked_content=content, strength=1.0)))[0] for content in ("original", "fill")]
    assert not torch.equal(*full)


def test_img2img_brings_the_picture_to_the_size_in_four_ways(parts: dict[str, Any], blobs: Blobs) -> None:
    image = blobs.add(picture((120, 64)))
    given = {"image": image, "strength": 0.5, "scheduler": "ddim"}
    every = [made(parts, blobs, request("img2img", resize_mode=mode, **given))[0] for mode in ("stretch", "crop", "fill", "latent")]
    assert all(one.shape == (64, 64, 3) for one in every)
    assert all((one != other).any() for index, one in enumerate(every) for other in every[:index])
    cut = blobs.add(picture((120, 64)).crop((28, 0, 92, 64)))
    assert np.array_equal(every[1], made(parts, blobs, request("img2img", **given | {"image": cut}))[0])


def test_colours_noise_and_loops_of_img2img(parts: dict[str, Any], blobs: Blobs) -> None:
    source = picture().point(lambda value: value // 3)
    given = {"image": blobs.add(source), "strength": 0.75, "scheduler": "ddim"}
    plain, true, louder, twice = made(
        parts,
        blobs,
        *(request("img2img", **given, **more) for more in ({}, {"color_correction": True}, {"noise_multiplier": 1.2}, {"loops": 2})),
    )
    off = [np.abs(one.mean((0, 1)) - np.asarray(source).mean((0, 1))).max() for one in (plain, true)]
    assert off[1] < 12 and off[1] < off[0]
    assert (louder != plain).any() and (twice != plain).any()
    steps = of(works(parts, blobs, request("img2img", loops=3, **given)), Developed)
    assert set(safetensors.torch.load(steps[0].latents)) == {"latents.0", "latents.1", "latents"}


@pytest.mark.parametrize("options", [{"inpaint_area": "masked", "padding": 4}, {"soft_inpainting": True}, {"masked_content": "fill"}])
def test_inpainting_checkpoints_take_them_too(tmp_path: Path, blobs: Blobs, options: dict[str, Any]) -> None:
    nine = toy_components(tmp_path, in_channels=9)
    (done,) = made(nine, blobs, inpaint(blobs, ODD, **options))
    assert done.shape == (77, 131, 3)


# -- rounds in the engine ------------------------------------------------------------------------------------------------

SPOTS = mask(ODD, (4, 4, 30, 30), (80, 40, 128, 70))


def test_latents_kept_of_several_rounds_give_the_same_picture_after_a_crash(parts: dict[str, Any], blobs: Blobs) -> None:
    asked = inpaint(blobs, ODD, SPOTS, separately=True, inpaint_area="masked", loops=2, color_correction=True)
    first = works(parts, blobs, asked)
    (kept,) = of(first, Developed)
    assert len(safetensors.torch.load(kept.latents)) == 4
    (whole,) = of(first, Decoded)
    (again,) = made(parts, blobs, Work("0", asked, latents={0: kept.latents}))
    assert np.array_equal(again, np.asarray(Image.open(io.BytesIO(whole.data))))


def test_several_pictures_in_rounds_are_what_each_is_alone_and_a_recipe_repeats_it(parts: dict[str, Any], blobs: Blobs) -> None:
    asked = inpaint(blobs, ODD, SPOTS, separately=True, soft_inpainting=True, num_images_per_prompt=3, outpaint_right=8)
    together = works(parts, blobs, asked)
    alone = [asked.of_picture(index) for index in range(3)]
    each = latents(together)
    for index, one in enumerate(alone):
        assert torch.allclose(each[index], latents(works(parts, blobs, one))[0], atol=1e-4)
    (done,) = of(works(parts, blobs, alone[1]), Decoded)
    repeated = parse(recipe.from_picture(done.data).recipe.request)
    assert repeated == alone[1]
    assert np.array_equal(made(parts, blobs, repeated)[0], np.asarray(Image.open(io.BytesIO(done.data))))


@pytest.mark.parametrize(("size", "overlap"), [((256, 256), 32), ((300, 170), 64), ((512, 200), 16)])
def test_tiles_fade_into_their_neighbours_on_every_side(size: tuple[int, int], overlap: int) -> None:
    """Tiles of quite different greys: nowhere is there a step, and where one lies alone it is what was made."""
    canvas = Image.new("RGB", size)
    laid = tiles(size, (128, 128), overlap)
    alone = np.zeros((size[1], size[0]), int)
    for index, tile in enumerate(laid):
        assert tile.box is not None
        left, top, right, bottom = tile.box
        alone[top:bottom, left:right] += 1
        canvas = tile.stitched(Image.new("RGB", (right - left, bottom - top), (index * 97 % 256,) * 3), canvas)
    grey = np.asarray(canvas, int)[..., 0]
    steepest = 255 / overlap * 1.5 + 3  # on both sides of a crossing two of them fade at once
    assert max(np.abs(np.diff(grey, axis=axis)).max() for axis in (0, 1)) <= steepest
    for index, tile in enumerate(laid):
        left, top, right, bottom = tile.box or (0, 0, 0, 0)
        own = (alone[top:bottom, left:right] == 1) & (grey[top:bottom, left:right] != index * 97 % 256)
        assert not own.any()
