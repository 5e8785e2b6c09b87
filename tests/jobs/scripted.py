"""A small engine that follows the script in a job's prompt: real files and processes around it, no model inside.

The prompt is words: `hold:3` waits after step 3 until the job is cancelled, paused and resumed, or the engine is closed;
`die:3` kills the process after step 3; `crash:3` raises there; `fail:3` fails the job. `hold:3:1` does it on the first
try only. `undecoded:1` dies on the first try between keeping the latents and decoding them; `loading` says so first;
`slow` works for a while at each step. Tries are counted in files, as they must outlive the process.
"""

import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines import events as ev
from pipelines.errors import CheckpointError


@dataclass(frozen=True)
class Script:
    folder: str  # counts tries here
    broken: bool = False  # the engine cannot be built
    unreadable: str = ""  # why no checkpoint can be loaded


def png(seed: int, width: int = 8, height: int = 8) -> bytes:
    """A grey picture whose level is the seed's last byte."""
    rows = (b"\0" + bytes([seed % 256]) * width) * height

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@dataclass
class Running:
    work: ev.Work
    attempt: int
    step: int = 0
    paused: bool = False
    held: bool = False
    started: bool = False
    pictures: list[int] = field(default_factory=list)


class ScriptedEngine:
    def __init__(self, script: Script) -> None:
        self.script = script
        self._changed = threading.Condition()
        self._jobs: dict[str, Running] = {}
        self._said: list[ev.EngineEvent] = []
        self._closed = False
        self._loaded = ["toy"]
        self._failures: dict[str, dict[str, Any]] = {}

    def submit(self, work: ev.Work) -> None:
        tries = Path(self.script.folder) / f"{work.job}.tries"
        attempt = int(tries.read_text()) + 1 if tries.exists() else 1
        tries.write_text(str(attempt))
        count = work.request.num_images_per_prompt
        with self._changed:
            self._jobs[work.job] = Running(work, attempt, pictures=[i for i in range(count) if i not in work.done])
            self._changed.notify_all()

    def cancel(self, job: str) -> None:
        with self._changed:
            if self._jobs.pop(job, None):
                self._said.append(ev.Cancelled(job))
            self._changed.notify_all()

    def pause(self, job: str) -> None:
        with self._changed:
            if (found := self._jobs.get(job)) and not found.paused:
                found.paused = True
                self._said.append(ev.Paused(job))
            self._changed.notify_all()

    def resume(self, job: str) -> None:
        with self._changed:
            if (found := self._jobs.get(job)) and found.paused:
                found.paused = found.held = False
                self._said.append(ev.Resumed(job))
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def status(self) -> dict[str, Any]:
        parts = [{"component": "unet", "bytes": 1, "waits": False, "shared": False}]
        held = {"holds": dict.fromkeys(self._loaded, parts), "plans": dict.fromkeys(self._loaded, "Everything is in main memory.")}
        return {"loaded": list(self._loaded), "memory_bytes": 1, "device": "script", **held, "failures": dict(self._failures)}

    def load(self, checkpoint: str, vae: str) -> None:
        if self.script.unreadable:
            self._failures[checkpoint] = {"message": self.script.unreadable, "time": time.time()}
        else:
            self._loaded = [checkpoint]

    def unload(self, checkpoint: str) -> None:
        self._loaded = []

    def draw(self, ticket: str, modifier: str, params: Mapping[str, Any], size: tuple[int, int]) -> None:
        """A grey picture; none for modifier "fail", and "die" kills the process."""
        if modifier == "die":
            os._exit(9)
        with self._changed:
            self._said.append(ev.Drawn(ticket, b"" if modifier == "fail" else png(7, *size), "It cannot be drawn."))
            self._changed.notify_all()

    def events(self) -> Iterator[ev.EngineEvent]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._said or self._able())
                if self._closed:
                    return
                said, self._said = self._said, []
                able = self._able()
            yield from said
            for running in able:
                yield from self._tick(running)

    def _able(self) -> list[Running]:
        return [running for running in self._jobs.values() if not running.paused and not running.held]

    def _tick(self, running: Running) -> Iterator[ev.EngineEvent]:
        job, request = running.work.job, running.work.request
        total = request.steps_run * request.num_images_per_prompt
        if not running.started:
            running.started = True
            running.step = request.steps_run * (request.num_images_per_prompt - len(running.pictures))
            if "loading" in request.prompt.split():
                yield ev.Loading(job, request.checkpoint)
            yield ev.Started(job, total)
            return
        picture = running.pictures[0]
        if picture not in running.work.latents:
            running.step += 1
            if "slow" in request.prompt.split():
                time.sleep(0.01)  # work, for a kill to fall into
            yield ev.Step(job, running.step, total, b"jpeg %d" % running.step)
            yield from self._act(running)
            if running.held or job not in self._jobs or running.step % request.steps_run:
                return
            yield ev.Developed(job, picture, b"latents of %d" % picture)
        else:
            assert running.work.latents[picture] == b"latents of %d" % picture
            yield ev.Notice(job, f"picture {picture} is decoded from kept latents")
        yield from self._deliver(running, picture)

    def _deliver(self, running: Running, picture: int) -> Iterator[ev.EngineEvent]:
        job, seed = running.work.job, running.work.request.seed + picture
        if f"undecoded:{running.attempt}" in running.work.request.prompt.split():
            os._exit(9)
        yield ev.Decoded(job, picture, seed, 8, 8, png(seed))
        running.pictures.remove(picture)
        with self._changed:
            ended = not running.pictures and self._jobs.pop(job, None)
        if ended:
            yield ev.Finished(job)

    def _act(self, running: Running) -> Iterator[ev.EngineEvent]:
        job = running.work.job
        for word in running.work.request.prompt.split():
            verb, _, rest = word.partition(":")
            step, _, tries = rest.partition(":")
            if not step.isdigit() or running.step != int(step) or running.attempt > int(tries or 1000):
                continue
            match verb:
                case "hold":
                    running.held = True
                case "die":
                    os._exit(9)
                case "crash":
                    raise RuntimeError("scripted crash")
                case "fail":
                    with self._changed:
                        self._jobs.pop(job, None)
                    yield ev.Failed(job, "The script says so.")


def build(script: Script) -> ScriptedEngine:
    if script.broken:
        raise CheckpointError("The script is broken.")
    return ScriptedEngine(script)
