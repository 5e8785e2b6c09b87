"""From the command to the first picture, in seconds, on the built-in checkpoint: `python -m tests.benchmarks.bench_start`.

Starts the real program on a free port with an empty outputs folder and talks to it over HTTP. Prints what it saw and
asserts nothing: seconds depend on the machine.
"""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
DRAFT = {"task": "txt2img", "prompt": "a red apple on a white background", "seed": 1}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(ready: Callable[[], bool], limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the studio did not get there in time")
        time.sleep(0.01)


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def develop(client: httpx.Client, draft: dict[str, object]) -> tuple[float, float]:
    """Submit and wait: seconds to the first preview, seconds to the finished picture."""
    start = time.perf_counter()
    job = client.post("/api/v1/jobs", json=draft).raise_for_status().json()["id"]
    first, step = 0.0, 0
    while True:
        preview = client.get(f"/api/v1/jobs/{job}/preview", params={"after": step})  # waits for the next frame, as the page does
        if preview.status_code == 200:
            first, step = first or time.perf_counter() - start, int(preview.headers["X-Step"])
            continue
        state = client.get(f"/api/v1/jobs/{job}").json()["state"]
        if state in ("finished", "failed", "cancelled"):
            assert state == "finished", state
            return first, time.perf_counter() - start


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as outputs:
        command = [sys.executable, str(ROOT / "app.py"), "--no-open", "--port", str(port), "--outputs", outputs]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                until(lambda: answers(client, "/"))
                print(f"page answers after             {time.perf_counter() - start:6.2f} s")
                _, done = develop(client, DRAFT)
                print(f"first picture after start      {time.perf_counter() - start:6.2f} s, asked for at once; took {done:.2f} s")
                rows = sorted(develop(client, {**DRAFT, "seed": seed}) for seed in range(2, 12))
                middle, worst = rows[len(rows) // 2][0], rows[-1][0]
                print(f"click to first preview, warm   {middle:6.2f} s median of {len(rows)}, {worst:.2f} s worst")
                print(f"click to finished picture      {sorted(row[1] for row in rows)[len(rows) // 2]:6.2f} s median")
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
