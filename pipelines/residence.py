"""Where the components of a checkpoint live when they do not all fit on the device: a decision from numbers alone.

What is exact comes first: text encoders, then the VAE, then the denoiser wait in main memory and visit the device layer
by layer. Only when main memory cannot hold them is the denoiser kept in 8-bit floats, which changes its pictures a little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

Way = Literal["device", "blocks", "layers", "fp8"]
"""On the device; in main memory, block after block or layer after layer on the device while it is used; on the device in 8 bits."""

BYTES_PER_LATENT_PIXEL = 200_000  # of activations; half-precision Stable Diffusion 1 and XL were published with 170 and 125 KB
FRAMES_LIKE_ONE = 4  # a guess: attention, which takes most in a picture, goes frame by frame
_HEAD = 256 * 2**20  # what the device's own libraries take besides


@dataclass(frozen=True)
class Size:
    """Bytes of a component, and the most of them on the device at a time when its blocks visit it one by one."""

    whole: int
    in_blocks: int


@dataclass(frozen=True)
class Residence:
    """`ways` has every component; `sentence` says it to the user."""

    ways: Mapping[str, Way] = field(default_factory=dict)
    sentence: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything is on the device."""
        return set(self.ways.values()) <= {"device"}

    def way(self, component: str) -> Way:
        return self.ways.get(component, "device")

    def waits(self, component: str) -> bool:
        """In main memory."""
        return self.way(component) in ("blocks", "layers")


def activations(native_size: tuple[int, int], vae_scale_factor: int, frames: int = 1) -> int:
    """Bytes that one picture of this size takes beside the weights, or a clip of so many frames."""
    alike = max(1, frames // FRAMES_LIKE_ONE)
    return native_size[0] * native_size[1] // vae_scale_factor**2 * BYTES_PER_LATENT_PIXEL * alike


def residence(sizes: Mapping[str, Size], denoisers: Sequence[str], free: int, main_free: int, activations: int) -> Residence:
    """The first way that fits into `free` bytes of the device, of which `activations` are for the work itself.

    `main_free` is what main memory can take. Where nothing fits, the way that takes least of the device: trying is better
    than refusing.
    """
    texts = [name for name in sizes if name.startswith(("text_encoder", "image_encoder"))]
    rest = [name for name in sizes if name == "vae"]  # the tiny decoder is small, and asked at every step
    room = free - activations - _HEAD
    small: dict[str, Way] = {name: "layers" for name in (*texts, *rest)}
    blocks, layers, fp8 = ({**small, **dict.fromkeys(denoisers, way)} for way in ("blocks", "layers", "fp8"))
    tries: list[tuple[dict[str, Way], str]] = [
        ({}, "All of the checkpoint is on the device."),
        ({name: "layers" for name in texts}, "The text encoders wait in main memory and visit the device for each new prompt."),
        (small, "The text encoders and the VAE wait in main memory and visit the device when they are needed."),
        (blocks, "The model waits in main memory and visits the device block by block, which is slower."),
        (layers, "The model waits in main memory and visits the device layer by layer, which is slow."),
        (fp8, "The denoiser is kept in 8-bit floats for want of memory, so its pictures differ a little."),
    ]
    found = [(ways, told) for ways, told in tries if _on_device(sizes, ways) <= room and _in_main(sizes, ways) <= main_free]
    ways, told = found[0] if found else tries[-2]
    needed = sum(size.whole for size in sizes.values())
    numbers = f"{needed / 1e9:.1f} GB of weights, {free / 1e9:.1f} GB free on the device"
    return Residence({name: ways.get(name, "device") for name in sizes}, f"{told.removesuffix('.')} ({numbers}).")


def _on_device(sizes: Mapping[str, Size], ways: Mapping[str, Way]) -> int:
    """The most at a time; single layers count as nothing."""
    at_once = ({"device": size.whole, "blocks": size.in_blocks, "layers": 0, "fp8": size.whole // 2} for size in sizes.values())
    return sum(taken[ways.get(name, "device")] for name, taken in zip(sizes, at_once, strict=True))


def _in_main(sizes: Mapping[str, Size], ways: Mapping[str, Way]) -> int:
    return sum(size.whole for name, size in sizes.items() if ways.get(name) in ("blocks", "layers"))


def size_of(weights: Mapping[str, int]) -> Size:
    """From the bytes of each weight by its name: blocks are the members of a module's first lists ("down_blocks.0.…", or
    "down_blocks.0.3.…" in lists of lists), and while one is at work the next comes in."""
    blocks: dict[str, int] = {}
    others = 0
    for name, count in weights.items():
        first, *rest = name.split(".")
        block = ".".join((first, *takewhile(str.isdigit, rest)))
        if block != first:
            blocks[block] = blocks.get(block, 0) + count
        else:
            others += count
    return Size(sum(weights.values()), others + sum(sorted(blocks.values())[-2:]))
