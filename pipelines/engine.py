"""One engine drives one device: it takes jobs, runs their coroutines together where they fit, and tells what happens.

Everything runs on the thread that pulls `events`. Forward passes use torch's own threads: more than cores only wait for each other.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from . import batching, chores, modifiers, turns
from .ahead import Target, next_up
from .conditioning import PromptCache
from .decode import is_out_of_memory, require_numbers
from .drawing import drawn
from .errors import OutOfMemory
from .events import Cancelled, Decoded, Developed, EngineEvent, Failed, Finished, Loading, Notice, Paused, Resumed, Started, Step, Work
from .failures import sentence
from .finish import finished
from .holding import hold
from .inbox import Cancel, Close, Draw, Inbox, Load, Order, Pause, Resume, Submit, Unload
from .modifiers import Modifier
from .names import AUTOMATIC, SchedulerSpec, find
from .patches import Patches
from .prepare import prepare, to_keep
from .preview import Previewer
from .recipe import library_versions
from .running import JobRun, PictureRun

if TYPE_CHECKING:
    from .manager import PipelineManager


class Engine:
    """Thread-safe to give orders to; `events` belongs to one thread.

    `schedulers` and `modifiers` are what a request may name; `blobs` gives the bytes of a picture by its id. `max_batch`
    limits the pictures of one forward pass (None: by device and size).
    """

    def __init__(
        self,
        manager: "PipelineManager",
        schedulers: Mapping[str, SchedulerSpec],
        modifiers: Mapping[str, Modifier],
        blobs: Callable[[str], bytes],
        previews: bool = True,
        max_batch: int | None = None,
    ) -> None:
        self._manager = manager
        self._schedulers = schedulers
        self._modifiers = modifiers
        self._blobs = blobs
        self._versions = library_versions()
        self._previewer = Previewer() if previews else None
        self._limits = batching.Limits(max_batch, manager.spare)
        self._prompts = PromptCache()
        self._inbox = Inbox()
        self._queue: list[JobRun] = []  # oldest first
        self._active: list[JobRun] = []  # those that share the model now, oldest first
        self._pace = batching.Pace()
        self._wanted: list[Target] = []  # to be read when there is time
        self._patches = Patches(blobs)  # the modifiers in force, which all active jobs share

    def submit(self, work: Work) -> None:
        self._inbox.give(Submit(work))

    def cancel(self, job: str) -> None:
        """Ends a job at its next step; nothing happens if it is not here any more."""
        self._inbox.give(Cancel(job))

    def pause(self, job: str) -> None:
        """Holds a job as it is, to go on later to the same pixels; others run meanwhile."""
        self._inbox.give(Pause(job))

    def resume(self, job: str) -> None:
        self._inbox.give(Resume(job))

    def load(self, checkpoint: str, vae: str = AUTOMATIC) -> None:
        """Reads a checkpoint into memory as soon as no job is at work; what goes wrong is told when a job asks for it."""
        self._inbox.give(Load(checkpoint, vae))

    def unload(self, checkpoint: str) -> None:
        """Lets go of a checkpoint that no job holds."""
        self._inbox.give(Unload(checkpoint))

    def draw(self, ticket: str, modifier: str, params: Mapping[str, Any], size: tuple[int, int]) -> None:
        """Makes what a modifier shows of its parameters, between two steps; `Drawn` answers."""
        self._inbox.give(Draw(ticket, modifier, params, size))

    def close(self) -> None:
        """Ends `events` after the current step; jobs that are not finished end without an event."""
        self._inbox.give(Close())

    def status(self) -> dict[str, Any]:
        return self._manager.status()

    @torch.inference_mode()
    def events(self) -> Iterator[EngineEvent]:
        """Runs the jobs and yields what happens; blocks while there is nothing to do; ends after `close`.

        `Developed` comes before its picture is decoded: pulling the next event says that the latents are kept. Each job
        ends with exactly one of `Finished`, `Failed`, `Cancelled`; no failure of a job stops the engine.
        """
        try:
            while True:
                idle = not self._wanted and all(job.paused for job in self._queue)
                for order in self._inbox.take(wait=idle):
                    if isinstance(order, Close):
                        return
                    yield from self._obey(order)
                yield from self._tick()
        finally:
            for job in list(self._queue):
                self._drop(job)

    # -- orders -----------------------------------------------------------------------------------------------------

    def _obey(self, order: Order) -> Iterator[EngineEvent]:
        match order:
            case Submit():
                yield from self._accept(order.work)
            case Load():
                self._wanted.append((order.checkpoint, order.vae))
            case Unload():
                self._manager.unload(order.checkpoint)
            case Draw():
                yield drawn(order, self._modifiers, self._manager, self._blobs)
        job = next((job for job in self._queue if job.id == getattr(order, "job", None)), None)
        if job is None:
            return
        match order:
            case Cancel():
                self._drop(job)
                yield Cancelled(job.id)
            case Pause() if not job.paused:
                job.paused = True
                self._deactivate(job)
                yield Paused(job.id)
            case Resume() if job.paused:
                job.paused = False
                yield Resumed(job.id)

    def _accept(self, work: Work) -> Iterator[EngineEvent]:
        try:
            request = work.request
            find(self._schedulers, request.scheduler).check(request.scheduler, request.schedule)
            asked = modifiers.asked(request)
            job = JobRun.of(work, asked, modifiers.check(asked, self._modifiers))
            if job.pictures:
                self._queue.append(job)
            else:  # an earlier try did it all and was not heard
                yield Started(job.id, job.total)
                yield Finished(job.id)
        except Exception as error:
            yield Failed(work.job, sentence(error, work.job))

    # -- one unit of work: prepare a job, decode a picture, or one forward pass ----------------------------------------

    def _tick(self) -> Iterator[EngineEvent]:
        for job in self._queue:
            if job not in self._active and not job.paused and batching.may_join(job, self._active, self._queue, self._limits):
                yield from self._guarded(job, self._prepare, job)
                return
        waiting = [(job, run) for job in self._active for run in job.unfinished if isinstance(run.asked, chores.Chore)]
        for job, run in waiting[:1]:
            yield from self._guarded(job, self._chore, job, run)
            return
        made = [(job, run) for job in self._active for run in job.pictures if run.outcome is not None]
        for job, run in sorted(made, key=lambda pair: pair[1].kept):  # keep them all before the first is decoded
            yield from self._guarded(job, self._deliver, job, run)
            return
        self._manager.ahead(next_up(self._queue, self._active))
        if turns.over(self._active, self._queue):
            turns.behind(self._active, self._queue)
            for job in list(self._active):
                self._deactivate(job)
        elif self._active:
            yield from self._forward()
        elif self._wanted:
            self._manager.load(*self._wanted.pop(0))

    def _guarded(self, job: JobRun, work: Callable[..., Iterator[EngineEvent] | None], *given: Any) -> Iterator[EngineEvent]:
        try:
            yield from work(*given) or ()
        except Exception as error:
            short = isinstance(error, OutOfMemory) or is_out_of_memory(error)
            if not short or not self._manager.spare():
                yield self._fail(job, error)
            elif job not in self._active:
                self._deactivate(job)  # tried again on its next turn, as all of it is

    def _prepare(self, job: JobRun) -> Iterator[EngineEvent]:
        """Loads what the job needs and encodes its inputs; it becomes active if it fits with those that are."""
        request = job.request
        if request.ability and not self._manager.is_loaded(request.checkpoint, request.vae):
            yield Loading(job.id, request.checkpoint)
        with torch.inference_mode(False), torch.no_grad():  # weights outlive this engine's use of them
            stages = hold(job, self._manager, self._modifiers)
            if not self._active and request.ability:
                for name, params in job.modifiers.items():
                    self._patches.enter(self._modifiers[name], job.models[""], params, self._manager.catalog)
        if job.material is None:
            prepare(job, stages, self._prompts, self._blobs, self._schedulers)
        if self._active and not batching.fits(job, self._active[0]):
            job.release()
            return
        for older in self._queue[: self._queue.index(job)]:
            if older not in self._active and not older.paused:
                older.overtaken += 1
        self._active.append(job)
        self._active.sort(key=self._queue.index)
        if not job.started:
            job.started = True
            yield from (Started(job.id, job.total), *(Notice(job.id, said) for said in (*self._patches.notices, *job.remarks)))

    def _forward(self) -> Iterator[EngineEvent]:
        """One pass for the pictures whose turn it is; each goes on to its next question."""
        began = time.perf_counter()
        runs = batching.candidates(self._active, self._limits)
        for job, run in runs:
            if job in self._active and run.developing is None:
                yield from self._guarded(job, run.start, job.material)
        asking = [(job, run) for job, run in runs if job in self._active and not isinstance(run.asked, chores.Chore)]
        runs = batching.alike(asking, self._limits)
        if not runs:
            return
        answers, errors = batching.answer(runs, self._limits, self._patches.around)
        stepped: dict[JobRun, int] = {}
        for job, run, output in answers:
            try:
                if run.advance(output):
                    stepped[job] = stepped.get(job, 0) + 1
            except Exception as error:
                errors.append((job, error))
        self._pace.keep(self._manager.device)
        seconds = (time.perf_counter() - began) / len(runs)
        for job, error in errors:
            if job in self._active:
                yield self._fail(job, error)
        for job, pictures in batching.of_each(runs):
            if job in self._active:
                yield from self._guarded(job, self._report, job, pictures * seconds, stepped.get(job, 0))

    def _report(self, job: JobRun, seconds: float, stepped: int) -> Iterator[EngineEvent]:
        job.budget.worked(seconds, stepped)
        if stepped or job.own_steps:
            frame = job.frame(self._previewer) if stepped and self._previewer is not None else None
            yield Step(job.id, job.step, job.total, frame, job.calls if job.own_steps else 0)

    def _chore(self, job: JobRun, run: PictureRun) -> Iterator[EngineEvent]:
        assert job.components is not None
        before = run.steps
        run.work(job.components, self._manager.catalog)
        if run.steps > before:
            yield Step(job.id, job.step, job.total)

    def _deliver(self, job: JobRun, run: PictureRun) -> Iterator[EngineEvent]:
        """The finished latents, to be kept; and on a later turn the picture."""
        assert run.outcome is not None
        if not run.kept and run.outcome.latents:
            require_numbers(run.outcome.latents[-1], job.request.checkpoint)  # or a retry would begin with what is broken
            run.kept = True
            yield Developed(job.id, run.picture, to_keep(run.outcome))
            return
        made = finished(job, run, self._schedulers, self._versions)
        job.pictures.remove(run)
        job.steps_done += run.steps_run
        yield Decoded(job.id, run.picture, run.seed, made.width, made.height, made.data, made.media_type)
        if not job.pictures:
            self._drop(job)
            yield Finished(job.id)

    # -- leaving ------------------------------------------------------------------------------------------------------

    def _fail(self, job: JobRun, error: Exception) -> Failed:
        self._drop(job)
        return Failed(job.id, sentence(error, job.id))

    def _drop(self, job: JobRun) -> None:
        self._deactivate(job)
        job.close()
        if job in self._queue:
            self._queue.remove(job)

    def _deactivate(self, job: JobRun) -> None:
        """Takes a job off the model; with the last one the modifiers are left, while the model is still held."""
        if job in self._active:
            self._active.remove(job)
        if not self._active:
            self._patches.close()
        job.release()
