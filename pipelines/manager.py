"""Checkpoints in memory: components shared where they are alike, kept while there is room, held fast while in use."""

import gc
import json
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from . import loading, loading_memory
from .catalog import Catalog, ModelInfo, Version
from .components import Components
from .errors import CheckpointError
from .families import reading
from .families.digests import fingerprint
from .families.parts import Part
from .loading_hashes import Hasher
from .names import AUTOMATIC

Key = tuple[str, str, str]
"""Class, configuration and weights of a component: what two checkpoints must have in common to share it."""


@dataclass(eq=False)
class _Entry:
    """A loaded checkpoint with a VAE; `pins` counts those who use it now."""

    components: Components
    keys: frozenset[Key]
    version: tuple[Version, ...]
    pins: int = 0


@dataclass(frozen=True)
class _Source:
    """A checkpoint with a VAE on disk, taken apart."""

    info: ModelInfo
    vae_name: str
    parted: reading.Parted
    parts: Mapping[str, Part]
    keys: Mapping[str, Key]


class PipelineManager:
    """Hands out the components of checkpoints. One load at a time; `is_loaded`, `loaded` and `memory_bytes` never wait for it.

    `dtype` is float32 on a CPU and float16 elsewhere unless given. When models would take more than `budget_bytes` (read
    from the machine unless given), those not used for longest are let go before the next is loaded; a single model
    larger than the budget is loaded all the same.
    """

    def __init__(
        self, catalog: Catalog, device: str | torch.device = "cpu", dtype: torch.dtype | None = None, budget_bytes: int | None = None
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype or (torch.float32 if self.device.type == "cpu" else torch.float16)
        self._catalog = catalog
        self._budget = loading_memory.budget(self.device) if budget_bytes is None else budget_bytes
        self._hasher = Hasher()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()  # the least recently used first
        self._modules: dict[Key, torch.nn.Module] = {}
        self._lock = threading.RLock()  # guards the two tables; held for moments
        self._loading = threading.Lock()  # held while a checkpoint is read

    @contextmanager
    def acquire(self, checkpoint: str, vae: str = AUTOMATIC) -> Iterator[Components]:
        """The components, loaded if need be and kept in memory until the context ends.

        Raises `UnknownName`, `CheckpointError`, `OutOfMemory`.
        """
        with self._loading:
            entry = self._entry(checkpoint, vae)
            with self._lock:
                entry.pins += 1
        try:
            yield entry.components
        finally:
            with self._lock:
                entry.pins -= 1

    def is_loaded(self, checkpoint: str, vae: str = AUTOMATIC) -> bool:
        with self._lock:
            return (checkpoint, vae) in self._entries

    def loaded(self) -> list[str]:
        """Names of the checkpoints in memory, the last used first."""
        with self._lock:
            return list(dict.fromkeys(name for name, _ in reversed(self._entries)))

    def memory_bytes(self) -> int:
        """What their weights take, mapped files included."""
        with self._lock:
            return sum(loading_memory.module_bytes(module) for module in self._modules.values())

    def _entry(self, checkpoint: str, vae: str) -> _Entry:
        info = self._catalog.checkpoint(checkpoint)
        vae_info = None if vae == AUTOMATIC else self._catalog.vae(vae)
        version = (info.version, vae_info.version if vae_info else ())
        with self._lock:
            entry = self._entries.get((checkpoint, vae))
            if entry is not None and entry.version == version:
                self._entries.move_to_end((checkpoint, vae))
                return entry
            self._entries.pop((checkpoint, vae), None)  # its files have changed; who holds it keeps it
        source = self._take_apart(info, vae_info)
        try:
            self._make_room(source)
            entry = _Entry(self._components(source), frozenset(source.keys.values()), version)
            with self._lock:
                self._entries[checkpoint, vae] = entry
            return entry
        finally:
            self._drop_unused(frozenset())

    def _take_apart(self, info: ModelInfo, vae_info: ModelInfo | None) -> _Source:
        parted = reading.checkpoint(info.path, self._catalog.families)
        parts = dict(parted.parts)
        if vae_info is not None:
            parts["vae"] = _fitting_vae(vae_info, info, parts["vae"])
        tiny = parted.tiny or self._common_tiny(info, parted)
        if tiny is not None:
            parts["tiny_decoder"] = tiny
        keys = {name: (part.architecture, json.dumps(part.config, sort_keys=True), fingerprint(part)) for name, part in parts.items()}
        return _Source(info, vae_info.name if vae_info else AUTOMATIC, parted, parts, keys)

    def _common_tiny(self, info: ModelInfo, parted: reading.Parted) -> Part | None:
        """The user's decoder for the family's latents, unless the checkpoint has latents of its own."""
        path = self._catalog.tiny_decoder(parted.family)
        if path is None or info.latent_rgb_factors:
            return None
        try:
            return reading.tiny_decoder(path)
        except CheckpointError:
            return None  # previews are then made from the RGB factors

    def _make_room(self, source: _Source) -> None:
        """Lets go of the least recently used until the new parts fit, or nothing is left to let go."""
        wanted = frozenset(source.keys.values())
        with self._lock:
            while self.memory_bytes() + self._missing_bytes(source) > self._budget:
                oldest = next((name for name, entry in self._entries.items() if not entry.pins), None)
                if oldest is None:
                    break
                del self._entries[oldest]
                self._drop_unused(wanted)
        loading_memory.require(self._copied_bytes(source), source.info.name, self.device)

    def _missing(self, source: _Source) -> Iterable[Part]:
        return {source.keys[name]: part for name, part in source.parts.items() if source.keys[name] not in self._modules}.values()

    def _missing_bytes(self, source: _Source) -> int:
        return sum(part.elements for part in self._missing(source)) * self.dtype.itemsize

    def _copied_bytes(self, source: _Source) -> int:
        """What cannot stay mapped from its file, because it is stored in another dtype."""
        copied = (part for part in self._missing(source) if part.dtypes != {loading.SAFETENSORS_DTYPES.get(self.dtype)})
        return sum(part.elements for part in copied) * self.dtype.itemsize

    def _drop_unused(self, wanted: frozenset[Key]) -> None:
        with self._lock:
            used = wanted.union(*(entry.keys for entry in self._entries.values()))
            unused = [key for key in self._modules if key not in used]
            dropped = [weakref.ref(self._modules.pop(key)) for key in unused]
        if any(reference() is not None for reference in dropped):
            gc.collect()  # held in a circle, such as an exception's; too slow to do every time
        if dropped:
            loading_memory.release(self.device)

    def _module(self, source: _Source, component: str) -> torch.nn.Module:
        key = source.keys[component]
        if key not in self._modules:
            name = source.vae_name if component == "vae" and source.vae_name != AUTOMATIC else source.info.name
            module = loading.load(source.parts[component], name, self.device, self.dtype)
            with self._lock:
                self._modules[key] = module
        return self._modules[key]

    def _components(self, source: _Source) -> Components:
        info, parted, family = source.info, source.parted, source.parted.family
        own = len(info.latent_rgb_factors) == source.parts["vae"].config.get("latent_channels", 4)
        hashed = {name: part for name, part in source.parts.items() if name != "tiny_decoder"}
        return Components(
            checkpoint=info.name,
            vae_name=source.vae_name,
            family=family,
            tokenizer=family.load_tokenizer(parted.tokenizer),
            text_encoder=self._module(source, "text_encoder"),
            denoiser=self._module(source, "unet"),
            vae=self._module(source, "vae"),
            scheduler_config=loading.scheduler_config(parted, info.path),
            device=self.device,
            dtype=self.dtype,
            tiny_decoder=self._module(source, "tiny_decoder") if "tiny_decoder" in source.parts else None,
            latent_rgb_factors=info.latent_rgb_factors if own else family.latent_rgb_factors,
            latent_rgb_bias=(info.latent_rgb_bias or (0.0, 0.0, 0.0)) if own else family.latent_rgb_bias,
            hashes=self._hasher.of(hashed, parted.header.stamp if parted.header else None),
            fingerprints={name: print_ for name, (*_, print_) in source.keys.items()},
        )


def _fitting_vae(vae: ModelInfo, checkpoint: ModelInfo, own: Part) -> Part:
    """The VAE chosen in place of the checkpoint's own; both must speak of the same latents."""
    part = reading.vae(vae.path)
    if "scaling_factor" not in part.config:
        part = part.with_config(**{key: own.config[key] for key in ("scaling_factor", "shift_factor") if key in own.config})
    shapes = [(config.get("latent_channels", 4), 2 ** (len(config["block_out_channels"]) - 1)) for config in (part.config, own.config)]
    if shapes[0] != shapes[1]:
        (channels, factor), (own_channels, own_factor) = shapes
        raise CheckpointError(
            f"VAE {vae.name} has {channels} latent channels at 1/{factor} of the picture's size, "
            f"where checkpoint {checkpoint.name} has {own_channels} at 1/{own_factor}."
        )
    return part
