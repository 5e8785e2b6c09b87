"""What an upscaler file is, told from the names and shapes in its header; no weight is read."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

from .. import headers
from ..errors import CheckpointError, printable
from ..headers import FLOATS, Header, Stamp
from ..shelves import PICKLES

Shape = tuple[int, ...]
Names = Mapping[str, str]
"""The network's name of a weight → the file's."""

MAX_SCALE = 16
_WRAPPERS = ("params_ema.", "params.", "module.")  # what training code leaves around the names, the best first


@dataclass(frozen=True)
class Blueprint:
    """A network that can be built: `make` is "module:class", `config` its constructor's arguments.

    `channels` (1 grey, 3 RGB) is what it takes and gives; windows of a picture must begin at multiples of `align` pixels.
    `alive` is about how many numbers it holds at once for each pixel it takes (measured: up to a third too many).
    """

    architecture: str
    make: str
    config: Mapping[str, int]
    scale: int
    channels: int
    align: int
    alive: int
    names: Names
    stamp: Stamp


@dataclass(frozen=True)
class UpscalerInfo:
    """An upscaler file as it is listed. `name` is its id: the path on its shelf, such as "sub/4x.safetensors".

    `broken` says in one sentence why it cannot be used, or is None; then there is a `blueprint`.
    """

    name: str
    title: str
    path: Path
    size_bytes: int = 0
    broken: str | None = None
    blueprint: Blueprint | None = None

    @property
    def architecture(self) -> str | None:
        return self.blueprint.architecture if self.blueprint else None

    @property
    def scale(self) -> int | None:
        return self.blueprint.scale if self.blueprint else None


def inspect(path: Path, name: str = "") -> UpscalerInfo:
    """What the file is, within milliseconds; never raises: what is wrong is said by `broken`."""
    name = name or printable(path.name)
    title = Path(name).stem
    try:
        size = Stamp.of(path).size
    except CheckpointError as error:
        return UpscalerInfo(name, title, path, broken=str(error))
    if path.suffix.lower() in PICKLES:
        why = f"{printable(path.name)} is a pickle, which can run code when opened; convert it to .safetensors."
        return UpscalerInfo(name, title, path, size, why)
    try:
        return UpscalerInfo(name, title, path, size, None, blueprint(headers.read(path)))
    except CheckpointError as error:
        return UpscalerInfo(name, title, path, size, str(error))


def blueprint(header: Header) -> Blueprint:
    """The network whose weights a file holds. Raises `CheckpointError` for an unknown layout, a missing or misshapen weight."""
    label, names = header.stamp.path.name, _unwrapped(header)
    read = next((read for mark, read in _LAYOUTS if any(re.fullmatch(mark, name) for name in names)), None)
    if read is None:
        raise CheckpointError(f"{label} is no upscaler of a known kind; ESRGAN, Real-ESRGAN and Real-ESRGAN Compact can be used.")
    plan = read(header, names)
    if plan.scale > MAX_SCALE:
        raise CheckpointError(f"{label} enlarges {plan.scale} times; at most {MAX_SCALE} times can be used.")
    return plan


def _unwrapped(header: Header) -> Names:
    """The names without what training code wraps around them; of plain and averaged weights only the averaged."""
    wrapper = next((word for word in _WRAPPERS if any(name.startswith(word) for name in header.tensors)), "")
    return {name.removeprefix(wrapper): name for name in header.tensors if name.startswith(wrapper)}


_ENDING = r"(weight|bias)"
_ESRGAN_NAMES = (
    (rf"(?:conv_first|model\.0)\.{_ENDING}", r"conv_first.\1"),
    (rf"(?:body|RRDB_trunk|model\.1\.sub)\.(\d+)\.(?:rdb|RDB)([123])\.conv([1-5])(?:\.0)?\.{_ENDING}", r"body.\1.rdb\2.conv\3.\4"),
    (rf"(?:conv_body|trunk_conv|model\.1\.sub\.\d+)\.{_ENDING}", r"conv_body.\1"),
    (rf"(?:conv_up|upconv)(\d)\.{_ENDING}", r"conv_up\1.\2"),
    (rf"(?:conv_hr|HRconv)\.{_ENDING}", r"conv_hr.\1"),
    (rf"conv_last\.{_ENDING}", r"conv_last.\1"),
)


def _esrgan(header: Header, found: Names) -> Blueprint:
    label = header.stamp.path.name
    names: dict[str, str] = {}
    tail = _old_tail(found)
    for name, original in found.items():
        renamed = tail.get(name) or next((re.sub(old, new, name) for old, new in _ESRGAN_NAMES if re.fullmatch(old, name)), None)
        if renamed is None or renamed in names:
            raise CheckpointError(f"{label} looks like ESRGAN, but has a weight {name[:80]!r} that no kind of it known here has.")
        names[renamed] = original
    features, taken = _shape(header, names, "conv_first.weight")[:2]
    given = _shape(header, names, "conv_last.weight")[0]
    growth = _shape(header, names, "body.0.rdb1.conv1.weight")[0]
    blocks = len({name.split(".")[1] for name in names if name.startswith("body.")})
    doublings = sum(bool(re.fullmatch(r"conv_up\d\.weight", name)) for name in names)
    shrink = isqrt(taken // given) if given else 0
    if given not in (1, 3) or taken != given * shrink**2 or shrink not in (1, 2, 4) or 2**doublings < shrink:
        raise CheckpointError(f"{label} takes {taken} channels and gives {given}; 3 (RGB) or 1 (grey) on both sides can be used.")
    config = {"channels": given, "features": features, "growth": growth, "blocks": blocks, "doublings": doublings, "shrink": shrink}
    _require(header, names, _esrgan_shapes(**config))
    scale = 2**doublings // shrink
    alive = max(4 * features * scale**2, 3 * (2 * features + 4 * growth) // shrink**2)  # behind the doublings, or in a dense block
    return Blueprint("ESRGAN", "pipelines.upscalers.networks:RRDBNet", config, scale, given, shrink, alive, names, header.stamp)


def _old_tail(found: Names) -> Mapping[str, str]:
    """In the oldest layout the layers behind the trunk are only numbered: doublings, then two more convolutions."""
    numbers = sorted({int(match[1]) for name in found if (match := re.fullmatch(rf"model\.(\d{{1,3}})\.{_ENDING}", name))} - {0})
    called = [*(f"conv_up{index + 1}" for index in range(len(numbers) - 2)), "conv_hr", "conv_last"]
    pairs = zip(numbers, called[-len(numbers) :] if numbers else [], strict=True)
    return {f"model.{number}.{end}": f"{name}.{end}" for number, name in pairs for end in ("weight", "bias")}


def _esrgan_shapes(channels: int, features: int, growth: int, blocks: int, doublings: int, shrink: int) -> Iterator[tuple[str, Shape]]:
    yield from _convolution("conv_first", channels * shrink**2, features)
    for block in range(blocks):
        for dense in (1, 2, 3):
            for index in range(5):
                taken, given = features + index * growth, growth if index < 4 else features
                yield from _convolution(f"body.{block}.rdb{dense}.conv{index + 1}", taken, given)
    for name in ("conv_body", *(f"conv_up{index + 1}" for index in range(doublings)), "conv_hr"):
        yield from _convolution(name, features, features)
    yield from _convolution("conv_last", features, channels)


def _compact(header: Header, names: Names) -> Blueprint:
    label = header.stamp.path.name
    numbers = [int(match[1]) for name in names if (match := re.fullmatch(rf"body\.(\d{{1,4}})\.{_ENDING}", name))]
    last = max(numbers)
    features, channels = _shape(header, names, "body.0.weight")[:2]
    given = _shape(header, names, f"body.{last}.weight")[0]
    scale = isqrt(given // channels) if channels else 0
    if channels not in (1, 3) or scale < 1 or given != channels * scale**2:
        raise CheckpointError(f"{label} takes {channels} channels and gives {given}; 3 (RGB) or 1 (grey) on both sides can be used.")
    config = {"channels": channels, "features": features, "layers": last // 2, "scale": scale}
    _require(header, names, _compact_shapes(**config))
    make, alive = "pipelines.upscalers.networks:SRVGGNetCompact", 3 * features + 3 * channels * scale**2
    return Blueprint("Real-ESRGAN Compact", make, config, scale, channels, 1, alive, names, header.stamp)


def _compact_shapes(channels: int, features: int, layers: int, scale: int) -> Iterator[tuple[str, Shape]]:
    """`layers` convolutions, each with a slope for every channel behind it, and one more."""
    for layer in range(layers):
        yield from _convolution(f"body.{2 * layer}", features if layer else channels, features)
        yield f"body.{2 * layer + 1}.weight", (features,)
    yield from _convolution(f"body.{2 * layers}", features, channels * scale**2)


_LAYOUTS: tuple[tuple[str, Callable[[Header, Names], Blueprint]], ...] = (
    (r"(body|RRDB_trunk|model\.1\.sub)\.0\.(rdb|RDB)1\.conv1\.(0\.)?weight", _esrgan),
    (r"body\.0\.weight", _compact),
)


def _convolution(name: str, taken: int, given: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (given, taken, 3, 3)
    yield f"{name}.bias", (given,)


def _shape(header: Header, names: Names, name: str) -> Shape:
    if name not in names:
        raise CheckpointError(f"{header.stamp.path.name} is incomplete: it lacks {name!r}.")
    shape = header.shape(names[name])
    if len(shape) != 4:
        raise CheckpointError(f"{header.stamp.path.name} has a weight {names[name][:80]!r} of shape {shape}, which fits no upscaler.")
    return shape


def _require(header: Header, names: Names, shapes: Iterator[tuple[str, Shape]]) -> None:
    """Every weight is there, in its shape, as floats, and none is left over."""
    label, expected = header.stamp.path.name, dict(shapes)
    for name, shape in expected.items():
        if name not in names:
            raise CheckpointError(f"{label} is incomplete: it lacks {name!r}.")
        info = header.tensors[names[name]]
        if info.shape != shape or info.dtype not in FLOATS:
            found = f"{names[name][:80]!r} of shape {info.shape} and type {info.dtype}"
            raise CheckpointError(f"{label} has a weight {found}, where floats of {shape} are needed.")
    if surplus := sorted(names[name] for name in names.keys() - expected.keys()):
        raise CheckpointError(f"{label} has a weight {surplus[0][:80]!r} that does not belong to its kind of upscaler.")
