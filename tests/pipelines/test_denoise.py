"""The loop as a coroutine: what it asks, what it makes of the answers, and what inpainting keeps."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

from pipelines.denoise import Guidance, Predict, Told
from pipelines.encode import source
from pipelines.inpaint import Known
from pipelines.masks import feather
from pipelines.names import SCHEDULERS
from pipelines.plan import Decode, Denoise, EncodePicture, EncodePrompt, plan
from pipelines.repaint import rounds_of
from pipelines.samplers import Model, Stepped
from pipelines.starts import Material, Pass, develop
from tests.pipelines.engines import Blobs, Shelf, components, engine, latents, request, run, toy
from tests.toys import toy_components

OWN = [name for name, spec in SCHEDULERS.items() if spec.sampler]
SHAPE = (4, 8, 8)
ASKED = Model(torch.zeros(1, *SHAPE), torch.tensor(500.0))
WORDS = {"encoder_hidden_states": torch.zeros(2, 77, 16)}


def material(tmp_path: Path, scheduler: str = "ddim", **fields: object) -> Material:
    parts = toy(tmp_path)
    denoise = next(stage for stage in plan(request(scheduler=scheduler, **fields), parts) if isinstance(stage, Denoise))
    told = (Told(denoise.steps_run, WORDS),)
    return Material((Pass(denoise, SCHEDULERS[scheduler], parts.scheduler_config, told),), torch.device("cpu"))


def test_a_plan_is_prompt_picture_denoise_decode(tmp_path: Path) -> None:
    parts = toy(tmp_path)
    prompt, denoise, decode = plan(request(), parts)
    assert prompt == EncodePrompt(("a cat",), ("",), True, 0, "a1111", "original", 4, 64, 64) and decode == Decode()
    assert (denoise.shape, denoise.start, denoise.known) == (SHAPE, "noise", None)
    given = {"image": "0" * 64, "mask_image": "1" * 64}
    _, picture, denoise, decode = plan(request("inpaint", guidance_scale=1, strength=0.5, num_inference_steps=10, **given), parts)
    assert picture == EncodePicture(64, 64) and decode == Decode()
    assert (denoise.first, denoise.last, denoise.start, denoise.known) == (5, 10, "picture", "latents")
    assert not plan(request(guidance_scale=1), parts)[0].guided


def test_it_asks_for_both_rows_and_takes_the_guided_one(tmp_path: Path) -> None:
    loop = develop(material(tmp_path, num_inference_steps=2, guidance_scale=3.0), seed=5)
    asked = next(loop)
    assert isinstance(asked, Predict) and asked.latents.shape == (2, *SHAPE)
    assert torch.equal(asked.latents[0], torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(5))[0])
    assert asked.timestep.tolist() == [501.0, 501.0] and asked.conditioning is WORDS
    stepped = loop.send(torch.cat([torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE)]))
    assert isinstance(stepped, Stepped) and stepped.index == 1 and stepped.denoised.shape == (1, *SHAPE)
    assert isinstance(next(loop), Predict)
    loop.close()


def test_guidance_is_diffusers_arithmetic() -> None:
    told = Told(4, WORDS)
    guidance = Guidance((told,), 7.5)
    output = torch.randn(2, *SHAPE)
    assert torch.equal(guidance.combine(output, told, ASKED), output[:1] + 7.5 * (output[1:] - output[:1]))
    assert torch.equal(guidance.combine(output[:1], told, ASKED), output[:1])
    extra = Guidance((told,), 7.5, channels=torch.ones(1, 5, 8, 8)).ask(Model(torch.zeros(1, *SHAPE), torch.tensor(3)), 0)
    assert extra.latents.shape == (2, 9, 8, 8) and extra.latents[:, 4:].min() == 1 and extra.timestep.tolist() == [3.0, 3.0]


def test_several_prompts_pull_with_their_own_weights() -> None:
    told = Told(4, {"encoder_hidden_states": torch.zeros(3, 77, 16)}, (1.0, -0.5))
    output = torch.randn(3, *SHAPE)
    negative, one, other = output.split(1)
    expected = negative + 3 * (one - negative) - 1.5 * (other - negative)
    torch.testing.assert_close(Guidance((told,), 3.0).combine(output, told, ASKED), expected)


def test_what_is_told_changes_with_the_steps(tmp_path: Path) -> None:
    first, then = Told(1, WORDS), Told(4, {"encoder_hidden_states": torch.ones(2, 77, 16)})
    one = material(tmp_path).passes[0]
    loop = develop(Material((replace(one, told=(first, then)),), torch.device("cpu")), seed=5)
    heard, reply = [], None
    try:
        while True:
            said = loop.send(reply)
            asked = isinstance(said, Predict)
            heard += [said.conditioning] if asked else []
            reply = torch.zeros(2, *SHAPE) if asked else None
    except StopIteration:
        pass
    assert heard == [WORDS, WORDS, then.conditioning, then.conditioning]


@pytest.mark.parametrize("task", ["txt2img", "img2img"])
def test_our_euler_on_the_normal_schedule_is_diffusers_euler(tmp_path: Path, task: str) -> None:
    parts, blobs = toy_components(tmp_path), Blobs()
    picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    given = {} if task == "txt2img" else {"image": blobs.add(picture), "strength": 0.6}
    ours = latents(run(engine(Shelf(toy=components(parts)), blobs), request(task, num_inference_steps=10, **given)))[0]
    scheduler = EulerDiscreteScheduler.from_config(parts["scheduler"].config, timestep_spacing="linspace")
    pipeline = {"txt2img": StableDiffusionPipeline, "img2img": StableDiffusionImg2ImgPipeline}[task](**parts | {"scheduler": scheduler})
    pipeline.set_progress_bar_config(disable=True)
    size = {"width": 64, "height": 64} if task == "txt2img" else {"image": picture, "strength": 0.6}
    seed = torch.Generator().manual_seed(7)
    theirs = pipeline("a cat", num_inference_steps=10, guidance_scale=5.0, generator=seed, output_type="latent", **size).images
    assert (ours - theirs).abs().max() < 1e-4 * theirs.std()


@pytest.mark.parametrize("strength", [0.4, 1.0])
@pytest.mark.parametrize("scheduler", OWN)
def test_our_samplers_carry_the_kept_latents_along_exactly(tmp_path: Path, scheduler: str, strength: float) -> None:
    parts, blobs = toy(tmp_path), Blobs()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    given = {"image": blobs.add(Image.effect_noise((64, 64), 90).convert("RGB")), "mask_image": blobs.add(mask)}
    asked = request("inpaint", scheduler=scheduler, strength=strength, num_inference_steps=6, **given)
    made = latents(run(engine(Shelf(toy=parts), blobs), asked))[0]
    with torch.no_grad():
        pixels = EncodePicture(64, 64)
        encoded = source(pixels, rounds_of(asked, mask)[0], Image.open(io.BytesIO(blobs[given["image"]])), parts)
        kept = encoded.sample(torch.Generator().manual_seed(7))
    assert torch.allclose(made[..., 4:], kept[..., 4:], atol=1e-5 * float(kept.std()))
    assert not torch.allclose(made[..., :4], kept[..., :4], atol=0.1)


def test_the_kept_part_is_shown_as_it_is() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    known = Known(torch.full((1, *SHAPE), 3.0), torch.ones(1, *SHAPE), mask)
    shown = known.shown(Stepped(1, 2, torch.zeros(1, *SHAPE), torch.zeros(1, *SHAPE))).denoised
    assert shown[..., :4].eq(0).all() and shown[..., 4:].eq(3).all()


def painted(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


@pytest.mark.parametrize("size", [(64, 64), (131, 77)])
def test_what_is_black_in_the_mask_comes_back_bit_for_bit_at_the_size_of_the_source(size: tuple[int, int]) -> None:
    kept = Image.effect_noise(size, 90).convert("RGB")
    mask = painted(size, (10, 20, 60, 50))
    mask.putpixel((0, 0), 1)
    (round,) = rounds_of(request("inpaint", image="0" * 64, mask_image="1" * 64), mask)
    pasted = round.stitched(Image.new("RGB", (64, 64), "red"), kept)
    black = np.asarray(mask) == 0
    assert pasted.size == size
    assert np.array_equal(np.asarray(pasted)[black], np.asarray(kept)[black])
    assert pasted.getpixel((35, 35)) == (255, 0, 0)


def test_the_edge_is_soft_only_inside_and_the_border_of_the_picture_is_no_edge() -> None:
    mask = painted((200, 100), (50, 0, 150, 100))
    soft = np.asarray(feather(mask, 4))
    assert (soft <= np.asarray(mask)).all() and (soft[:, 54:146] == 255).all()
    assert (soft[:, :50] == 0).all() and list(soft[50, 50:55]) == [51, 102, 153, 204, 255]
    assert np.array_equal(soft[0], soft[50]) and np.array_equal(soft[99], soft[50])


def test_thin_strokes_and_empty_or_full_masks_stay_as_they_are() -> None:
    for mask in (painted((64, 64), (30, 0, 32, 64)), Image.new("L", (64, 64)), Image.new("L", (64, 64), 255)):
        assert np.array_equal(np.asarray(feather(mask, 4)), np.asarray(mask))
