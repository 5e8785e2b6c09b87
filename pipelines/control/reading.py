"""What a ControlNet on disk is, told from configurations, names and shapes; no weight is read."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import headers
from ..errors import CheckpointError, printable
from ..families import infer, keys
from ..families.parts import Part, folder_part, mapped_part
from ..headers import Header, Stamp
from ..shelves import PICKLES

ARCHITECTURE = "ControlNetModel"
_ORIGINAL = ("control_model.", "")
_HINT = "input_hint_block"
_EMBEDDING = "controlnet_cond_embedding"
_TEXTS = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
_FAMILIES = {768: "sd1", 1024: "sd2", 2048: "sdxl"}

# What a file on this shelf is that cannot be used, by a part of a name of one of its tensors.
_OTHERS = (
    ("lora_controlnet", "a Control-LoRA, which needs the checkpoint's own weights"),
    ("control_type_proj.", "a ControlNet Union"),
    ("task_embedding", "a ControlNet Union"),
    ("lllite_", "a ControlNet-LLLite"),
    ("ip_adapter.", "an IP-Adapter"),
    ("image_proj.", "an IP-Adapter"),
    ("adapter.body.", "a T2I-Adapter"),
    ("body.0.", "a T2I-Adapter"),
    ("pos_embed_input.", "a ControlNet for Stable Diffusion 3"),
    ("controlnet_x_embedder.", "a ControlNet for Flux"),
)


@dataclass(frozen=True)
class ControlInfo:
    """A ControlNet as it is listed. `name` is its id: the path on its shelf. `broken` says in one sentence why it cannot be
    used, or is None; then there is a `part`."""

    name: str
    title: str
    path: Path
    size_bytes: int = 0
    broken: str | None = None
    part: Part | None = None

    @property
    def text_width(self) -> int | None:
        """Numbers in each hidden state of the text that it attends to."""
        return self.part.config.get("cross_attention_dim") if self.part else None

    @property
    def family(self) -> str | None:
        return _FAMILIES.get(self.text_width or 0)


def made_for(text_width: int | None, with_width: bool = True) -> str:
    """The models that attend to text of this width, in words."""
    return _TEXTS.get(text_width or 0, "another model") + (f" (text of width {text_width})" if with_width else "")


def inspect(path: Path, name: str = "") -> ControlInfo:
    """What a file or a folder is, within milliseconds; never raises: what is wrong is said by `broken`."""
    name = name or printable(path.name)
    title = Path(name).stem if path.is_file() else Path(name).name
    if path.suffix.lower() in PICKLES:
        why = "is a pickle, which can run code when opened; convert it to .safetensors on the page for models"
        return ControlInfo(name, title, path, _size(path), f"{printable(path.name)} {why}.")
    try:
        part = _folder(path) if path.is_dir() else _file(headers.read(path))
    except CheckpointError as error:
        return ControlInfo(name, title, path, _size(path), str(error))
    return ControlInfo(name, title, path, sum(stamp.size for stamp in part.stamps), None, part)


def _size(path: Path) -> int:
    try:
        return Stamp.of(path).size if path.is_file() else 0
    except CheckpointError:
        return 0


def _folder(path: Path) -> Part:
    part = folder_part(path, "controlnet", (ARCHITECTURE,))
    if part.config.get("conditioning_channels", 3) != 3:
        raise CheckpointError(f"{path.name} takes {part.config['conditioning_channels']} channels of control; 3 can be given.")
    return _complete(path.name, part)


def _file(header: Header) -> Part:
    """A single file in the original layout, with or without prefix, or with diffusers' names."""
    label = header.stamp.path.name
    prefix = next((prefix for prefix in _ORIGINAL if f"{prefix}{_HINT}.0.weight" in header.tensors), None)
    shapes = {name.removeprefix(prefix or ""): info.shape for name, info in header.tensors.items() if name.startswith(prefix or "")}
    ours = prefix is None
    if ours and f"{_EMBEDDING}.conv_in.weight" not in shapes:
        what = next((what for mark, what in _OTHERS if any(mark in name for name in header.tensors)), None)
        raise CheckpointError(f"{label} is {what}, which cannot be used yet." if what else f"{label} is no ControlNet.")
    if what := next((what for mark, what in _OTHERS[:3] if any(mark in name for name in header.tensors)), None):
        raise CheckpointError(f"{label} is {what}, which cannot be used yet.")
    try:
        config = configuration(_original_names(shapes) if ours else shapes)
    except (KeyError, IndexError, ValueError):
        raise CheckpointError(f"{label} is no complete ControlNet: a weight that tells its shape is missing.") from None
    if "shuffle" in label.lower():  # which steers by what a picture has, not by where; nothing in the file says so
        config["global_pool_conditions"] = True
    pairs = list(names(config))
    return _complete(
        label, mapped_part("controlnet", ARCHITECTURE, config, [(a, a) for a, _ in pairs] if ours else pairs, header, prefix or "")
    )


