"""Builds the engine inside the worker process: the one place where the page's settings meet torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import loader

if TYPE_CHECKING:
    import torch

    from pipelines.engine import Engine


@dataclass(frozen=True)
class EngineConfig:
    """What the worker is told; plain values, because it crosses a process border.

    `device` is "auto", "cpu", "cuda", "cuda:1" or "mps", `dtype` "auto", "float32", "float16" or "bfloat16"; `models` are model
    folders in order of precedence; `blobs` is the folder of uploaded pictures; `extensions` the user's extension folders that are
    switched on; `notes` is the folder of notes about models that have none beside them. `compiled` and
    `vae_dtype` (as `dtype`; "auto" is as their checkpoints are) are for `Tuning`.
    """

    models: tuple[str, ...]
    device: str
    blobs: str
    extensions: tuple[str, ...] = ()
    previews: bool = True
    dtype: str = "auto"
    notes: str = ""
    compiled: bool = False
    vae_dtype: str = "auto"


def build_engine(config: EngineConfig) -> "Engine":
    """The engine over a manager over a catalog. Raises `StudioError` if the device is not there."""
    # Deferred: the page process imports this module for EngineConfig and must stay free of torch.
    from jobs.annotations import Annotations
    from jobs.store import BlobStore
    from pipelines.catalog import Catalog
    from pipelines.devices import dtype_named, resolve
    from pipelines.engine import Engine
    from pipelines.manager import PipelineManager
    from pipelines.names import DTYPES
    from pipelines.tuning import Tuning

    offered = loader.load(config.extensions)
    catalog = Catalog([Path(root) for root in config.models], offered.families)
    notes = Annotations(Path(config.notes))

    def chosen(checkpoint: Path) -> "torch.dtype | None":
        return dtype_named(name) if (name := notes.read(checkpoint).dtype) in DTYPES else None

    tuning = Tuning(config.compiled, dtype_named(config.vae_dtype))
    device, dtype, keepers = resolve(config.device), dtype_named(config.dtype), offered.modifiers.values()
    manager = PipelineManager(catalog, device, dtype, keepers=keepers, dtypes=chosen, tuning=tuning)
    return Engine(manager, offered.schedulers, offered.modifiers, BlobStore(Path(config.blobs)).read, config.previews)
