"""Which jobs run together, and the one forward pass over what their pictures ask for."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .components import Components
from .decode import free_memory, is_out_of_memory
from .denoise import Predict
from .errors import OutOfMemory
from .modifiers import Around, Prediction
from .running import JobRun, PictureRun, Signature
from .starts import Material

log = logging.getLogger(__name__)
OVERTAKEN_AT_MOST = 8
LARGEST = 16
CPU_LATENT_PIXELS = 64 * 64  # a CPU gains from batches while the layers are too small to keep its cores busy
BYTES_PER_LATENT_PIXEL = 400_000  # of activations, for both rows of guidance; from a Stable Diffusion 1 UNet in half precision
CPU_LARGEST = 8

Shape = tuple[int, ...]  # of the latents of one picture


def signature(asked: Predict) -> Signature:
    """Questions with equal signatures to the same model fit into one forward pass."""
    told = tuple(sorted((name, tensor.shape[1:], tensor.dtype) for name, tensor in asked.conditioning.items()))
    return asked.model, asked.denoiser, asked.latents.shape[1:], told


def expected(material: Material, components: Components) -> Signature:
    """What a job's first question will be like."""
    if not material.passes:
        return ()
    first = material.passes[0]
    told = tuple(sorted((name, tensor.shape[1:], tensor.dtype) for name, tensor in first.told[0].conditioning.items()))
    return first.stage.shape, components.denoiser.config.in_channels, told


def fits(job: JobRun, leader: JobRun) -> bool:
    """Whether both, being prepared, can share a forward pass."""
    assert job.components is not None and leader.components is not None
    return job.signature == leader.signature and (not job.signature or job.components.denoiser is leader.components.denoiser)


