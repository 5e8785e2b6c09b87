"""Latents become pixels on every rung of the ladder, and invalid numbers are noticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from pipelines.components import Components
from pipelines.decode import decode, is_out_of_memory, with_less_memory
from pipelines.errors import BadNumbers, OutOfMemory
from tests.pipelines.engines import toy
from tests.toys import toy_components


@pytest.fixture
def components(tmp_path: Path) -> Components:
    return toy(tmp_path)


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn((1, 4, 16, 24), generator=torch.Generator().manual_seed(1))


class Scarce:
    """A VAE's decoder without memory for more than `pixels` latent pixels at once."""

    def __init__(self, vae: Any, pixels: int) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.pixels = pixels
        self.hook = vae.decoder.register_forward_pre_hook(self.check)

    def check(self, module: object, args: tuple) -> None:
        self.seen.append(tuple(args[0].shape[2:]))
        if args[0].shape[2] * args[0].shape[3] > self.pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_pixels_are_those_of_diffusers(tmp_path: Path, latents: torch.Tensor) -> None:
    parts = toy_components(tmp_path)
    pipeline = StableDiffusionPipeline(**parts)
    with torch.no_grad():
        image = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor, return_dict=False)[0]
    (theirs,) = pipeline.image_processor.postprocess(image, "pil")
    with torch.inference_mode():
        ours = decode(latents, toy(tmp_path))
    assert ours.size == (192, 128) and ours.mode == "RGB"
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_without_memory_for_the_whole_it_is_decoded_in_tiles(components: Components, latents: torch.Tensor) -> None:
    scarce = Scarce(components.vae, 8 * 8)
    picture = decode(latents, components)
    assert picture.size == (192, 128)
    assert scarce.seen[0] == (16, 24) and len(scarce.seen) > 2
    assert components.vae.use_tiling is False


def test_without_memory_for_a_tile_either_it_is_a_sentence(components: Components, latents: torch.Tensor) -> None:
    Scarce(components.vae, 0)
    with pytest.raises(OutOfMemory, match="not enough memory to decode"):
        decode(latents, components)
    assert components.vae.use_tiling is False


def test_on_an_accelerator_the_cpu_is_the_last_rung(components: Components) -> None:
    elsewhere = components.vae.to("meta")  # a device that is not the CPU, and that every machine has
    tried: list[str] = []

    def work(vae: torch.nn.Module) -> str:
        tried.append(next(vae.parameters()).device.type)
        if tried[-1] == "meta":
            raise torch.OutOfMemoryError("out of memory")
        return "made"

    with pytest.raises(NotImplementedError):  # weights cannot be copied out of meta: but that is where it went
        with_less_memory(elsewhere, work)
    assert tried == ["meta", "meta"]


@pytest.mark.parametrize("message", ["CUDA out of memory.", "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"])
def test_both_words_for_out_of_memory_are_known(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))
    assert not is_out_of_memory(RuntimeError("shape mismatch")) and not is_out_of_memory(ValueError(message))


def test_another_error_is_not_taken_for_it(components: Components, latents: torch.Tensor) -> None:
    calls = []

    def broken(vae: torch.nn.Module) -> None:
        calls.append(1)
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        with_less_memory(components.vae, broken)
    assert len(calls) == 1


def test_a_vae_that_overflows_in_half_precision_is_run_again_in_single(components: Components, latents: torch.Tensor) -> None:
    whole = np.asarray(decode(latents, components), dtype=int)
    components.vae.to(torch.bfloat16)
    components.vae.decoder.conv_out.register_forward_hook(
        lambda module, args, output: output / 0 if output.dtype == torch.bfloat16 else output
    )
    again = np.asarray(decode(latents, components), dtype=int)
    assert abs(whole - again).mean() < 8  # the weights were rounded to bfloat16
    assert next(components.vae.parameters()).dtype == torch.bfloat16


def test_nan_in_latents_or_in_every_picture_is_a_sentence(components: Components, latents: torch.Tensor) -> None:
    with pytest.raises(BadNumbers, match="checkpoint 'toy' gave invalid numbers"):
        decode(latents * float("nan"), components)
    with torch.no_grad():
        components.vae.decoder.conv_out.bias.fill_(float("inf"))
    with pytest.raises(BadNumbers, match="VAE used with checkpoint 'toy'"):
        decode(latents, components)


def test_extremes_are_clamped_not_wrapped(components: Components, latents: torch.Tensor) -> None:
    with torch.no_grad():
        components.vae.decoder.conv_out.bias.fill_(50)
    assert decode(latents, components).getextrema() == ((255, 255),) * 3
