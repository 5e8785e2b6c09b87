"""Stable Cascade's latents and pictures are those of diffusers' two pipelines, one after the other."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.builtin.cascade import Cascade
from pipelines.events import Decoded
from pipelines.request import Request
from tests.pipelines.engines import Shelf, engine, latents, of, request, run
from tests.pipelines.families.cascade_toys import CASCADE, components, pipelines, toy_parts

STEPS = CASCADE.settings.decoder_steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cascade")


@pytest.fixture(scope="module")
def parts(folder: Path) -> dict[str, Any]:
    return toy_parts(folder)


@pytest.fixture(scope="module")
def shelf(parts: dict[str, Any], folder: Path) -> Shelf:
    return Shelf(toy=components(parts, folder))


def asked(**given: Any) -> Request:
    return request(**{"scheduler": "wuerstchen", "width": 128, "height": 128, "guidance_scale": 4.0, "negative_prompt": "dog"} | given)


def theirs(parts: dict[str, Any], asked: Request, output_type: str = "latent", steps: int = STEPS, guidance_scale: float = 0.0) -> Any:
    prior, decoder = pipelines(parts)
    generator = torch.Generator().manual_seed(asked.seed)
    laid_out = prior(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        width=asked.width,
        height=asked.height,
        num_inference_steps=asked.num_inference_steps,
        guidance_scale=asked.guidance_scale,
        generator=generator,
    ).image_embeddings
    return decoder(
        image_embeddings=laid_out,
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=generator,
        output_type=output_type,
    ).images


@pytest.mark.parametrize("size", [(128, 128), (256, 128)])
def test_unguided_latents_are_diffusers_to_the_bit(parts: dict[str, Any], shelf: Shelf, size: tuple[int, int]) -> None:
    wanted = asked(guidance_scale=1.0, width=size[0], height=size[1])
    made = latents(run(engine(shelf, previews=False), wanted))[0]
    assert made.shape == (1, 4, size[1] // 4, size[0] // 4)
    assert torch.equal(made, theirs(parts, wanted))


def test_guided_latents_and_pictures_are_diffusers(parts: dict[str, Any], shelf: Shelf) -> None:
    """To the last rounding: diffusers interpolates between the two predictions here, and adds their difference everywhere else."""
    wanted = asked()
    events = run(engine(shelf, previews=False), wanted)
    torch.testing.assert_close(latents(events)[0], theirs(parts, wanted), rtol=1e-4, atol=1e-4)
    ours = np.asarray(Image.open(io.BytesIO(of(events, Decoded)[0].data)), dtype=int)
    assert abs(ours - np.asarray(theirs(parts, wanted, "pil")[0], dtype=int)).max() <= 1
    assert not torch.allclose(latents(events)[0], theirs(parts, asked(guidance_scale=1.0)), atol=1e-2)


def test_a_guided_decoder_is_diffusers_too(parts: dict[str, Any], shelf: Shelf) -> None:
    """It is told nothing of the prior's latents where it is told the negative."""
    wanted = asked(modifiers={"cascade": {"num_inference_steps": 4, "guidance_scale": 1.6}})
    made = latents(run(engine(shelf, modifiers={"cascade": Cascade()}, previews=False), wanted))[0]
    torch.testing.assert_close(made, theirs(parts, wanted, steps=4, guidance_scale=1.6), rtol=1e-4, atol=1e-4)
