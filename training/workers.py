"""Several single-threaded processes that train one model and average their weights now and then.

On a CPU two single-threaded processes beat one two-threaded process by a wide margin, and
averaging weights every few steps ("local SGD") costs far less than averaging every gradient.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


@dataclass(frozen=True)
class Worker:
    """One process of a run, and its device."""

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this worker writes files and prints."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Iterable[torch.Tensor], number: float) -> float:
        """Average the tensors in place over all workers; returns the average of `number`."""
        if self.count == 1:
            return number
        tensors = list(tensors)
        flat = torch.cat([t.reshape(-1) for t in tensors] + [torch.tensor([number])])
        dist.all_reduce(flat)
        flat /= self.count
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()
        return float(flat[-1])


def _enter(rank: int, count: int, meeting: str, work: Callable[..., None], arguments: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    try:
        work(Worker(rank, count, torch.device("cpu")), *arguments)
    finally:
        dist.destroy_process_group()


def run_workers(count: int, device: torch.device, work: Callable[..., None], *arguments: object) -> None:
    """Call `work(worker, *arguments)` in `count` processes (in this one, where count is 1)."""
    if count == 1 or device.type != "cpu":
        work(Worker(0, 1, device), *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        mp.spawn(_enter, (count, meeting, work, arguments), nprocs=count)