def _complete(label: str, part: Part) -> Part:
    missing = part.missing or [name for name, _ in names(part.config) if name not in part.pieces]
    if missing:
        raise CheckpointError(f"{label} is incomplete: it lacks {missing[0]!r}{f' and {len(missing) - 1} more' if missing[1:] else ''}.")
    return part


def configuration(shapes: infer.Shapes) -> dict[str, Any]:
    """Of a ControlNetModel, from original names. Stable Diffusion 1 has 8 heads at every level, the others heads of width 64;
    only the former projects with convolutions. Raises `KeyError`, `IndexError`."""
    linear = len(shapes["middle_block.1.proj_in.weight"]) == 2
    config = infer.unet({**shapes, "out.2.weight": (4,)}, None if linear else 8, 64)
    places = sorted(int(found[1]) for name in shapes if (found := re.fullmatch(rf"{_HINT}\.(\d+)\.weight", name)))
    widths = [shapes[f"{_HINT}.{place}.weight"][0] for place in places[:-1]]
    del config["out_channels"], config["up_block_types"]
    told = shapes.get("label_emb.0.0.weight")
    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
    return {
        **config,
        "conditioning_channels": shapes[f"{_HINT}.0.weight"][1],
        "conditioning_embedding_out_channels": [widths[0], *widths[2::2]],
        **({**added, "projection_class_embeddings_input_dim": told[1]} if told else {}),
    }


def names(config: Mapping[str, Any]) -> Iterator[keys.Pair]:
    """(diffusers name, original name) of each weight of a ControlNetModel: the way down of a UNet, and what is its own."""
    down = list(config["down_block_types"])
    whole = {**config, "up_block_types": [kind.replace("Down", "Up") for kind in reversed(down)]}
    yield from (pair for pair in keys.unet(whole) if not pair[0].startswith(("up_blocks.", "conv_norm_out.", "conv_out.")))
    blocks = 2 * (len(config.get("conditioning_embedding_out_channels") or (16, 32, 96, 256)) - 1)
    hints = ["conv_in", *(f"blocks.{index}" for index in range(blocks)), "conv_out"]
    layers = keys.per_level(config.get("layers_per_block", 2), len(down))
    skips = 1 + sum(layers) + len(down) - 1
    own = [(f"{_EMBEDDING}.{name}", f"{_HINT}.{2 * place}") for place, name in enumerate(hints)]
    own += [(f"controlnet_down_blocks.{index}", f"zero_convs.{index}.0") for index in range(skips)]
    for name, original in (*own, ("controlnet_mid_block", "middle_block_out.0")):
        yield from ((f"{name}.{kind}", f"{original}.{kind}") for kind in ("weight", "bias"))


def _original_names(shapes: infer.Shapes) -> dict[str, tuple[int, ...]]:
    """Those that configurations are read from, by their original names."""
    layers = sum(f"down_blocks.0.resnets.{index}.conv1.weight" in shapes for index in range(100))
    renamed = {}
    for name, shape in shapes.items():
        for pattern, original in _RENAMED:
            if found := re.fullmatch(pattern, name):
                renamed[original(layers, *found.groups())] = shape
    return renamed


_RENAMED: tuple[tuple[str, Any], ...] = (
    (r"conv_in\.weight", lambda layers: "input_blocks.0.0.weight"),
    (r"add_embedding\.linear_1\.weight", lambda layers: "label_emb.0.0.weight"),
    (r"down_blocks\.(\d+)\.resnets\.(\d+)\.norm1\.weight", lambda n, i, j: f"input_blocks.{_place(n, i, j)}.0.in_layers.0.weight"),
    (r"down_blocks\.(\d+)\.resnets\.(\d+)\.conv2\.weight", lambda n, i, j: f"input_blocks.{_place(n, i, j)}.0.out_layers.3.weight"),
    (r"down_blocks\.(\d+)\.attentions\.(\d+)\.(.+)", lambda n, i, j, rest: f"input_blocks.{_place(n, i, j)}.1.{rest}"),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.weight", lambda n, i: f"input_blocks.{(int(i) + 1) * (n + 1)}.0.op.weight"),
    (r"mid_block\.attentions\.0\.(.+)", lambda layers, rest: f"middle_block.1.{rest}"),
    (rf"{_EMBEDDING}\.conv_in\.weight", lambda layers: f"{_HINT}.0.weight"),
    (rf"{_EMBEDDING}\.blocks\.(\d+)\.weight", lambda layers, i: f"{_HINT}.{2 * (int(i) + 1)}.weight"),
    (rf"{_EMBEDDING}\.conv_out\.weight", lambda layers: f"{_HINT}.{1000}.weight"),  # behind all others, however many there are
)


def _place(layers: int, level: str, layer: str) -> int:
    return int(level) * (layers + 1) + int(layer) + 1
