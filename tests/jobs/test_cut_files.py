"""A checkpoint that is cut short while it is being read: the system ends the worker, the page goes on and says what happened."""

import os
import shutil
from pathlib import Path

import pytest

from extensions.engine import EngineConfig
from jobs.studio import Studio, WorkerConfig
from pipelines.catalog import Catalog
from pipelines.headers import read
from pipelines.names import SCHEDULERS

from .cutting import Cutting
from .parts import FAST, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="Windows does not cut a file that is mapped")]


def test_a_file_cut_short_while_mapped_ends_the_worker_and_not_the_page(models: Path, tmp_path: Path) -> None:
    root = tmp_path / "models"
    for name in ("cut", "toy"):
        shutil.copytree(models / "checkpoints" / "toy", root / "checkpoints" / name)
    path = root / "checkpoints" / "cut" / "unet" / "diffusion_pytorch_model.safetensors"
    left = min(info.start for info in read(path).tensors.values())  # its header stays
    outputs = tmp_path / "outputs"
    config = EngineConfig((str(root),), "cpu", str(outputs / ".safelight" / "blobs"))
    worker = WorkerConfig("tests.jobs.cutting:build", Cutting(config, str(path), left))
    studio = Studio(outputs, Catalog([root]), SCHEDULERS, {}, worker, version="1", limits=FAST)
    studio.start()
    try:
        draft = {"prompt": "a cat", "num_inference_steps": 2, "width": 64, "height": 64}
        job = studio.submit({**draft, "checkpoint": "cut"}).id
        told = until(lambda: (view := studio.job(job)).ended and view, timeout=300)
        assert told.state == "failed" and told.attempt == 2
        assert "is cut short" in str(told.error) and "cut/unet/diffusion_pytorch_model.safetensors" in str(told.error)
        health = studio.health()
        assert (health["engine"], health["restarts"]) == ("ready", 1)
        listed = {model["name"]: model["broken"] for model in studio.models()["checkpoints"]}
        assert "is cut short" in listed["cut"] and listed["toy"] is None
        other = studio.submit({**draft, "checkpoint": "toy"}).id
        assert until(lambda: (view := studio.job(other)).ended and view, timeout=300).state == "finished"
    finally:
        studio.stop()
