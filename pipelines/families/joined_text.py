"""Files that hold a CLIP text encoder alone, in transformers' names or OpenCLIP's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..headers import Header
from . import infer, keys
from .parts import Part, Piece

_LAYER = {"clip": "encoder.layers.0.layer_norm1.weight", "open_clip": "transformer.resblocks.0.ln_1.weight"}
_ELSEWHERE = ("vision_model.", "visual.")  # CLIP's other half


@dataclass(frozen=True)
class Slot:
    """A place for a text encoder in a family: `layout` and `prefix` are as in the family's whole files."""

    component: str
    layout: Literal["clip", "open_clip"]
    prefix: str
    projected: bool = False
    act: str = "quick_gelu"
    most_layers: int = 256


@dataclass(frozen=True)
class TextFile:
    """`layout` is how this file names its weights, `prefix` what stands before them; `projection` names the tensor of its
    projection, if it has one."""

    name: str
    header: Header
    layout: str
    prefix: str
    config: Mapping[str, Any]
    projection: str | None

    @classmethod
    def of(cls, name: str, header: Header) -> "TextFile | None":
        """None for a file that is something else, or that is incomplete."""
        for layout, layer in _LAYER.items():
            found = [tensor for tensor in header.tensors if tensor.endswith(layer) and not any(part in tensor for part in _ELSEWHERE)]
            if len(found) != 1:
                continue
            prefix = found[0].removesuffix(layer)
            base = prefix.removesuffix("text_model.")
            shapes = {tensor[len(prefix) :]: info.shape for tensor, info in header.tensors.items() if tensor.startswith(prefix)}
            try:
                config = infer.clip(shapes) if layout == "clip" else infer.open_clip(shapes, 256)
            except (KeyError, IndexError, ValueError):
                return None
            outer = base.removesuffix("transformer.")
            projections = (f"{base}text_projection.weight", f"{prefix}text_projection", f"{outer}text_projection")
            return cls(name, header, layout, prefix, config, next((one for one in projections if one in header.tensors), None))
        return None

    @property
    def width(self) -> int:
        return int(self.config["hidden_size"])

    @property
    def projected(self) -> int:
        """The width of its pooled state, 0 without a projection."""
        if self.projection is None:
            return 0
        return self.header.shape(self.projection)[0 if self.projection.endswith(".weight") else 1]

    def fills(self, slot: Slot) -> bool:
        return self.projection is not None or not slot.projected

    def listened(self, slot: Slot, pooled: bool) -> int:
        """How much of what the denoiser listens to comes from here: of its pooled input, or of its attention."""
        return self.projected if pooled and slot.projected else self.width

    def part(self, slot: Slot) -> Part:
        """The component as it is loaded, incomplete where the file is."""
        architecture = "CLIPTextModelWithProjection" if slot.projected else "CLIPTextModel"
        pieces, missing = {}, []
        for name, original, third, form in self._names(slot):
            info = self.header.tensors.get(original)
            if info is None:
                missing.append(original)
            else:
                pieces[name] = Piece(self.header.stamp, original, info, third, form)
        return Part(slot.component, architecture, self._config(slot), pieces, tuple(missing))

    def as_in_a_whole_file(self, slot: Slot) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names (without prefix) and shapes of the family's own layout; only shapes that a configuration is read from are true."""
        config = self._config(slot)
        width, vocabulary = self.width, int(config["vocab_size"])
        shapes = {
            "token_embedding.weight": (vocabulary, width),
            "positional_embedding": (int(config["max_position_embeddings"]), width),
            "mlp.c_fc.weight": (int(config["intermediate_size"]), width),
            "mlp.fc1.weight": (int(config["intermediate_size"]), width),
            "position_embedding.weight": (int(config["max_position_embeddings"]), width),
            "text_projection": (width, self.projected),
            "text_projection.weight": (self.projected, width),
        }
        pairs = {
            ("clip", False): keys.clip, ("clip", True): keys.clip_with_projection,
            ("open_clip", False): keys.open_clip, ("open_clip", True): keys.open_clip_with_projection,
        }[slot.layout, slot.projected](config)  # fmt: skip
        for _, original in pairs:
            name = original.partition(":")[0]
            yield name, next((shape for end, shape in shapes.items() if name.endswith(end)), (1,))

    def _config(self, slot: Slot) -> dict[str, Any]:
        layers = min(int(self.config["num_hidden_layers"]), slot.most_layers)
        more = {"projection_dim": self.projected} if slot.projected else {}
        return {**self.config, "num_hidden_layers": layers, "hidden_act": slot.act, **more}

    def _names(self, slot: Slot) -> Iterator[tuple[str, str, int | None, str]]:
        """(our name, the file's, which third, form) of each weight."""
        outer = "text_model." if slot.projected else ""
        for name, original in (keys.clip if self.layout == "clip" else keys.open_clip)(self._config(slot)):
            original, _, third = original.partition(":")
            yield f"{outer}{name}", f"{self.prefix}{original}", int(third) if third else None, ""
        if slot.projected and self.projection:
            yield "text_projection.weight", self.projection, None, "" if self.projection.endswith(".weight") else "transposed"
