"""From what a user sent to a request that can run: completed, its names known, its pictures fit for it."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines import modifiers as modifier_rules
from pipelines import names, pictures
from pipelines import request as requests
from pipelines.errors import BadPicture, CheckpointError, InvalidRequest, StudioError, UnknownName
from pipelines.modifiers import Modifier
from pipelines.names import AUTOMATIC, SchedulerSpec
from pipelines.request import Img2Img, Inpaint, Request

if TYPE_CHECKING:
    from pipelines.catalog import Catalog

WHITE = 128  # of 255: from here on a mask says "repaint"
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
        if isinstance(request, Img2Img):
            self._check_pictures(request)
        return request.with_seed()

    @staticmethod
    def remark(request: Request) -> str | None:
        """What is allowed but is seldom meant, in one sentence."""
        return None if request.prompt.strip() else "The prompt is empty, so the model paints whatever it likes."

    def _complete(self, draft: Mapping[str, Any]) -> dict[str, Any]:
        """What is left out takes the checkpoint's recommended settings; a size left out follows the picture."""
        checkpoint = draft.get("checkpoint")
        checkpoint = self._catalog.default_checkpoint() if checkpoint in (None, "") else checkpoint
        task = requests.TASKS.get(str(draft.get("task", "txt2img")), Request)
        filled: dict[str, Any] = {}
        with suppress(StudioError):  # a wrong name or a lost picture gets its sentence below, after the request's own rules
            filled |= {name: value for name, value in self._catalog.recommended(str(checkpoint)).items() if name in task.model_fields}
            sized = "width" in draft and "height" in draft
            if task.takes_picture and not sized and isinstance(picture := draft.get("image"), str):
                native = self._catalog.checkpoint(str(checkpoint)).native_size
                filled["width"], filled["height"] = fitted(pictures.open_rgb(self._blob(picture)).size, native)
        return {**filled, **self._translated(draft), "checkpoint": checkpoint}

    def _translated(self, draft: Mapping[str, Any]) -> dict[str, Any]:
        """With the scheduler that another program's name stands for, such as "DPM++ 2M Karras", and the schedule in that name."""
        scheduler = draft.get("scheduler")
        if not isinstance(scheduler, str) or scheduler in self._schedulers:
            return dict(draft)
        try:
            name, schedule = names.resolve(scheduler, self._schedulers)
        except UnknownName:
            return dict(draft)  # gets its sentence below
        return {**({"schedule": schedule} if schedule else {}), **draft, "scheduler": name}

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
            self._modifiers[name].check(params, self._catalog)
        if request.task not in checkpoint.tasks:
            able = ", ".join(checkpoint.tasks) or "nothing"
            raise InvalidRequest(f"checkpoint {request.checkpoint!r} cannot do {request.task}; it can do: {able}.", "checkpoint")

    def _check_pictures(self, request: Img2Img) -> None:
        picture = self._kept(request.image, "image")
        if not isinstance(request, Inpaint):
            return
        size = pictures.open_rgb(picture).size
        mask = pictures.open_mask(self._kept(request.mask_image, "mask_image"))
        if mask.size != size:
            raise BadPicture(
                f"The mask is {mask.size[0]} × {mask.size[1]} pixels, the picture {size[0]} × {size[1]}; they must be alike.", "mask_image"
            )
        if mask.getextrema()[1] < WHITE:
            raise BadPicture("The mask has no white: paint over what is to be repainted.", "mask_image")

    def _kept(self, blob: str, field: str) -> bytes:
        try:
            return self._blob(blob)
        except InvalidRequest:
            raise InvalidRequest(f"{field} names no upload that is kept here: upload the picture first.", field) from None


def fitted(size: tuple[int, int], native: tuple[int, int]) -> tuple[int, int]:
    """The size to work at for a picture: its own while its area is at most four times the native one, else shrunk to
    the native area with its shape kept; both sides multiples of 8 within a request's bounds."""
    width, height = size
    area = native[0] * native[1]
    scale = 1.0 if width * height <= 4 * area else math.sqrt(area / (width * height))
    scale = max(scale, LEAST / min(width, height))  # so that the shape is kept also where one side is at its smallest
    return _side(width * scale), _side(height * scale)


def _side(pixels: float) -> int:
    return min(max(int(pixels) // 8 * 8, LEAST), MOST)
