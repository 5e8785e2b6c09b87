"""What can be made of a picture before it steers, by name; without torch: what a network has to tell of it is told before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from PIL import Image

from ..errors import InvalidRequest, UnknownName, shortened
from .networks import Task, missing
from .sizes import ResizeMode, Size, at_resolution, perfect, resized

if TYPE_CHECKING:
    from .estimates import Estimate

REFERENCE = "reference"
Steering = Literal["model", "layout", "attention"]
"""By a ControlNet alone; by one, or else by the coarse layout that the picture gives; by attention to the picture itself."""


@dataclass(frozen=True)
class Parameter:
    """A number that a preprocessor takes."""

    title: str
    default: float
    low: float
    high: float
    step: float = 1.0
    description: str = ""


@dataclass(frozen=True)
class Preprocessor:
    """`make` is "module:function" of an RGB picture and the parameters, "" where the picture stays as it is. `suits` are words
    in the names of ControlNets that were trained on such pictures. `exact`: its colours mean something, and are never mixed.
    One with a `network` is made of what a network for that task tells of the picture."""

    title: str
    description: str
    make: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    steering: Steering = "model"
    suits: tuple[str, ...] = ()
    exact: bool = False
    network: Task | None = None


_HERE = "pipelines.control."
_BLUR = Parameter("Blur", 1.0, 0, 5, 0.1, "Pixels that are smoothed first, so that texture draws no lines.")

PREPROCESSORS: Mapping[str, Preprocessor] = {
    "none": Preprocessor("None", "The picture is such a map already.", parameters={}),
    "canny": Preprocessor(
        "Canny", "Thin, hard edges.", f"{_HERE}edges:canny",
        {"low": Parameter("Weak edges from", 100, 1, 500, 1, "Kept where they lead on from strong ones."),
         "high": Parameter("Strong edges from", 200, 1, 500, 1, "The steepness at which an edge counts by itself."), "blur": _BLUR},
        suits=("canny",),
    ),
    "soft_edges": Preprocessor(
        "Soft edges", "Edges as bright as they are steep.", f"{_HERE}edges:soft_edges",
        {"blur": Parameter("Blur", 2.0, 0, 8, 0.1, "The width of the edges in pixels.")},
        suits=("softedge", "hed", "pidi"),
    ),
    "lineart": Preprocessor(
        "Line drawing", "White lines on black, from light and dark.", f"{_HERE}edges:lineart",
        {"width": Parameter("Width", 1.0, 0.5, 6, 0.1, "Of the lines, in pixels."),
         "strength": Parameter("Strength", 1.0, 0.2, 4, 0.1, "More shows fainter lines.")},
        suits=("lineart",),
    ),
    "scribble": Preprocessor(
        "Scribble", "Broad lines, as if drawn by hand.", f"{_HERE}edges:scribble",
        {"width": Parameter("Width", 2.5, 1, 10, 0.1, "Of the lines, in pixels."),
         "strength": Parameter("Strength", 1.0, 0.2, 4, 0.1, "More shows fainter lines.")},
        suits=("scribble", "sketch"),
    ),
    "invert": Preprocessor(
        "Invert", "For a drawing that is black on white.", f"{_HERE}colours:inverted", {}, suits=("scribble", "lineart", "sketch")
    ),
    "segmentation": Preprocessor(
        "Segmentation colours", "A painted map, each colour the nearest of ADE20K's.", f"{_HERE}palette:snapped", {},
        suits=("seg",), exact=True,
    ),
    "depth": Preprocessor(
        "Depth", "What is near is bright.", f"{_HERE}estimates:depth", {}, suits=("depth",), network="depth"
    ),
    "normal": Preprocessor(
        "Normals", "Which way every surface looks, told from depth.", f"{_HERE}estimates:normals",
        {"strength": Parameter("Strength", 1.0, 0.1, 5, 0.1, "More makes flat surfaces steeper."),
         "background": Parameter("Background", 0.1, 0, 1, 0.05, "What is less near is flat.")},
        suits=("normal",), network="depth",
    ),
    "segments": Preprocessor(
        "Segmentation", "What is where in a photograph, in ADE20K's colours.", f"{_HERE}estimates:segments", {},
        suits=("seg",), exact=True, network="segmentation",
    ),
    "tile": Preprocessor(
        "Tile", "The picture without its detail, which is drawn anew.", f"{_HERE}colours:tile",
        {"factor": Parameter("Smaller by", 4.0, 1, 16, 0.5, "How much detail is taken away.")},
        steering="layout", suits=("tile",),
    ),
    "blur": Preprocessor(
        "Blur", "The picture out of focus.", f"{_HERE}colours:blurred",
        {"radius": Parameter("Radius", 9.0, 0.5, 64, 0.5, "In pixels.")},
        steering="layout", suits=("blur", "tile"),
    ),
    "colour": Preprocessor(
        "Colour blocks", "A coarse mosaic of the picture's colours.", f"{_HERE}colours:blocks",
        {"block": Parameter("Block", 64, 4, 256, 1, "Pixels along the side of a block.")},
        steering="layout", suits=("color", "colour"),
    ),
    REFERENCE: Preprocessor(
        "Reference", "Looks at the picture while it paints; needs no ControlNet.", "",
        {"style_fidelity": Parameter("Style fidelity", 0.5, 0, 1, 0.05, "How far the negative is kept from the picture.")},
        steering="attention",
    ),
}  # fmt: skip


def find(name: str) -> Preprocessor:
    """Raises `UnknownName`."""
    if name not in PREPROCESSORS:
        raise UnknownName("preprocessor", name, PREPROCESSORS, "preprocessor")
    return PREPROCESSORS[name]


def parameters(name: str, given: Mapping[str, float]) -> dict[str, float]:
    """All parameters of a preprocessor, those not given at their defaults. Raises `InvalidRequest`."""
    known = find(name).parameters
    for each, value in given.items():
        if each not in known:
            listed = ", ".join(known) or "none"
            raise InvalidRequest(f"parameters: {each[:80]!r} is none of preprocessor {name!r}; it has: {listed}.", "parameters")
        rule = known[each]
        if not rule.low <= value <= rule.high:
            between = f"must be from {rule.low:g} to {rule.high:g}"
            raise InvalidRequest(f"parameters: {each} of preprocessor {name!r} {between}; got {shortened(value)}.", "parameters")
    return {each: float(given.get(each, rule.default)) for each, rule in known.items()}


def preprocessed(
    picture: Image.Image,
    name: str,
    given: Mapping[str, float],
    size: Size,
    mode: ResizeMode = "crop",
    resolution: int | None = None,
    estimate: "Estimate | None" = None,
) -> Image.Image:
    """What steers: an RGB picture of `size` (width, height), made of `picture` (RGB).

    The preprocessor works on the picture with `resolution` pixels along its shorter side; None is pixel perfect, where what
    it makes needs no more scaling, and so is one whose colours are exact. One that needs a network is made of its `estimate`,
    at the size of that. Raises `UnknownName`, `InvalidRequest`.
    """
    found = find(name)
    settings = parameters(name, given)
    if found.make:
        make: Callable[..., Image.Image] = resolve_name(found.make)
        if found.network:
            if estimate is None:
                raise InvalidRequest(missing(found.network), "preprocessor")
            return resized(make(estimate, **settings), size, mode, found.exact)
        if found.exact:
            return make(resized(picture, size, mode, exact=True), **settings)
        picture = make(at_resolution(picture, resolution or perfect(picture.size, size, mode)), **settings)
    return resized(picture.convert("RGB"), size, mode)
