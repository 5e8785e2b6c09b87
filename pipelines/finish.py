"""Final latents to a picture or a clip, and that to a file that says how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from . import clip_files, clips, infotext, recipe
from .decode import decode, dtype_of
from .devices import word
from .names import AUTOMATIC, SchedulerSpec
from .preview import thumbnail
from .recipe import Recipe
from .request import Img2Vid
from .running import JobRun, PictureRun
from .tuning import is_compiled

SHORT_HASH = 10
"""Digits of a hash in the infotext, as A1111 has them."""


@dataclass(frozen=True)
class File:
    data: bytes
    media_type: str
    width: int
    height: int


def finished(job: JobRun, run: PictureRun, schedulers: Mapping[str, SchedulerSpec], versions: Mapping[str, str]) -> File:
    """The file of a run's final latents. `versions` are those of the libraries; the first one waits for the weights' hashes."""
    request = job.request
    if not isinstance(request, Img2Vid):
        image = developed(job, run)
        return File(recipe.to_png(image, *_told(job, run, schedulers, versions)), "image/png", *image.size)
    assert run.outcome is not None and job.components is not None
    frames = clips.frames_of(run.outcome.latents[-1], job.components, request.decode_chunk_size)
    job.thumbnails[run.picture] = thumbnail(frames[0])
    texts = recipe.texts(*_told(job, run, schedulers, versions))
    return File(*clip_files.written(frames, request.fps, request.video_format, texts), *frames[0].size)


def developed(job: JobRun, run: PictureRun) -> Image.Image:
    """What came of a run as a picture, with the source's own pixels where they are kept; its thumbnail joins the job's."""
    assert run.outcome is not None and job.components is not None and job.material is not None
    left = list(zip(job.material.rounds, run.outcome.latents, strict=True))
    image = run.outcome.canvas
    if image is None:  # nothing to begin with, or an earlier try kept the latents alone
        image = job.material.canvas
    else:
        left = left[-1:]
    for one, latents in left:
        image = one.stitched(decode(latents, job.components), image)
    assert image is not None
    if job.total > run.steps_run:
        job.thumbnails[run.picture] = thumbnail(image)
    return image


def _told(job: JobRun, run: PictureRun, schedulers: Mapping[str, SchedulerSpec], versions: Mapping[str, str]) -> tuple[str, Recipe]:
    """Infotext and recipe."""
    assert job.components is not None and job.material is not None
    hashes = dict(job.components.hashes)
    hashes |= {f"checkpoint {name}": model.hashes.get("checkpoint", "") for name, model in job.models.items() if name}
    extra = {"Model hash": hashes.get("checkpoint", "")[:SHORT_HASH] or None}
    if job.request.vae != AUTOMATIC:
        extra["VAE hash"] = hashes.get("vae", "")[:SHORT_HASH] or None
    request = recipe.alone(job.request, run.picture).model_copy(update={"noise_source": job.noise_source})
    made = Recipe(
        request=request.model_dump(mode="json"),
        picture=run.picture,
        hashes=hashes,
        scheduler=job.material.facts(),
        dtype=word(job.components.dtype),
        vae_dtype=word(dtype_of(job.components.vae)) if "vae" in job.components.modules else "",
        compiled=job.request.ability != "" and is_compiled(job.components.denoiser),  # else there may be none
        device=str(job.components.device),
        versions=dict(versions),
        batch=run.largest_batch,
    )
    return infotext.write(request, run.seed, extra, schedulers), made
