"""A really launched server on a free port, with a real studio around the scripted engine."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ui.environment import prepare

prepare(Path(tempfile.gettempdir()) / "safelight-tests")

import gradio as gr  # noqa: E402
import httpx  # noqa: E402

from jobs.fetching import Web  # noqa: E402
from jobs.messages import WorkerConfig  # noqa: E402
from jobs.studio import Studio  # noqa: E402
from pipelines.catalog import Catalog  # noqa: E402
from pipelines.names import SCHEDULERS  # noqa: E402
from tests.jobs.scripted import Script  # noqa: E402
from ui.server import Server, serve  # noqa: E402


@dataclass
class Served:
    server: Server
    studio: Studio
    client: httpx.Client
    folder: Path

    def submit(self, **draft: Any) -> dict[str, Any]:
        answer = self.client.post("/api/v1/jobs", json={"num_inference_steps": 4, **draft})
        assert answer.status_code == 201, answer.text
        return answer.json()


def make_studio(folder: Path, **more: Any) -> Studio:
    models = folder / "models"
    if not models.exists():
        from tests.toys import save_toy  # imports torch, which a program that finds its models does without

        save_toy(models / "checkpoints" / "toy")
    tries = folder / "tries"
    tries.mkdir(exist_ok=True)
    worker = WorkerConfig("tests.jobs.scripted:build", Script(str(tries)))
    return Studio(folder / "outputs", Catalog([models]), SCHEDULERS, {}, worker, in_process=True, version="0.test", **more)


@contextmanager
def served(folder: Path, web: Callable[[], Web] | None = None, **arguments: Any) -> Iterator[Served]:
    """`web` is where downloads come from; `arguments` are those of `serve`."""
    studio = make_studio(folder, **({"web": web} if web else {}))
    studio.start()
    with gr.Blocks(analytics_enabled=False) as demo:
        gr.Markdown("the page")
    with (
        serve(studio, demo, port=0, quiet=True, **arguments) as server,
        httpx.Client(base_url=server.url.partition("?")[0], timeout=20) as client,
    ):
        yield Served(server, studio, client, folder)
