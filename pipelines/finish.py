"""Final latents to a picture, and the picture to a PNG that says how it was made."""

from collections.abc import Mapping

from PIL import Image

from . import infotext, recipe
from .decode import decode
from .inpaint import paste
from .names import AUTOMATIC, SchedulerSpec
from .preview import thumbnail
from .recipe import Recipe
from .running import JobRun, PictureRun

SHORT_HASH = 10
"""Digits of a hash in the infotext, as A1111 has them."""


def developed(job: JobRun, run: PictureRun) -> Image.Image:
    """The picture of a run's final latents, with the source's own pixels where they are kept; its thumbnail joins the job's."""
    assert run.latents is not None and job.components is not None and job.decode is not None and job.material is not None
    image = decode(run.latents, job.components)
    if job.total > run.steps_run:
        job.thumbnails[run.picture] = thumbnail(image)
    given = job.material.source
    if job.decode.paste and given is not None and given.mask_picture is not None:
        image = paste(image, given.picture, given.mask_picture)
    return image


def to_png(job: JobRun, run: PictureRun, image: Image.Image, schedulers: Mapping[str, SchedulerSpec], versions: Mapping[str, str]) -> bytes:
    """PNG bytes with infotext and recipe. `versions` are those of the libraries; the first picture waits for the weights' hashes."""
    assert job.components is not None and job.material is not None
    hashes = dict(job.components.hashes)
    hashes |= {f"checkpoint {name}": model.hashes.get("checkpoint", "") for name, model in job.models.items() if name}
    extra = {"Model hash": hashes.get("checkpoint", "")[:SHORT_HASH] or None}
    if job.request.vae != AUTOMATIC:
        extra["VAE hash"] = hashes.get("vae", "")[:SHORT_HASH] or None
    made = Recipe(
        request=recipe.alone(job.request, run.picture).model_dump(mode="json"),
        picture=run.picture,
        hashes=hashes,
        scheduler=job.material.facts(),
        dtype=str(job.components.dtype).removeprefix("torch."),
        device=str(job.components.device),
        versions=dict(versions),
        batch=run.largest_batch,
    )
    return recipe.to_png(image, infotext.write(job.request, run.seed, extra, schedulers), made)
