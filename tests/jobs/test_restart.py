"""The whole program is killed; the next start finds everything as it was."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.studio import Studio

from .parts import ended, names, until
from .scripted import png

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def serve(models: Path, outputs: Path) -> Iterator[Callable[..., tuple[list[str], int]]]:
    """Runs a server until each running job has come to one of the steps named, and kills it; the jobs and the engine's pid."""
    servers: list[subprocess.Popen[str]] = []

    def run(prompts: list[str], steps: list[int]) -> tuple[list[str], int]:
        command = [sys.executable, "-m", "tests.jobs.server", str(outputs), str(models), *prompts]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        servers.append(server)
        jobs = [server.stdout.readline().strip() for _ in prompts]
        wanted = ["steps", *map(str, steps), "engine"]
        while (line := server.stdout.readline().split())[:-1] != wanted:
            assert line, "the server ended"
        server.kill()
        server.wait()
        return jobs, int(line[-1])

    yield run
    for server in servers:
        server.kill()
        server.stdout.close()
        server.wait()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_after_a_kill_queued_jobs_are_queued_running_ones_run_again_and_no_picture_is_lost_or_doubled(
    serve: Callable[..., tuple[list[str], int]], studios: Callable[..., Studio], outputs: Path
):
    # eight hold the engine, the newest after its first picture; two wait behind them
    (*held, half, first, second), engine = serve(["hold:1:1"] * 7 + ["hold:6:1"] + [""] * 2, [6] + [1] * 7)
    studio = studios(in_process=False)
    assert until(lambda: gone(engine), timeout=10)
    done = ended(studio, half)
    assert (done.state, done.attempt, done.notice) == (
        "finished", 2, "The program stopped while working on this job; it is being run again.",
    )  # fmt: skip
    for job in (*held, first, second):
        assert ended(studio, job).state == "finished"
    assert [studio.job(job).attempt for job in (first, second)] == [1, 1]
    pictures = list(outputs.glob("*/*.png"))
    assert len(pictures) == len(studio.images(limit=100)) == 2 * 10
    assert sorted(path.read_bytes() for path in pictures) == sorted([png(1), png(2)] * 10)
    assert names(studio, half).count("saved") == 2
    assert not list(outputs.rglob("*.part"))


def test_a_job_that_is_running_when_the_program_is_killed_twice_fails(
    serve: Callable[..., tuple[list[str], int]], studios: Callable[..., Studio]
):
    (job,), _ = serve(["hold:2:2"], [2])
    serve([], [2])
    studio = studios()
    assert studio.job(job).state == "failed"
    assert studio.job(job).error == "The program stopped twice while working on this job."


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing(
    serve: Callable[..., tuple[list[str], int]], studios: Callable[..., Studio], outputs: Path, models: Path
):
    command = [sys.executable, "-m", "tests.jobs.server", str(outputs), str(models)]
    jobs: set[str] = set()
    for _ in range(10):
        with subprocess.Popen([*command, *["slow"] * 4], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            jobs |= {server.stdout.readline().strip() for _ in range(4)}
            for _ in range(len(jobs)):
                server.stdout.readline()
            server.send_signal(signal.SIGKILL)
    studio = studios(in_process=False)
    views = [until(lambda job=job: (view := studio.job(job)).ended and view, timeout=120) for job in jobs]
    assert {view.state for view in views} <= {"finished", "failed"}
    assert all(len(view.images) == 2 for view in views if view.state == "finished")
    pictures = sorted(outputs.glob("*/*.png"))
    assert len({path.name.split("-", 1)[1] for path in pictures}) == len(pictures)  # none twice
    assert {image.path for image in studio.images(limit=1000)} == set(pictures)
