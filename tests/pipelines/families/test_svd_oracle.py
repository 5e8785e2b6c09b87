"""Stable Video Diffusion through the one loop: latents and frames are those of diffusers' pipeline, alone and in batches."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import _resize_with_antialiasing
from PIL import Image

from pipelines.clips import frames_of
from pipelines.components import Components
from pipelines.families import FAMILIES
from pipelines.families.svd_code import resized
from pipelines.names import SCHEDULERS, SchedulerSpec
from pipelines.openings import in_shape
from pipelines.request import Img2Vid
from tests.pipelines.engines import Blobs, Engine, Shelf, latents, run
from tests.pipelines.families.svd_toys import FRAMES, toy_svd

FAMILY = FAMILIES["svd"]
CLASS = {"euler_class": SchedulerSpec("Euler", cls="EulerDiscreteScheduler")}
ALL = dict(SCHEDULERS) | CLASS


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return toy_svd()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((144, 96), Image.Resampling.BICUBIC)


def components(parts: dict[str, Any]) -> Components:
    modules = {name: parts[name] for name in ("image_encoder", "unet", "vae")}
    config = {"_class_name": "EulerDiscreteScheduler", **parts["scheduler"].config}
    return Components("toy", "automatic", FAMILY, modules, {}, config, torch.device("cpu"), torch.float32)


def asked(blobs: Blobs, picture: Image.Image, **fields: Any) -> Img2Vid:
    given = {
        "checkpoint": "toy", "image": blobs.add(picture), "width": 96, "height": 64, "num_frames": FRAMES, "num_inference_steps": 4,
        "seed": 7, "scheduler": "euler_class", "fps": 6, "motion_bucket_id": 100, "noise_aug_strength": 0.1,
    }  # fmt: skip
    return Img2Vid(**given | fields)


def ours(parts: dict[str, Any], blobs: Blobs, *requests: Img2Vid, **options: Any) -> list[dict[int, torch.Tensor]]:
    engine = Engine(Shelf(toy=components(parts)), ALL, {}, blobs.__getitem__, previews=False, **options)
    events = run(engine, *requests)
    return [latents(events, str(job)) for job in range(len(requests))]


def theirs(parts: dict[str, Any], request: Img2Vid, picture: Image.Image, output_type: str = "latent") -> Any:
    pipeline = StableVideoDiffusionPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)
    names = (
        "width", "height", "num_frames", "num_inference_steps", "min_guidance_scale", "max_guidance_scale", "fps", "motion_bucket_id",
        "noise_aug_strength",
    )  # fmt: skip
    fields = {name: getattr(request, name) for name in names}
    chunk = request.decode_chunk_size or None
    generator = torch.Generator().manual_seed(request.seed)
    return pipeline(picture, **fields, decode_chunk_size=chunk, generator=generator, output_type=output_type).frames


@pytest.mark.parametrize("scales", [(1.0, 3.0), (1.0, 1.0), (2.0, 2.5)])
def test_latents_are_diffusers_to_the_bit(parts: dict[str, Any], picture: Image.Image, scales: tuple[float, float]) -> None:
    blobs = Blobs()
    request = asked(blobs, picture, min_guidance_scale=scales[0], max_guidance_scale=scales[1])
    found = ours(parts, blobs, request)[0][0]
    assert found.shape == (1, FRAMES, 4, 8, 12)
    assert torch.equal(found, theirs(parts, request, picture))


def test_our_own_sampler_is_diffusers_class(parts: dict[str, Any], picture: Image.Image) -> None:
    """Up to how far the first noise is scaled: diffusers takes sqrt(700² + 1) here, where ours takes 700."""
    blobs = Blobs()
    request = asked(blobs, picture)
    own = ours(parts, blobs, asked(blobs, picture, scheduler="euler"))[0][0]
    torch.testing.assert_close(own, theirs(parts, request, picture), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("at_once", [0, 2])
def test_frames_are_diffusers(parts: dict[str, Any], picture: Image.Image, at_once: int) -> None:
    blobs = Blobs()
    request = asked(blobs, picture, decode_chunk_size=at_once)
    found = frames_of(ours(parts, blobs, request)[0][0], components(parts), at_once)
    wanted = theirs(parts, request, picture, "pil")[0]
    assert [np.asarray(frame).tolist() for frame in found] == [np.asarray(frame).tolist() for frame in wanted]


def test_a_batch_is_the_same_clips(parts: dict[str, Any], picture: Image.Image) -> None:
    blobs = Blobs()
    alone = [ours(parts, blobs, asked(blobs, picture, seed=seed))[0][0] for seed in (7, 8, 9)]
    jobs = (asked(blobs, picture, num_images_per_prompt=2), asked(blobs, picture, seed=9))
    together = ours(parts, blobs, *jobs, max_batch=3)
    for one, found in zip(alone, (*together[0].values(), *together[1].values()), strict=True):
        torch.testing.assert_close(found, one, rtol=1e-3, atol=1e-3)


def test_row_by_row_is_the_same_clip(parts: dict[str, Any], picture: Image.Image) -> None:
    blobs = Blobs()
    request = asked(blobs, picture)
    rows = ours(parts, blobs, request, max_batch=0)[0][0]
    torch.testing.assert_close(rows, ours(parts, blobs, request)[0][0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (300, 500), (1024, 576)])
def test_what_clip_sees_is_resized_as_diffusers_does(size: tuple[int, int]) -> None:
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(resized(pixels, 224), _resize_with_antialiasing(pixels, (224, 224)), rtol=0, atol=1e-6)


def test_of_a_picture_of_another_shape_the_middle_is_taken() -> None:
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste("white", (100, 0, 200, 100))
    assert in_shape(wide, 64, 64).getextrema() == ((255, 255),) * 3
    assert in_shape(wide, 600, 200) is wide
    assert in_shape(wide, 100, 200).size == (50, 100)


def test_pictures_see_their_own_noise(parts: dict[str, Any], picture: Image.Image) -> None:
    """The noise over the picture is drawn anew for each seed; without it the clip keeps closer."""
    blobs = Blobs()
    noisy, clean = (ours(parts, blobs, asked(blobs, picture, noise_aug_strength=strength))[0][0] for strength in (0.5, 0.0))
    assert not torch.equal(noisy, clean)


def test_memory_that_is_short_is_shared_by_fewer_frames(parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    vae, sizes = parts["vae"], []
    decode = vae.decode

    def scarce(z: torch.Tensor, num_frames: int, return_dict: bool) -> Any:
        sizes.append(num_frames)
        if num_frames > 1:
            raise torch.OutOfMemoryError("not enough memory")
        return decode(z, num_frames=num_frames, return_dict=return_dict)

    monkeypatch.setattr(vae, "decode", scarce)
    with torch.no_grad():
        frames = frames_of(torch.randn(1, 4, 4, 8, 12), components(parts))
    assert sizes == [4, 2, 1, 1, 1, 1] and len(frames) == 4 and frames[0].size == (96, 64)


def test_a_picture_file_of_any_kind_will_do(parts: dict[str, Any], picture: Image.Image) -> None:
    jpeg = io.BytesIO()
    picture.convert("L").save(jpeg, "JPEG")
    blobs = Blobs()
    assert torch.isfinite(ours(parts, blobs, asked(blobs, picture, image=blobs.add(jpeg.getvalue())))[0][0]).all()
