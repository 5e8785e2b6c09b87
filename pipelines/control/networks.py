"""Networks that tell what is near, or what is where, in a picture: models of transformers in folders, told from their configurations.

Papers: Depth Anything V2 (Yang et al. 2024), https://arxiv.org/abs/2406.09414; Vision Transformers for Dense Prediction (Ranftl et
al. 2021), https://arxiv.org/abs/2103.13413; SegFormer (Xie et al. 2021), https://arxiv.org/abs/2105.15203
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import CheckpointError, InvalidRequest, printable
from ..families.parts import read_json, weight_files
from ..headers import Stamp
from .palette import Colour, colour_named

Task = Literal["depth", "segmentation"]
FOLDER = "models/preprocessors"


@dataclass(frozen=True)
class Kind:
    """A class of transformers that can be used: what it tells, and the stem of the class that prepares its pictures."""

    task: Task
    processor: str


KINDS: Mapping[str, Kind] = {
    "DepthAnythingForDepthEstimation": Kind("depth", "DPT"),
    "DPTForDepthEstimation": Kind("depth", "DPT"),
    "ZoeDepthForDepthEstimation": Kind("depth", "ZoeDepth"),
    "GLPNForDepthEstimation": Kind("depth", "GLPN"),
    "SegformerForSemanticSegmentation": Kind("segmentation", "Segformer"),
    "UperNetForSemanticSegmentation": Kind("segmentation", "Segformer"),
    "DPTForSemanticSegmentation": Kind("segmentation", "DPT"),
    "BeitForSemanticSegmentation": Kind("segmentation", "Beit"),
    "MaskFormerForInstanceSegmentation": Kind("segmentation", "MaskFormer"),
    "Mask2FormerForUniversalSegmentation": Kind("segmentation", "Mask2Former"),
}
TITLES: Mapping[Task, str] = {"depth": "depth", "segmentation": "segmentation"}
EXAMPLES: Mapping[Task, str] = {
    "depth": "depth-anything/Depth-Anything-V2-Small-hf",
    "segmentation": "openmmlab/upernet-convnext-small",
}
"""Models of the Hugging Face Hub, by repository."""

_METRIC = ("ZoeDepthForDepthEstimation", "GLPNForDepthEstimation")
_LEAST_KNOWN = 0.5  # share of a network's classes that must have a colour


@dataclass(frozen=True)
class NetworkInfo:
    """A network as it is listed. `name` is its id: the path on its shelf. `broken` says in one sentence why it cannot be used, or
    is None. One that is `metric` tells distances and no nearness. `colours` are those of its classes, in their order; black where
    ADE20K has no such class."""

    name: str
    title: str
    path: Path
    size_bytes: int = 0
    broken: str | None = None
    task: Task = "depth"
    architecture: str = ""
    metric: bool = False
    colours: tuple[Colour, ...] = ()
    stamps: tuple[Stamp, ...] = ()

    @property
    def detail(self) -> str:
        """What it is, in a few words."""
        if self.broken:
            return ""
        known = sum(any(colour) for colour in self.colours)
        classes = f", {known} of {len(self.colours)} classes have a colour" if known < len(self.colours) else ""
        return f"{TITLES[self.task]}, {self.architecture.rpartition('For')[0]}{classes}"


def missing(task: Task) -> str:
    """What to do where there is no network for a task, in one sentence."""
    return f"No model for {TITLES[task]} is in {FOLDER}; one that can be downloaded there is {EXAMPLES[task]}."


def require_task(info: NetworkInfo, task: Task) -> NetworkInfo:
    """Raises `InvalidRequest` for a network that tells something else."""
    if info.task != task:
        raise InvalidRequest(f"{info.name!r} is a model for {TITLES[info.task]}, where one for {TITLES[task]} is needed.", "modifiers")
    return info


def inspect(path: Path, name: str = "") -> NetworkInfo:
    """What a folder is, within milliseconds; never raises: what is wrong is said by `broken`."""
    name = name or printable(path.name)
    try:
        return _folder(path, name) if path.is_dir() else _lone(path)
    except CheckpointError as error:
        return NetworkInfo(name, Path(name).name, path, _size(path), str(error))


def _lone(path: Path) -> NetworkInfo:
    raise CheckpointError(f"{path.name} has no config.json beside it: preprocessors are folders as they are on the Hugging Face Hub.")


def _folder(path: Path, name: str) -> NetworkInfo:
    config = read_json(path / "config.json")
    architecture = _architecture(config, path.name)
    kind = KINDS[architecture]
    read_json(path / "preprocessor_config.json")
    weights = [header.stamp for header in weight_files(path, "model")]
    stamps = (*weights, *(Stamp.of(path / file) for file in ("config.json", "preprocessor_config.json")))
    metric = architecture in _METRIC or config.get("depth_estimation_type") == "metric"
    colours = _colours(config, path.name) if kind.task == "segmentation" else ()
    size = sum(stamp.size for stamp in weights)
    return NetworkInfo(name, Path(name).name, path, size, None, kind.task, architecture, metric, colours, stamps)


def _architecture(config: Mapping[str, Any], label: str) -> str:
    """Raises `CheckpointError` for a class that is of no use here, or that would have to be fetched in part."""
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else str(config.get("model_type", "without a class"))
    if architecture not in KINDS:
        known = ", ".join(KINDS)
        raise CheckpointError(f"{label} is {architecture[:60]}, which makes no map that is known here; known: {known}.")
    if _is_elsewhere(config):
        raise CheckpointError(f"{label} names a backbone that lies elsewhere; its config.json must describe it (backbone_config).")
    return architecture


def _is_elsewhere(config: Mapping[str, Any]) -> bool:
    """Whether a part of it is only named, and would be fetched or come from another library (timm)."""
    if config.get("use_timm_backbone") or config.get("model_type") == "timm_backbone":
        return True
    if isinstance(config.get("backbone"), str) and not isinstance(config.get("backbone_config"), dict):
        return True
    backbone = config.get("backbone_config")
    return isinstance(backbone, dict) and _is_elsewhere(backbone)


def _colours(config: Mapping[str, Any], label: str) -> tuple[Colour, ...]:
    """Of its classes by their numbers. Raises `CheckpointError` where most are none of ADE20K's."""
    named = config.get("id2label")
    try:
        labels = {int(number): str(text) for number, text in named.items()} if isinstance(named, dict) else {}
    except ValueError:
        labels = {}
    found = tuple(colour_named(labels.get(number, "")) for number in range(max(labels, default=-1) + 1)) if len(labels) < 10_000 else ()
    known = sum(any(colour) for colour in found)
    if known < _LEAST_KNOWN * len(found) or not known:
        shown = ", ".join(list(labels.values())[:3]) or "none"
        raise CheckpointError(
            f"{label} tells other classes ({shown[:80]}) than ADE20K's 150, whose colours ControlNets of segmentation were trained on."
        )
    return found


def _size(path: Path) -> int:
    try:
        files = path.glob("*.safetensors") if path.is_dir() else (path,)
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0
