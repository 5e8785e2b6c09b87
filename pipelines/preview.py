"""Frames of the clean estimate while pictures develop, as small JPEG, at a bounded share of the time."""

import io
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .components import Components
from .decode import to_pictures
from .rounds import Box, Round

log = logging.getLogger(__name__)

SHARE = 0.015  # of a job's time may go into its frames; with what they cost besides (cold caches, sending) it stays below 0.03
FEWEST_FRAMES = 4  # with fewer than these from the tiny decoder, the linear factors show more
SHORTEST_GAP = 1 / 20  # seconds between frames; nobody sees more
LONGEST_SIDE = 512  # pixels of one picture in a frame
QUALITY = 85
GUESSED_SECONDS_PER_PIXEL = {"cpu": 3e-6}  # of a tiny decoder before the first was measured
GUESSED_ELSEWHERE = 3e-8
LINEAR_SECONDS = 1e-3


@dataclass
class Budget:
    """What one job may still spend on frames: it earns `SHARE` of its time and pays for each frame; the first is on credit."""

    steps: int
    earned: float = 0.0
    spent: float = 0.0
    stepped: int = 0
    shown_at: float = -math.inf

    def worked(self, seconds: float, steps: int) -> None:
        """`seconds` of denoising that this job alone would have to answer for, which brought it `steps` steps further."""
        self.earned += SHARE * seconds
        self.stepped += steps

    def affords(self, cost: float) -> bool:
        if math.isinf(self.shown_at):
            return True
        return time.monotonic() - self.shown_at >= SHORTEST_GAP and self.spent + cost <= self.earned

    def frames(self, cost: float) -> float:
        """How many frames of this cost the whole job affords, as far as its steps so far tell."""
        return self.earned / max(self.stepped, 1) * self.steps / cost

    def paid(self, cost: float) -> None:
        self.spent += cost
        self.shown_at = time.monotonic()


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What lies around the part of a picture that a round makes: the whole at the size of frames, and the place of the part in it."""

    picture: Image.Image
    box: Box
    blend: Image.Image | None

    @classmethod
    def of(cls, now: Round, canvas: Image.Image | None) -> "Backdrop | None":
        """None where the round makes the whole picture."""
        if canvas is None or now.box is None:
            return None
        small = thumbnail(canvas.convert("RGB"))
        across, down = small.width / canvas.width, small.height / canvas.height
        left, top, right, bottom = (round(edge * share) for edge, share in zip(now.box, (across, down) * 2, strict=True))
        box = (left, top, max(right, left + 1), max(bottom, top + 1))
        return cls(small, box, now.blend and now.blend.resize((box[2] - left, box[3] - top), Image.Resampling.BILINEAR))

    def around(self, part: Image.Image) -> Image.Image:
        """The whole with this part in its place."""
        whole = self.picture.copy()
        whole.paste(part.resize((self.box[2] - self.box[0], self.box[3] - self.box[1])), self.box[:2], self.blend)
        return whole


@dataclass
class Previewer:
    """Makes frames for all jobs of an engine; learns what the tiny decoders cost here."""

    _costs: dict[tuple[Any, ...], float] = field(default_factory=dict)

    def frame(
        self,
        budget: Budget,
        denoised: Mapping[int, Tensor],
        finished: Mapping[int, Image.Image],
        cells: int,
        components: Components,
        backdrops: Mapping[int, Backdrop] | None = None,
    ) -> bytes | None:
        """JPEG of the clean estimates (1, c, h, w) by picture, before their `backdrops` and among `finished` ones in a grid of
        `cells`; None while none is due."""
        shape = next(iter(denoised.values())).shape
        key = (components.checkpoint, components.vae_name, components.device, len(denoised), shape)
        linear, tiny = self._linear_cost(key, components), self._tiny_cost(key, components)
        use_tiny = math.isfinite(tiny) and (math.isinf(linear) or budget.frames(tiny) >= FEWEST_FRAMES)
        cost = tiny if use_tiny else linear
        if math.isinf(cost) or not budget.affords(cost):
            return None
        finish_queued(components.device)  # or the wait for the denoiser's last kernels would count as the frame's
        began = time.perf_counter()
        try:
            pictures = _pictures(denoised, components, use_tiny)
            shown = {index: backdrops[index].around(each) if index in (backdrops or {}) else each for index, each in pictures.items()}
            frame = _jpeg(_mosaic({**finished, **shown}, cells))
        except Exception:  # whatever it is, most likely memory: a picture is worth more than its preview
            log.warning("No previews of %s %s any more", shape, "by the tiny decoder" if use_tiny else "at all", exc_info=True)
            self._costs[(*key, use_tiny)] = math.inf
            return None
        cost = time.perf_counter() - began
        budget.paid(cost)
        self._learn((*key, use_tiny), cost)
        return frame

    def _tiny_cost(self, key: tuple[Any, ...], components: Components) -> float:
        """Seconds; infinite where there is no tiny decoder or it does not work."""
        *_, count, shape = key
        if components.tiny_decoder is None or shape[1] != components.latent_channels:
            return math.inf
        pixels = count * shape[2] * shape[3] * components.vae_scale_factor**2
        guess = GUESSED_SECONDS_PER_PIXEL.get(components.device.type, GUESSED_ELSEWHERE)
        return self._costs.get((*key, True), pixels * guess)

    def _linear_cost(self, key: tuple[Any, ...], components: Components) -> float:
        if not components.looks(key[-1][1]).rgb_factors:
            return math.inf
        return self._costs.get((*key, False), LINEAR_SECONDS * key[-2])

    def _learn(self, key: tuple[Any, ...], cost: float) -> None:
        known = self._costs.get(key)
        # a single hiccup must not switch the method for good, nor a slow first call count for ever
        self._costs[key] = cost if known is None else min(cost, 0.7 * known + 0.3 * cost)


def _pictures(denoised: Mapping[int, Tensor], components: Components, use_tiny: bool) -> dict[int, Image.Image]:
    """One picture per estimate, of whatever pass: those of one shape together."""
    shapes = dict.fromkeys(latents.shape for latents in denoised.values())
    alike = [{picture: latents for picture, latents in denoised.items() if latents.shape == shape} for shape in shapes]
    return {picture: image for each in alike for picture, image in _alike(each, components, use_tiny).items()}


def _alike(denoised: Mapping[int, Tensor], components: Components, use_tiny: bool) -> dict[int, Image.Image]:
    """By the tiny decoder or by the linear factors and enlarged, no longer than `LONGEST_SIDE`."""
    latents = torch.cat(list(denoised.values()))
    scale = components.looks(latents.shape[1]).scale
    use_tiny = use_tiny and latents.shape[1] == components.latent_channels
    while use_tiny and max(latents.shape[2:]) * scale > 1.5 * LONGEST_SIDE:
        latents = torch.nn.functional.avg_pool2d(latents, 2)  # decoding half the size costs a quarter and shows as much
    pixels = _tiny(latents, components) if use_tiny else _linear(latents, components)
    pictures = to_pictures(pixels)
    height, width = next(iter(denoised.values())).shape[2:]
    shrink = min(1.0, LONGEST_SIDE / (max(height, width) * scale))
    size = (round(width * scale * shrink), round(height * scale * shrink))
    fitted = [picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC) for picture in pictures]
    return dict(zip(denoised, fitted, strict=True))


def still(denoised: Tensor, step: int) -> Tensor:
    """(1, c, h, w) of a clean estimate; of a clip's (1, frames, c, h, w) another frame in each step, so that it plays as it develops."""
    return denoised[:, step % denoised.shape[1]] if denoised.ndim == 5 else denoised


