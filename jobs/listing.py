"""What the studio has, as JSON: checkpoints, VAEs, schedulers."""

from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipelines import modifiers as modifier_rules
from pipelines.errors import StudioError
from pipelines.modifiers import Modifier
from pipelines.names import AUTOMATIC, SCHEDULES, SchedulerSpec
from pipelines.upscalers.shelf import UPSCALERS, UpscalerShelf

if TYPE_CHECKING:
    from pipelines.catalog import Catalog, ModelInfo


def models(
    catalog: "Catalog",
    loaded: Collection[str],
    default_vaes: Mapping[str, str] = MappingProxyType({}),
    modifiers: Mapping[str, Modifier] = MappingProxyType({}),
) -> dict[str, Any]:
    """Checkpoints (`loaded` are those in memory) and VAEs as they lie in the folders now, and which `modifiers` go with them.

    Once a VAE was chosen as the default of any checkpoint, each one recommends its own.
    """
    checkpoints, vaes = catalog.checkpoints(), catalog.vaes()
    listed = [
        {
            **_checkpoint(catalog, each, default_vaes),
            "idle": {**each.idle, **(modifier_rules.idle(modifiers, each, checkpoints) if each.broken is None else {})},
            "loaded": each.name in loaded,
        }
        for each in checkpoints
    ]
    return {
        "default": _default(catalog),
        "checkpoints": _told_apart(listed),
        "vaes": _told_apart([{"name": vae.name, "title": vae.title, "broken": vae.broken, "size_bytes": vae.size_bytes} for vae in vaes]),
        "upscalers": [*_built_in_upscalers(), *_upscaler_files(catalog)],
    }


def _built_in_upscalers() -> list[dict[str, Any]]:
    return [{"name": name, "title": each.title, "broken": None} for name, each in UPSCALERS.items()]


def _upscaler_files(catalog: "Catalog") -> list[dict[str, Any]]:
    files = UpscalerShelf(catalog.roots).files()
    return [{"name": each.name, "title": each.name, "broken": each.broken} for each in files]


def _told_apart(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the name behind every title that more than one of them has: a copied folder brings its card along."""
    often = Counter(model["title"] for model in models)
    return [{**model, "title": f"{model['title']} ({model['name']})"} if often[model["title"]] > 1 else model for model in models]


def _checkpoint(catalog: "Catalog", model: "ModelInfo", default_vaes: Mapping[str, str]) -> dict[str, Any]:
    family = catalog.families.get(model.family) if model.family else None
    vae = {"vae": default_vaes.get(model.name, AUTOMATIC)} if default_vaes else {}
    return {
        "name": model.name,
        "title": model.title,
        "family": model.family,
        "family_title": family.title if family else None,
        "size_bytes": model.size_bytes,
        "broken": model.broken,
        "native_size": list(model.native_size),
        "recommended": {**model.recommended, **vae},
        "example_prompts": list(model.example_prompts),
        "summary": model.summary,
        "tasks": list(model.tasks),
        "noise": family.noise if family else None,
        "schedules": list(model.schedules),
        "latents": model.traits.latents,
        "most_clip_skip": model.traits.most_clip_skip,
    }


def _default(catalog: "Catalog") -> str:
    try:
        return catalog.default_checkpoint()
    except StudioError:
        return ""


def schedulers(known: Mapping[str, SchedulerSpec]) -> dict[str, Any]:
    """Schedulers with the schedules that go with each, and the schedules' titles."""
    listed = [
        {
            "name": name,
            "title": spec.title,
            "kind": "sampler" if spec.sampler else "diffusers",
            "schedules": [AUTOMATIC, *spec.schedules],
            "settings": list(spec.settings),
            "noise": list(spec.kinds),
            "most_guidance": spec.most_guidance,
            "own_steps": spec.own_steps,
        }
        for name, spec in known.items()
    ]
    return {"schedulers": listed, "schedules": [{"name": name, "title": title} for name, title in SCHEDULES.items()]}
