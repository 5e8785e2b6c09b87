"""Networks of preprocessors at work: loaded with transformers, run on a picture, and what they told kept for the next job."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .. import loading_memory
from ..decode import is_out_of_memory
from ..errors import BadNumbers, BadPicture, CheckpointError, OutOfMemory
from ..families.parts import read_json
from ..headers import Stamp
from ..pictures import open_rgb
from ..resizing import LANCZOS
from .estimates import Estimate
from .kept import Kept
from .networks import KINDS, NetworkInfo

log = logging.getLogger(__name__)

LARGEST = 1024
"""Pixels along the longer side of what is told; networks themselves see less."""
_KEPT_BYTES = 128 * 2**20  # of what was told: some thirty pictures
# Weights that models have and do not use, and that their files may leave out.
_UNUSED = ("fusion_stage.layers.0.residual_layer1.", "auxiliary_head.", "pooler.")


@dataclass(frozen=True, eq=False)
class Network:
    """In evaluation mode, float32; `processor` prepares pictures for it."""

    info: NetworkInfo
    module: torch.nn.Module
    processor: Any


class Networks:
    """What is kept from job to job: networks that nobody uses, and what they told of pictures. `told` is thread-safe but for two
    who use one network at once."""

    def __init__(self) -> None:
        self._kept = Kept[Network](lambda network: loading_memory.module_bytes(network.module))
        self._told: OrderedDict[tuple[Any, str], Estimate] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()

    def told(self, info: NetworkInfo, picture: str, blobs: Callable[[str], bytes], device: torch.device) -> Estimate:
        """What the network tells of a picture by its id, at most `LARGEST` pixels wide or high. Raises `BadPicture`,
        `CheckpointError`, `OutOfMemory`, `BadNumbers`."""
        key = (info.stamps, picture)
        with self._lock:
            if key in self._told:
                self._told.move_to_end(key)
                return self._told[key]
        shown = within(open_rgb(blobs(picture)))
        with self._kept.acquire(info.stamps, device, lambda: load(info, device)) as network:
            estimate = estimated(network, shown, device)
        with self._lock:
            self._told[key] = estimate
            while sum(each.nbytes for each in self._told.values()) > _KEPT_BYTES:
                self._told.popitem(last=False)
        return estimate

    def kept_bytes(self) -> int:
        return self._kept.kept_bytes()

    def spare(self) -> bool:
        return self._kept.spare()


def within(picture: Image.Image, largest: int = LARGEST) -> Image.Image:
    """The picture, made smaller if a side is longer."""
    factor = largest / max(picture.size)
    if factor >= 1:
        return picture
    return picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))), LANCZOS)


def load(info: NetworkInfo, device: torch.device) -> Network:
    """Reads nothing but the folder. Raises `CheckpointError`, `OutOfMemory`."""
    if info.broken or info.architecture not in KINDS:
        raise CheckpointError(info.broken or f"{info.name} is no network of preprocessors.")
    if any(Stamp.of(stamp.path) != stamp for stamp in info.stamps):  # a file cut short after mapping would end the process
        raise CheckpointError(f"{info.name} has changed while it was being read; try again.")
    with _sentences(info, "cannot be read"):
        made = getattr(transformers, info.architecture)
        prepares = getattr(transformers, f"{KINDS[info.architecture].processor}ImageProcessorPil")
        config = made.config_class.from_dict(read_json(info.path / "config.json"))
        processor = prepares.from_dict(read_json(info.path / "preprocessor_config.json"))
        module, found = made.from_pretrained(
            info.path, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        _require_whole(info, module, found)
        return Network(info, module.to(device).eval().requires_grad_(False), processor)


def _require_whole(info: NetworkInfo, module: torch.nn.Module, found: dict[str, Any]) -> None:
    missing = sorted(name for name in found["missing_keys"] if not any(part in name for part in _UNUSED))
    if missing:
        raise CheckpointError(
            f"{info.name} is incomplete: it lacks {missing[0]!r}{f' and {len(missing) - 1} more' if missing[1:] else ''}."
        )
    damaged = next((name for name, tensor in module.state_dict().items() if not bool(torch.isfinite(tensor).all())), None)
    if damaged:
        raise CheckpointError(f"{info.name} is damaged: its weight {damaged!r} is not finite.")


@torch.no_grad()
def estimated(network: Network, picture: Image.Image, device: torch.device) -> Estimate:
    """What it tells of an RGB picture, at the size of that. Raises `BadPicture`, `OutOfMemory`, `BadNumbers`."""
    info, size = network.info, (picture.height, picture.width)
    try:
        pixels: Tensor = network.processor(images=picture, return_tensors="pt")["pixel_values"]
    except (ValueError, ZeroDivisionError):  # its rules leave nothing of a picture that is very long
        pixels = torch.empty(0)
    if not pixels.numel():
        raise BadPicture(f"{info.name} can make nothing of a picture of {picture.width} × {picture.height} pixels.", "image")
    with _sentences(info, "could not be used"):
        told = network.module(pixel_values=pixels.to(device, torch.float32))
    found = SimpleNamespace(**{name: value.cpu() if isinstance(value, Tensor) else value for name, value in told.items()})
    if info.task == "segmentation":
        return _coloured(network.processor.post_process_semantic_segmentation(found, target_sizes=[size])[0].numpy(), info)
    padded = bool(getattr(network.processor, "do_pad", False)) and KINDS[info.architecture].processor == "ZoeDepth"
    distances = fitted(found.predicted_depth, size, padded).numpy()
    if not np.isfinite(distances).all():
        raise BadNumbers(f"{info.name} gave numbers that are not finite.")
    return nearness(distances, info.metric)


def fitted(told: Tensor, size: tuple[int, int], padded: bool) -> Tensor:
    """(1, h, w) as (height, width) of the picture, as transformers' processors do it; ZoeDepth's pictures are `padded` by the root of
    their sides."""
    pad = [int(np.sqrt(side / 2) * 3) if padded else 0 for side in size]
    around = [side + 2 * more for side, more in zip(size, pad, strict=True)]
    whole = torch.nn.functional.interpolate(told[None].float(), size=around, mode="bicubic", align_corners=False)[0, 0]
    return whole[pad[0] : pad[0] + size[0], pad[1] : pad[1] + size[1]]


def nearness(values: NDArray[np.float32], metric: bool) -> NDArray[np.float32]:
    """From 0, the farthest, to 1. Networks tell nearness (the inverse of distance, but for scale and shift) or, `metric`, distance;
    the nearest hundredth of distances counts alike, so that one speck does not darken the rest."""
    if metric:
        values = 1 / np.maximum(values, max(float(np.percentile(values, 1)), 1e-3))
    low, high = float(values.min()), float(values.max())
    return ((values - low) / (high - low) if high > low else np.zeros_like(values)).astype(np.float32)


def _coloured(classes: NDArray[np.integer], info: NetworkInfo) -> NDArray[np.uint8]:
    colours = np.zeros((max(int(classes.max()) + 1, len(info.colours)), 3), dtype=np.uint8)
    colours[: len(info.colours)] = info.colours
    return colours[classes]


@contextmanager
def _sentences(info: NetworkInfo, what: str) -> Iterator[None]:
    try:
        yield
    except (CheckpointError, OutOfMemory):
        raise
    except Exception as error:  # whatever a configuration from elsewhere makes a constructor or a layer raise
        if is_out_of_memory(error):
            raise OutOfMemory(f"There is not enough memory for {info.name}.") from None
        log.warning("%s %s", info.name, what, exc_info=error)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise CheckpointError(f"{info.name} {what}: {reason}.") from None
