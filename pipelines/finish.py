"""A finished picture as PNG that says how it was made."""

from collections.abc import Mapping

from PIL import Image

from . import infotext, recipe
from .names import AUTOMATIC, SchedulerSpec
from .recipe import Recipe
from .running import JobRun, PictureRun
from .starts import begin

SHORT_HASH = 10
"""Digits of a hash in the infotext, as A1111 has them."""


def to_png(job: JobRun, run: PictureRun, image: Image.Image, schedulers: Mapping[str, SchedulerSpec], versions: Mapping[str, str]) -> bytes:
    """PNG bytes with infotext and recipe. `versions` are those of the libraries; the first picture waits for the weights' hashes."""
    assert job.components is not None and job.material is not None
    hashes = dict(job.components.hashes)
    extra = {"Model hash": hashes.get("checkpoint", "")[:SHORT_HASH] or None}
    if job.request.vae != AUTOMATIC:
        extra["VAE hash"] = hashes.get("vae", "")[:SHORT_HASH] or None
    made = Recipe(
        request=recipe.alone(job.request, run.picture).model_dump(mode="json"),
        picture=run.picture,
        hashes=hashes,
        scheduler=dict(run.facts or begin(job.material, run.seed).facts),  # an earlier try took the steps, if there are no facts
        dtype=str(job.components.dtype).removeprefix("torch."),
        device=str(job.components.device),
        versions=dict(versions),
        batch=run.largest_batch,
    )
    return recipe.to_png(image, infotext.write(job.request, run.seed, extra, schedulers), made)
