"""From what a user sent to a request that can run: completed, its names known, its pictures fit for it."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines import modifiers as modifier_rules
from pipelines import names, pictures
from pipelines import request as requests
from pipelines.errors import CheckpointError, InvalidRequest, StudioError, UnknownName
from pipelines.masks import WHITE
from pipelines.modifiers import LORA, Modifier
from pipelines.names import AUTOMATIC, SchedulerSpec
from pipelines.repaint import layers_of
from pipelines.request import Img2Img, Img2Vid, Inpaint, Request, Upscale
from pipelines.upscalers.shelf import UpscalerShelf, is_latent
from pipelines.upscalers.sizes import enlarged

if TYPE_CHECKING:
    from pipelines.catalog import Catalog

LEAST, MOST = 64, 2048  # pixels of one side


class Intake:
    """Checks in this order: the request's own rules, names, the checkpoint's tasks, pictures."""

    def __init__(
        self, catalog: "Catalog", schedulers: Mapping[str, SchedulerSpec], modifiers: Mapping[str, Modifier], blob: Callable[[str], bytes]
    ) -> None:
        self._catalog = catalog
        self._schedulers = schedulers
        self._modifiers = modifiers
        self._blob = blob

    def request(self, draft: Mapping[str, Any]) -> Request:
        """The complete request with its seed decided; raises StudioError with one sentence."""
        request = requests.parse(self._complete(draft))
        self._check_names(request)
        if isinstance(request, Img2Img | Img2Vid):
            self._check_pictures(request)
        return request.with_seed()

    def remark(self, request: Request) -> str | None:
        """What is allowed but is seldom meant, in one sentence."""
        if "prompt" in request.unused:
            return None
        if isinstance(request, Inpaint) and self._keeps_nothing(request):
            return "The mask is white everywhere, so nothing of the picture is kept."
        if isinstance(request, Inpaint) and not request.prompt.strip():
            meant = request.masked_content == "fill"  # the way to remove a thing
            return None if meant else "The prompt is empty, so the masked part becomes what goes with its surroundings."
        if not request.prompt.strip():
            return "The prompt is empty, so the model paints whatever it likes."
        spec = self._schedulers[request.scheduler]
        if spec.most_guidance is not None and request.guidance_scale > spec.most_guidance:
            return f"{spec.title} is made for a guidance of 1 to 2; {request.guidance_scale:g} burns the picture."
        if spec.own_steps:
            return f"{spec.title} chooses its own steps, often 50 to 150 calls of the model; num_inference_steps is not used."
        return None

    def _complete(self, draft: Mapping[str, Any]) -> dict[str, Any]:
        """What is left out takes the checkpoint's recommended settings; a size left out follows the picture."""
        checkpoint = draft.get("checkpoint")
        checkpoint = self._catalog.default_checkpoint(str(draft.get("task", "txt2img"))) if checkpoint in (None, "") else checkpoint
        task = requests.TASKS.get(str(draft.get("task", "txt2img")), Request)
        filled: dict[str, Any] = {}
        with suppress(StudioError):  # a wrong name or a lost picture gets its sentence below, after the request's own rules
            meant = task.model_fields.keys() - task.unused
            filled |= {name: value for name, value in self._catalog.recommended(str(checkpoint)).items() if name in meant}
            sized = "width" in draft and "height" in draft
            if task.takes_picture and task.fits_picture and not sized and isinstance(picture := draft.get("image"), str):
                native = self._catalog.checkpoint(str(checkpoint)).native_size
                alone = draft.get("inpaint_area") == "masked"
                size = native if alone else _extended(pictures.open_rgb(self._blob(picture)).size, draft)
                filled["width"], filled["height"] = fitted(size, native, 1 if task.moves else 4)
        return {**filled, **self._translated(draft), "checkpoint": checkpoint}

    def _translated(self, draft: Mapping[str, Any]) -> dict[str, Any]:
        """With the scheduler that another program's name stands for, such as "DPM++ 2M Karras", and the schedule in that name, or
        under a name of its own, such as "SGM Uniform"; an unknown one gets its sentence later."""
        given = dict(draft)
        scheduler, schedule = draft.get("scheduler"), draft.get("schedule")
        if isinstance(schedule, str) and schedule not in names.SCHEDULES:
            with suppress(UnknownName):
                given["schedule"] = names.resolve_schedule(schedule)
        if isinstance(scheduler, str) and scheduler not in self._schedulers:
            with suppress(UnknownName):
                given["scheduler"], joint = names.resolve(scheduler, self._schedulers)
                given = {**({"schedule": joint} if joint else {}), **given}
        return given

    def _check_names(self, request: Request) -> None:
        names.find(self._schedulers, request.scheduler).check(request.scheduler, request.schedule)
        try:
            field = "checkpoint"
            checkpoint = self._catalog.checkpoint(request.checkpoint)
            if request.vae != AUTOMATIC:
                field = "vae"
                self._catalog.vae(request.vae)
        except CheckpointError as error:
            raise InvalidRequest(str(error), field) from None
        for name, params in modifier_rules.check(modifier_rules.asked(request), self._modifiers).items():
            modifier_rules.require_fit(self._modifiers[name], request, checkpoint, self._catalog)
            try:
                self._modifiers[name].check(params, self._catalog, request.checkpoint)
            except StudioError as error:
                raise self._at_prompt(error, request) if name == LORA else error from None
            for picture in self._modifiers[name].pictures(params):
                pictures.open_rgb(self._kept(picture, f"modifiers.{name}"))
        if request.schedule not in checkpoint.schedules and request.schedule in names.SCHEDULES:
            fitting = ", ".join(checkpoint.schedules)
            raise InvalidRequest(
                f"schedule {request.schedule!r} is not made for the noise that checkpoint {request.checkpoint!r} was trained with; "
                f"it takes: {fitting}.",
                "schedule",
            )
        most = checkpoint.traits.most_clip_skip
        if most is not None and request.clip_skip > most:
            raise InvalidRequest(
                f"clip_skip must be at most {most} for the text encoder of checkpoint {request.checkpoint!r}; got {request.clip_skip}.",
                "clip_skip",
            )
        if request.ability and request.ability not in checkpoint.tasks:
            able = ", ".join(checkpoint.tasks) or "nothing"
            others = any(request.ability in info.tasks for info in self._catalog.checkpoints())
            nobody = "" if others else ", nor can another that is here"
            raise InvalidRequest(f"checkpoint {request.checkpoint!r} cannot do {request.task}{nobody}; it can do: {able}.", "checkpoint")

    def _at_prompt(self, error: StudioError, request: Request) -> StudioError:
        """The error of a LoRA, told at the prompt unless one chosen beside it is as wrong."""
        chosen = {LORA: request.modifiers[LORA]} if LORA in request.modifiers else {}
        try:
            for params in modifier_rules.check(chosen, self._modifiers).values():
                self._modifiers[LORA].check(params, self._catalog, request.checkpoint)
        except StudioError:
            return error
        return InvalidRequest(str(error), "prompt")

    def _check_pictures(self, request: Img2Img | Img2Vid) -> None:
        picture = self._kept(request.image, "image")
        if isinstance(request, Upscale):
            if is_latent(request.upscaler):
                raise InvalidRequest(f"upscaler {request.upscaler!r} enlarges latents, not finished pictures.", "upscaler")
            UpscalerShelf(self._catalog.roots).find(request.upscaler)
            enlarged(pictures.open_rgb(picture).size, request.scale, pictures.MAX_PIXELS, "scale")
        if not isinstance(request, Inpaint):
            return
        if request.mask_image:
            self._kept(request.mask_image, "mask_image")
        layers_of(request, self._blob)

    def _keeps_nothing(self, request: Inpaint) -> bool:
        *_, mask = layers_of(request, self._blob)
        return mask.getextrema()[0] >= WHITE

    def _kept(self, blob: str, field: str) -> bytes:
        try:
            return self._blob(blob)
        except InvalidRequest:
            raise InvalidRequest(f"{field} names no upload that is kept here: upload the picture first.", field) from None


def _extended(size: tuple[int, int], draft: Mapping[str, Any]) -> tuple[int, int]:
    """The size of a picture with what the draft paints onto its sides."""
    sides = (draft.get(f"outpaint_{side}", 0) for side in ("left", "right", "top", "bottom"))
    left, right, top, bottom = (max(side, 0) if isinstance(side, int) else 0 for side in sides)
    return size[0] + left + right, size[1] + top + bottom


def fitted(size: tuple[int, int], native: tuple[int, int], most: float = 4) -> tuple[int, int]:
    """The size to work at for a picture: its own while its area is at most `most` times the native one, else shrunk to
    the native area with its shape kept; both sides multiples of 8 within a request's bounds."""
    width, height = size
    area = native[0] * native[1]
    scale = 1.0 if width * height <= most * area else math.sqrt(area / (width * height))
    scale = max(scale, LEAST / min(width, height))  # so that the shape is kept also where one side is at its smallest
    return _side(width * scale), _side(height * scale)


def _side(pixels: float) -> int:
    return min(max(int(pixels) // 8 * 8, LEAST), MOST)