def default_limit(components: Components, shape: Shape) -> int:
    """How many pictures to take into one forward pass, from the device and the size of their latents."""
    pixels = math.prod(shape) // shape[-3]  # of all frames of a clip
    if components.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(components.device)
        return max(1, min(LARGEST, free // 2 // (pixels * BYTES_PER_LATENT_PIXEL)))
    return max(1, min(CPU_LARGEST, CPU_LATENT_PIXELS // pixels))


@dataclass
class Limits:
    """The largest batch per checkpoint and size of latents: what the device promises, less what it could not keep. `spare` lets go
    of models that nobody uses, and says whether there were any."""

    most: int | None = None
    spare: Callable[[], bool] = lambda: False
    _learned: dict[Any, int] = field(default_factory=dict)

    def of(self, job: JobRun, shape: Shape | None = None) -> int:
        """Pictures of this shape (by default that of the job's first pass) in one forward pass."""
        shape = shape or first_shape(job)
        return 1 if job.request.exact or not shape else max(1, self._limit(job, shape))

    def by_rows(self, job: JobRun, shape: Shape) -> bool:
        """Whether even one picture must be predicted one row of guidance after another."""
        return self._limit(job, shape) == 0

    def lower(self, job: JobRun, shape: Shape, tried: int) -> bool:
        """After `tried` pictures were too many; False if there is no less to try."""
        before = self._limit(job, shape)
        self._learned[job.request.checkpoint, shape] = min(before, tried // 2)
        return before > 0

    def _limit(self, job: JobRun, shape: Shape) -> int:
        assert job.components is not None
        key = (job.request.checkpoint, shape)
        if key not in self._learned:
            self._learned[key] = default_limit(job.components, shape) if self.most is None else self.most
        return self._learned[key]


def first_shape(job: JobRun) -> Shape:
    assert job.material is not None
    return job.material.passes[0].stage.shape if job.material.passes else ()


def may_join(waiting: JobRun, active: Sequence[JobRun], queue: Sequence[JobRun], limits: Limits) -> bool:
    """Whether `waiting` may become active now. The oldest leads; a younger one joins if it fits and there is room, and
    overtakes an older one that does not fit at most `OVERTAKEN_AT_MOST` times. `queue` is everyone, oldest first."""
    older = [job for job in queue[: queue.index(waiting)] if job not in active and not job.paused]
    if not active:
        return not older
    leader = active[0]
    if waiting.request.exact or leader.request.exact or waiting.place != leader.place:
        return False
    if waiting.signature is not None and waiting.signature != leader.signature:
        return False
    if sum(len(job.unfinished) for job in active) >= limits.of(leader):
        return False
    return all(job.overtaken < OVERTAKEN_AT_MOST for job in older)


def candidates(active: Sequence[JobRun], limits: Limits) -> list[tuple[JobRun, PictureRun]]:
    """The pictures that may be in the next forward pass, the oldest jobs' first: as many as fit of the leader's first pass."""
    runs = [(job, run) for job in active for run in job.unfinished]
    return runs[: limits.of(active[0])] if active else []


def alike(runs: Sequence[tuple[JobRun, PictureRun]], limits: Limits) -> list[tuple[JobRun, PictureRun]]:
    """Those that ask the same of the same model as the first, as many as fit."""
    if not runs:
        return []
    first = question(runs[0][1])
    same = [(job, run) for job, run in runs if signature(question(run)) == signature(first)]
    return same[: limits.of(runs[0][0], shape_of(first))]


def forward(asked: Sequence[Predict], components: Components, by_rows: bool = False, around: Sequence[Around] = ()) -> list[Tensor]:
    """One pass of the denoiser over all rows, or one pass for each of them; each question gets its own rows back. The first of
    `around` is the innermost."""
    predict: Prediction = predicted
    for wrapped in around:
        predict = wrapped(predict)
    whole = joined(asked)
    parts = [rows_of(whole, row, row + 1) for row in range(len(whole.latents))] if by_rows else [whole]
    output = _cat([predict(part, components) for part in parts])
    return list(output.split([len(one.latents) for one in asked]))


def predicted(asked: Predict, components: Components) -> Tensor:
    """The denoiser's output for all rows of a question."""
    return components.family.predict(components.denoiser_called(asked.denoiser), asked.latents, asked.timestep, asked.conditioning)


def joined(asked: Sequence[Predict]) -> Predict:
    """One question of the rows of several to the same model."""
    conditioning = {name: _cat([one.conditioning[name] for one in asked]) for name in asked[0].conditioning}
    rows = tuple(row for one in asked for row in one.rows)
    return Predict(
        _cat([one.latents for one in asked]), _cat([one.timestep for one in asked]), conditioning, asked[0].model, rows, asked[0].denoiser
    )


def rows_of(asked: Predict, begin: int, end: int) -> Predict:
    """The question of the rows from `begin` to `end` alone."""
    told = {name: tensor[begin:end] for name, tensor in asked.conditioning.items()}
    return replace(
        asked, latents=asked.latents[begin:end], timestep=asked.timestep[begin:end], conditioning=told, rows=asked.rows[begin:end]
    )


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


Answers = list[tuple[JobRun, PictureRun, Tensor]]
Errors = list[tuple[JobRun, Exception]]


def answer(runs: Sequence[tuple[JobRun, PictureRun]], limits: Limits, around: Sequence[Around] = ()) -> tuple[Answers, Errors]:
    """Predictions for a group, with `around` around them. Short of memory, unused models are let go, or else the limit is halved, and
    nothing is answered: ask again with the next group.

    An error that is one job's fault is found by running the jobs apart, and is that job's alone.
    """
    job, asked = runs[0][0], question(runs[0][1])
    shape = shape_of(asked)
    try:
        outputs = forward([question(run) for _, run in runs], job.models[asked.model], limits.by_rows(job, shape), around)
        for owner, run in runs:
            owner.calls += 1
            run.largest_batch = max(run.largest_batch, len(runs))
        return [(owner, run, output) for (owner, run), output in zip(runs, outputs, strict=True)], []
    except Exception as error:
        # without its traceback, which would hold on to the tensors of the pass
        problem = error.with_traceback(None) if is_out_of_memory(error) else error
    if is_out_of_memory(problem):
        free_memory()
        if limits.spare() or limits.lower(job, shape, len(runs)):
            log.warning("Not enough memory for %d pictures of %s at once; going on with fewer", len(runs), job.request.checkpoint)
            return [], []
        scale = job.models[asked.model].vae_scale_factor
        size = f"{shape[-1] * scale}×{shape[-2] * scale}"
        problem = OutOfMemory(f"There is not enough memory for one picture of {size}; choose a smaller size.")
    jobs = list(dict.fromkeys(owner for owner, _ in runs))
    if len(jobs) == 1:
        return [], [(job, problem)]
    answers: Answers = []
    errors: Errors = []
    for one in jobs:
        answered, failed = answer([pair for pair in runs if pair[0] is one], limits, around)
        answers += answered
        errors += failed
    return answers, errors


def question(run: PictureRun) -> Predict:
    assert isinstance(run.asked, Predict)
    return run.asked


def shape_of(asked: Predict) -> Shape:
    return tuple(asked.latents.shape[1:])


def of_each(runs: Sequence[tuple[JobRun, PictureRun]]) -> Iterator[tuple[JobRun, int]]:
    """How many pictures of the group each job has."""
    for job in dict.fromkeys(job for job, _ in runs):
        yield job, sum(owner is job for owner, _ in runs)


class Pace:
    """Keeps the thread at most one pass ahead of an accelerator that works through its own queue.

    Else every step would be reported, and none could be cancelled, long before it is done; a full wait after each would
    leave the accelerator idle in between.
    """

    def __init__(self) -> None:
        self._last: torch.cuda.Event | None = None

    def keep(self, device: torch.device) -> None:
        if device.type != "cuda":
            return
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(device))
        if self._last is not None:
            self._last.synchronize()
        self._last = done
