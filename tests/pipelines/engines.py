"""Runs the engine in tests: toy models of real classes, blobs in a dict, events pulled until all jobs have ended."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image

from pipelines.components import Components
from pipelines.engine import Engine
from pipelines.events import Cancelled, Developed, EngineEvent, Failed, Finished, Work
from pipelines.families import FAMILIES
from pipelines.names import SCHEDULERS
from pipelines.prompts.clip_tokenizer import ClipTokenizer
from pipelines.request import TASKS, Request
from tests.toys import toy_components

LAST = (Finished, Failed, Cancelled)


class Blobs(dict[str, bytes]):
    """The blob store of a test: bytes by their SHA-256."""

    def add(self, data: bytes | Image.Image) -> str:
        if isinstance(data, Image.Image):
            buffer = io.BytesIO()
            data.save(buffer, "PNG")
            data = buffer.getvalue()
        name = hashlib.sha256(data).hexdigest()
        self[name] = data
        return name


class Shelf:
    """A manager over components that are there already; knows whether they are held."""

    device = torch.device("cpu")
    catalog = None

    def __init__(self, **models: Components) -> None:
        self.models = models
        self.held: list[str] = []

    def is_loaded(self, checkpoint: str, vae: str = "automatic") -> bool:
        return False

    @contextmanager
    def acquire(self, checkpoint: str, vae: str = "automatic") -> Iterator[Components]:
        components = self.models[checkpoint]
        self.held.append(checkpoint)
        try:
            yield components if vae == "automatic" else replace(components.with_modules(vae=self.models[vae].vae), vae_name=vae)
        finally:
            self.held.remove(checkpoint)

    def loaded(self) -> list[str]:
        return list(self.models)

    def status(self) -> dict[str, Any]:
        return {"loaded": list(self.models), "memory_bytes": 0, "memory_plan": "", "device": str(self.device)}

    def ahead(self, target: tuple[str, str] | None) -> None:
        pass

    def load(self, checkpoint: str, vae: str = "automatic") -> None:
        pass

    def spare(self) -> bool:
        return False


def components(parts: Mapping[str, Any], name: str = "toy", **more: Any) -> Components:
    """The arguments of a diffusers pipeline as the engine gets them."""
    family = FAMILIES["sd1"]
    return Components(
        checkpoint=name,
        vae_name="automatic",
        family=family,
        modules={name: parts[name] for name in ("text_encoder", "unet", "vae")},
        tokenizers={"text_encoder": ClipTokenizer(parts["tokenizer"].get_vocab(), [])},
        scheduler_config=dict(parts["scheduler"].config),
        device=torch.device("cpu"),
        dtype=parts["unet"].dtype,
        latent_rgb_factors=family.latent_rgb_factors,
        latent_rgb_bias=family.latent_rgb_bias,
        **more,
    )


def toy(folder: Path, name: str = "toy", seed: int = 0, **kwargs: Any) -> Components:
    return components(toy_components(folder, seed, **kwargs), name)


def engine(shelf: Any, blobs: Mapping[str, bytes] | None = None, modifiers: Mapping[str, Any] | None = None, **kwargs: Any) -> Engine:
    return Engine(shelf, SCHEDULERS, modifiers or {}, ({} if blobs is None else blobs).__getitem__, **kwargs)


def request(task: str = "txt2img", **fields: Any) -> Request:
    given = {"checkpoint": "toy", "prompt": "a cat", "width": 64, "height": 64, "num_inference_steps": 4, "seed": 7, "guidance_scale": 5.0}
    return TASKS[task](**given | fields)


def run(engine: Engine, *works: Work | Request, react: Callable[[EngineEvent], None] | None = None) -> list[EngineEvent]:
    """Everything that happens until each job has ended; requests become jobs "0", "1", ..."""
    works = tuple(work if isinstance(work, Work) else Work(str(index), work) for index, work in enumerate(works))
    open_jobs = {work.job for work in works}
    for work in works:
        engine.submit(work)
    seen = []
    events = engine.events()
    for event in events:
        seen.append(event)
        if react is not None:
            react(event)
        if isinstance(event, LAST):
            open_jobs.discard(event.job)
            if not open_jobs:
                break
    events.close()
    return seen


def latents(events: list[EngineEvent], job: str = "0") -> dict[int, torch.Tensor]:
    """The final latents of a job by picture; fails if the job did."""
    assert not [event for event in events if isinstance(event, Failed)]
    kept = (event for event in events if isinstance(event, Developed) and event.job == job)
    return {event.picture: safetensors.torch.load(event.latents)["latents"] for event in kept}


def of(events: list[EngineEvent], kind: type, job: str | None = None) -> list[Any]:
    return [event for event in events if isinstance(event, kind) and job in (None, event.job)]
