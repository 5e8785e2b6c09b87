"""Latents to pixels, with less and less memory before giving up, and never a black picture in silence."""

import copy
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from .components import Components
from .errors import BadNumbers, OutOfMemory
from .transfer import to_main

log = logging.getLogger(__name__)
T = TypeVar("T")
OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """torch has a class for it on accelerators, libraries below and the CPU only words."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in OUT_OF_MEMORY)


def free_memory() -> None:
    """Gives back what is held by nobody. Call it outside the `except` block, whose traceback still holds tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def decode(latents: Tensor, components: Components) -> Image.Image:
    """The RGB picture of final `latents` (1, c, h, w). Raises `BadNumbers` or `OutOfMemory` when nothing helped."""
    name = components.checkpoint
    require_numbers(latents, name)
    config = components.vae.config
    unscaled = latents.to(components.device) / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
    pixels = with_less_memory(components.vae, lambda vae: _decoded(vae, unscaled))
    if not bool(torch.isfinite(pixels).all()) and dtype_of(components.vae) != torch.float32:
        log.warning("The VAE of %s gave invalid numbers in %s; decoding again in float32", name, dtype_of(components.vae))
        pixels = with_less_memory(copied(components.vae, components.device), lambda vae: _decoded(vae, unscaled))
    if not bool(torch.isfinite(pixels).all()):
        raise BadNumbers(f"The VAE used with checkpoint {name!r} gave invalid numbers (NaN), also in float32; choose another VAE.")
    return to_picture(pixels)


def require_numbers(latents: Tensor, checkpoint: str) -> None:
    """Raises `BadNumbers` for latents with NaN or infinity in them."""
    if not bool(torch.isfinite(latents).all()):
        raise BadNumbers(f"The checkpoint {checkpoint!r} gave invalid numbers (NaN) and no picture; try another scheduler or size.")


def to_picture(pixels: Tensor) -> Image.Image:
    """RGB from (1, 3, h, w) in -1..1, rounded as diffusers does."""
    return to_pictures(pixels)[0]


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """RGB from (b, 3, h, w) in -1..1; what leaves the device are bytes, of all of them at once."""
    whole = (pixels.float() / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
    return [Image.fromarray(each.numpy()) for each in to_main(whole.permute(0, 2, 3, 1))]


def with_less_memory(vae: nn.Module, work: Callable[[nn.Module], T]) -> T:
    """`work(vae)`; if memory runs out, again in tiles, then on the CPU. Raises `OutOfMemory` after that."""
    ladder: list[tuple[str, Callable[[], T]]] = [("whole", lambda: work(vae))]
    if hasattr(vae, "use_tiling"):  # all have a method for it, which some refuse
        ladder.append(("in tiles", lambda: _tiled(vae, work)))
    if next(vae.parameters()).device.type != "cpu":
        ladder.append(("on the CPU", lambda: work(copied(vae, torch.device("cpu")))))
    for way, attempt in ladder:
        try:
            return attempt()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning("Not enough memory to run the VAE %s", way)
        free_memory()
    raise OutOfMemory("There is not enough memory to decode this picture, not even in tiles; choose a smaller size.")


def _decoded(vae: nn.Module, latents: Tensor) -> Tensor:
    first = next(vae.parameters())
    return vae.decode(latents.to(first.device, first.dtype), return_dict=False)[0]


def _tiled(vae: nn.Module, work: Callable[[nn.Module], T]) -> T:
    with _tiling(vae):
        return work(vae)


@contextmanager
def _tiling(vae: Any) -> Iterator[None]:
    before = vae.use_tiling
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.use_tiling = before


def copied(vae: nn.Module, device: torch.device) -> nn.Module:
    """A float32 copy on `device`; the shared module stays as it is and where it is."""
    weights = {name: tensor.to(device, torch.float32) for name, tensor in vae.state_dict().items()}
    with torch.device("meta"):
        fresh = type(vae).from_config(copy.deepcopy(vae.config))
    fresh.load_state_dict(weights, assign=True)
    return fresh.eval()


def dtype_of(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