def thumbnail(image: Image.Image) -> Image.Image:
    """A finished picture at the size that it has in frames."""
    shrink = min(1.0, LONGEST_SIDE / max(image.size))
    return image.resize((round(image.width * shrink), round(image.height * shrink)), Image.Resampling.BICUBIC)


def _tiny(latents: Tensor, components: Components) -> Tensor:
    assert components.tiny_decoder is not None
    weight = next(components.tiny_decoder.parameters())
    return components.tiny_decoder.decode(latents.to(weight), return_dict=False)[0].float()


def _linear(latents: Tensor, components: Components) -> Tensor:
    """(b, 3, h, w) in -1..1: one matrix product per latent pixel."""
    looks = components.looks(latents.shape[1])
    factors, bias = (torch.tensor(numbers, device=latents.device) for numbers in (looks.rgb_factors, looks.rgb_bias))
    return torch.einsum("bchw,cr->brhw", latents, factors) + bias[:, None, None]


def _mosaic(pictures: Mapping[int, Image.Image], cells: int) -> Image.Image:
    """The pictures at their places in a grid that stays the same while more of them begin; at most twice `LONGEST_SIDE` long."""
    if cells == 1:
        return next(iter(pictures.values()))
    width, height = max(picture.size for picture in pictures.values())
    columns = math.ceil(math.sqrt(cells))
    grid = Image.new("RGB", (columns * width, math.ceil(cells / columns) * height))
    for index, picture in pictures.items():
        grid.paste(picture, (index % columns * width, index // columns * height))
    grid.thumbnail((2 * LONGEST_SIDE, 2 * LONGEST_SIDE))
    return grid


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def finish_queued(device: torch.device) -> None:
    """Waits until an accelerator has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
