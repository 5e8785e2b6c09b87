"""Final latents of a clip to its frames, a number of them at a time, and fewer where memory is short."""

import logging
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor, nn

from .components import Components
from .decode import copied, dtype_of, free_memory, is_out_of_memory, require_numbers, to_picture
from .errors import BadNumbers, OutOfMemory

log = logging.getLogger(__name__)


def frames_of(latents: Tensor, components: Components, at_once: int = 0) -> list[Image.Image]:
    """The RGB frames of final `latents` (1, frames, c, h, w), decoded `at_once` (0: all) at a time, as diffusers does.

    Frames that are decoded together are smooth together. Raises `BadNumbers` or `OutOfMemory` when nothing helped.
    """
    name, vae = components.checkpoint, components.vae
    require_numbers(latents, name)
    unscaled = 1 / vae.config.scaling_factor * latents[0].to(components.device)
    frames = _with_less_memory(vae, unscaled, at_once or len(unscaled))
    if frames is None and dtype_of(vae) != torch.float32:
        log.warning("The VAE of %s gave invalid numbers in %s; decoding again in float32", name, dtype_of(vae))
        frames = _with_less_memory(copied(vae, components.device), unscaled, at_once or len(unscaled))
    if frames is None:
        raise BadNumbers(f"The VAE of checkpoint {name!r} gave invalid numbers (NaN) and no clip.")
    return frames


def _with_less_memory(vae: nn.Module, latents: Tensor, at_once: int) -> list[Image.Image] | None:
    """Half as many frames at a time whenever memory runs out, at last one by one on the CPU."""
    while at_once:
        try:
            return _decoded(vae, latents, at_once)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning("Not enough memory to decode %d frames at once", at_once)
        free_memory()
        at_once //= 2
    if latents.device.type != "cpu":
        return _decoded(copied(vae, torch.device("cpu")), latents.cpu(), 1)
    raise OutOfMemory("There is not enough memory to decode this clip, not even frame by frame; choose a smaller size.")


def _decoded(vae: nn.Module, latents: Tensor, at_once: int) -> list[Image.Image] | None:
    """None where a number is not finite."""
    frames: list[Image.Image] = []
    for pixels in _chunks(vae, latents, at_once):
        if not bool(torch.isfinite(pixels).all()):
            return None
        frames += [to_picture(frame[None]) for frame in pixels]
    return frames


def _chunks(vae: nn.Module, latents: Tensor, at_once: int) -> Iterator[Tensor]:
    weight = next(vae.parameters())
    for part in latents.split(at_once):
        yield vae.decode(part.to(weight), num_frames=len(part), return_dict=False)[0]
