"""A job while the engine has it: what is decided about it and how far each of its pictures is."""

import json
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from .chores import Chore, Encoding, Upscaling, doing
from .components import Components
from .denoise import Predict
from .events import Work
from .noise import source_on
from .preview import Backdrop, Budget, Previewer, still
from .request import Request
from .samplers import Stepped
from .starts import ENLARGING_STEPS, Developing, Material, Outcome, develop
from .upscalers.tiles import Progress

if TYPE_CHECKING:
    from .catalog import Catalog

Signature = tuple[Any, ...]


@dataclass(eq=False)
class PictureRun:
    """One picture: its coroutine, the question it waits with, and in the end what came of it."""

    picture: int
    seed: int
    steps_run: int
    variation_seed: int = 0
    developing: Developing | None = None
    asked: Predict | Chore | None = None
    doing: Generator[Progress, None, Any] | None = None  # the chore that is asked for
    denoised: Tensor | None = None
    backdrop: Backdrop | None = None  # of the round that is under way
    outcome: Outcome | None = None
    kept: bool = False  # the final latents are on disk
    steps: int = 0
    largest_batch: int = 1

    def start(self, material: Material) -> None:
        """Draws the first latents and asks for the first prediction; does nothing the second time."""
        if self.developing is None:
            self.backdrop = Backdrop.of(material.rounds[0], material.canvas) if material.rounds else None
            self.developing = develop(material, self.seed, self.variation_seed)
            self.advance(None)

    def advance(self, output: Any) -> bool:
        """Hands over what was asked for and runs to the next question or to the end; says whether a step was finished."""
        assert self.developing is not None
        stepped = False
        try:
            said = self.developing.send(output)
            while isinstance(said, Stepped):
                stepped = True
                self.denoised = said.denoised
                self.steps = said.index
                said = self.developing.send(None)
            self.asked = said
        except StopIteration as end:
            self.asked, self.outcome = None, end.value
            self.steps = self.steps_run
        return stepped

    def work(self, components: Components, catalog: "Catalog") -> None:
        """Does a bit of the chore that the picture waits for, and when it is done runs to the next question."""
        assert isinstance(self.asked, Chore)
        self.doing = self.doing or doing(self.asked, components, catalog)
        try:
            progress = next(self.doing)
        except StopIteration as end:
            if isinstance(self.asked, Encoding):
                self.backdrop = Backdrop.of(self.asked.round, self.asked.canvas)
            self.doing = None
            self.advance(end.value)
            return
        if isinstance(self.asked, Upscaling):
            self.steps = ENLARGING_STEPS * progress.done // progress.total

    def close(self) -> None:
        for each in (self.doing, self.developing):
            if each is not None:
                each.close()


@dataclass(eq=False)
class JobRun:
    """A job from `submit` to its last event. What holds the model (`components`, `pins`) is there only while it is active."""

    work: Work
    asked: dict[str, dict[str, Any]]  # modifiers as the request and its prompt ask for them
    modifiers: dict[str, Any]  # their parameters
    pictures: list[PictureRun]
    paused: bool = False
    started: bool = False
    overtaken: int = 0
    calls: int = 0  # predictions for its pictures
    turn: int = 0  # the calls before it last began
    steps_done: int = 0
    material: Material | None = None
    signature: Signature | None = None
    models: dict[str, Components] = field(default_factory=dict)  # by checkpoint; "" is the job's own
    steps_each: int = 0
    pins: ExitStack = field(default_factory=ExitStack)
    thumbnails: dict[int, Image.Image] = field(default_factory=dict)  # of finished pictures, for the mosaic
    budget: Budget = field(default_factory=lambda: Budget(1))

    @classmethod
    def of(cls, work: Work, asked: dict[str, dict[str, Any]], modifiers: dict[str, Any]) -> "JobRun":
        """A job as it comes in; how many steps it really takes is known when its plan is made (`begin`)."""
        request = work.request
        todo = [
            PictureRun(index, request.of_picture(index).seed, request.steps_run, request.of_picture(index).variation_seed)
            for index in range(request.num_images_per_prompt)
            if index not in work.done
        ]
        run = cls(work, asked, modifiers, todo)
        run._count(request.steps_run)
        return run

    def begin(self, material: Material) -> None:
        """The plan is made."""
        for picture in self.pictures:
            picture.steps_run = material.steps
        self._count(material.steps)

    def _count(self, steps: int) -> None:
        self.steps_each = steps
        self.steps_done = len(self.work.done) * steps
        self.budget = Budget(steps * len(self.pictures))

    @property
    def id(self) -> str:
        return self.work.job

    @property
    def request(self) -> Request:
        return self.work.request

    @property
    def components(self) -> Components | None:
        return self.models.get("")

    @property
    def total(self) -> int:
        return self.steps_each * self.request.num_images_per_prompt

    @property
    def step(self) -> int:
        return self.steps_done + sum(run.steps for run in self.pictures)

    @property
    def own_steps(self) -> bool:
        """Whether its sampler takes as many steps as it needs, so that calls tell more than steps."""
        return self.material is not None and any(one.spec.own_steps for one in self.material.passes)

    @property
    def modifiers_key(self) -> str:
        return json.dumps(self.asked, sort_keys=True) if self.asked else ""

    @property
    def place(self) -> tuple[Any, ...]:
        """What can be told before the model is loaded: jobs of different places never share a forward pass."""
        request = self.request
        vae = request.vae if self.asked else ""  # a modifier may patch the VAE too
        return request.checkpoint, request.width, request.height, self.modifiers_key, vae

    @property
    def unfinished(self) -> list[PictureRun]:
        return [run for run in self.pictures if run.outcome is None]

    @property
    def noise_source(self) -> str:
        """Who draws its noise, on the device that it runs on."""
        return self.request.noise_source if self.components is None else source_on(self.request.noise_source, self.components.device)

    @property
    def remarks(self) -> list[str]:
        """What is done otherwise than it was asked for, in sentences."""
        if self.noise_source == self.request.noise_source:
            return []
        return ["noise_source 'gpu' needs an NVIDIA GPU, and there is none here: the CPU draws the noise, and recipes say so."]

    def frame(self, previewer: Previewer) -> bytes | None:
        """What is developing now, as JPEG; None while no frame is due."""
        if self.components is None:
            return None
        denoised = {run.picture: still(run.denoised, run.steps) for run in self.pictures if run.denoised is not None}
        cells, backdrops = self.request.num_images_per_prompt, {run.picture: run.backdrop for run in self.pictures if run.backdrop}
        return previewer.frame(self.budget, denoised, self.thumbnails, cells, self.components, backdrops)

    def release(self) -> None:
        """Lets go of the model; what has developed so far stays."""
        self.models.clear()
        self.pins.close()

    def close(self) -> None:
        for run in self.pictures:
            run.close()
        self.release()
