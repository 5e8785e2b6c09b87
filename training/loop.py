"""The training loop all stages share: a wall-clock budget, weight averages, logs, resuming."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from training.plots import save_loss_plot
from training.workers import Worker

WARM_UP_STEPS = 60
LOG_SECONDS = 60.0


@dataclass(frozen=True)
class Job:
    """What to train, for how long, and what to do with it now and then."""

    folder: Path
    model: nn.Module
    loss: Callable[[nn.Module], torch.Tensor]
    export: Callable[[nn.Module], dict[str, float]]  # gets the averaged model; returns numbers to log
    minutes: float
    rate: float
    batch: int
    cosine_from: float = 0.6  # share of the budget after which the learning rate falls
    sync_every: int = 8
    average_decay: float = 0.998
    export_seconds: float = 300.0


def learning_rate(job: Job, step: int, progress: float) -> float:
    """Linear warm-up in steps, then a plateau, then a cosine tail over the rest of the budget."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    tail = min(1.0, max(0.0, (progress - job.cosine_from) / (1.0 - job.cosine_from)))
    return job.rate * warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * tail)))


def write_atomically(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then move it into place."""
    partial = file.with_name(file.name + ".partial")
    write(partial)
    os.replace(partial, file)


class Run:
    """The state of one job in one worker."""

    def __init__(self, job: Job, worker: Worker) -> None:
        self.job, self.worker = job, worker
        self.average = copy.deepcopy(job.model).eval().requires_grad_(False)
        self.weights = [p for p in job.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, job.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.step, self.samples, self.spent = 0, 0, 0.0
        self.log: list[dict[str, float]] = []
        self.losses: list[float] = []
        self._resume()

    @property
    def _state_file(self) -> Path:
        return self.job.folder / f"state-{self.worker.rank}.pt"

    @property
    def _log_file(self) -> Path:
        return self.job.folder / "log.json"

    def _resume(self) -> None:
        if not self._state_file.exists():
            return
        state = torch.load(self._state_file, map_location=self.worker.device, weights_only=True)
        self.job.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.samples, self.spent = state["step"], state["samples"], state["spent"]
        if self._log_file.exists():
            self.log = json.loads(self._log_file.read_text())

    def save(self) -> None:
        """Write everything needed to go on later."""
        state = {
            "model": self.job.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "samples": self.samples,
            "spent": self.spent,
        }
        write_atomically(self._state_file, lambda file: torch.save(state, file))

    def advance(self, progress: float) -> None:
        """One optimizer step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.job, self.step, progress)
        loss = self.job.loss(self.job.model)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.step += 1
        self.samples += self.job.batch * self.worker.count
        self.losses.append(loss.item())

    @torch.no_grad()
    def blend(self, steps: int) -> None:
        """Move the averaged model towards the trained one, as `steps` single moves would."""
        decay = min(self.job.average_decay, self.step / (self.step + 15)) ** steps
        pairs = list(zip(self.average.state_dict().values(), self.job.model.state_dict().values(), strict=True))
        floats = [(a, b) for a, b in pairs if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1.0 - decay)
        for a, b in pairs:
            if not a.is_floating_point():
                a.copy_(b)

    def report(self, numbers: dict[str, float]) -> None:
        """Print and record one line: the mean loss since the last one, and `numbers`."""
        entry: dict[str, float] = {"seconds": round(self.spent, 1), "step": self.step, "samples": self.samples}
        if self.losses:
            entry["loss"] = sum(self.losses) / len(self.losses)
        entry |= numbers
        self.losses = []
        self.log.append(entry)
        words = " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in entry.items())
        tqdm.write(f"[{self.job.folder.name}] {words}")
        sys.stdout.flush()
        log = json.dumps(self.log, indent=0)
        write_atomically(self._log_file, lambda file: file.write_text(log))
        save_loss_plot(self.log, self.job.folder / "loss.png")


def train(job: Job, worker: Worker) -> nn.Module:
    """Run the job until its budget is spent; returns the averaged model."""
    job.folder.mkdir(parents=True, exist_ok=True)
    run, budget = Run(job, worker), 60.0 * job.minutes
    if worker.device.type == "cuda":
        job.model.compile()  # in place: the weights keep their names
    progress = run.spent / budget if budget else 1.0
    last = logged = exported = time.monotonic()
    # The bar shows on terminals only, and counts seconds of the budget.
    bar = tqdm(total=round(budget), initial=round(run.spent), unit="s", desc=job.folder.name, disable=None if worker.leads else True)
    while progress < 1.0:
        run.advance(progress)
        now = time.monotonic()
        run.spent, last = run.spent + now - last, now
        if run.step % job.sync_every:
            continue
        # The workers also agree on the time spent, so that they stop at the same step.
        progress = worker.average(run.weights, run.spent / budget)
        run.spent = progress * budget
        run.blend(job.sync_every)
        bar.update(min(round(run.spent), bar.total) - bar.n)
        if worker.leads and now - logged > LOG_SECONDS:
            run.report({})
            logged = now
        if now - exported > job.export_seconds and progress < 1.0:
            exported = now
            run.save()
            if worker.leads:
                run.report(job.export(run.average))
    bar.close()
    run.save()
    if worker.leads:
        run.report(job.export(run.average))
    return run.average
