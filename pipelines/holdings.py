"""What models hold in memory, told: of each checkpoint its components, what each takes and where it is. Free of torch."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .catalog import Version
    from .components import Components
    from .loading_sources import Key
    from .offload import Living
    from .residence import Residence


@dataclass(eq=False)
class Entry:
    """A loaded checkpoint with a VAE, and the keys of its components; `pins` counts those who use it now."""

    components: "Components"
    keys: "Mapping[str, Key]"
    version: "tuple[Version | str, ...]"
    residence: "Residence"
    pins: int


@dataclass(frozen=True, eq=False)
class Held:
    """A module in memory, where it rests and what it takes there."""

    module: "torch.nn.Module"
    waits: bool  # in main memory, for the device
    size: int
    living: "Living | None"


def told(entries: "Iterable[tuple[str, Mapping[str, Key]]]", held: "Mapping[Key, Held]") -> dict[str, list[dict[str, Any]]]:
    """By checkpoint its components, the largest first: {"component", "bytes", "waits", "shared"}.

    `entries` are pairs of a checkpoint and the keys of its components by name; one that is there with several VAEs has them
    all. `shared` says that another checkpoint has the very same component in memory, which is held once.
    """
    found: dict[str, dict[Key, str]] = {}
    for checkpoint, keys in entries:
        found.setdefault(checkpoint, {}).update({key: name for name, key in keys.items() if key in held})
    users = Counter(key for parts in found.values() for key in parts)
    return {checkpoint: _listed((name, held[key], users[key] > 1) for key, name in parts.items()) for checkpoint, parts in found.items()}


def _listed(parts: Iterable[tuple[str, Held, bool]]) -> list[dict[str, Any]]:
    listed = [{"component": name, "bytes": each.size, "waits": each.waits, "shared": shared} for name, each, shared in parts]
    return sorted(listed, key=lambda part: (-part["bytes"], part["component"]))
