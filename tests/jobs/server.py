"""A program around a studio, to be killed: `python -m tests.jobs.server OUTPUTS MODELS PROMPT...` prints the jobs' ids."""

import sys
import time
from pathlib import Path

from .parts import draft, make_studio


def main(outputs: str, models: str, *prompts: str) -> None:
    studio = make_studio(Path(outputs), Path(models), in_process=False)
    studio.start()
    for prompt in prompts:
        print(studio.submit(draft(prompt, num_images_per_prompt=2, seed=1)).id, flush=True)
    while True:
        running = [job.step for job in studio.jobs() if job.state == "running"]
        print("steps", *running, "engine", studio._supervisor.state.pid, flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
