"""Command line: `python -m training <stage>` runs one stage, `all` runs every stage in order."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from training.config import CONFIGS, Config
from training.paths import Paths
from training.workers import run_workers

DEFAULT_CHECKPOINT = Path("models/checkpoints/safelight-picturebook")
STAGES = ("data", "text", "vae", "latents", "denoiser", "polish", "tiny", "judge", "package", "evaluate", "lora", "embedding")


def _stage_functions(config: Config, paths: Paths, checkpoint: Path, device: torch.device) -> dict[str, Callable[[], None]]:
    # Imported here so that `--help` answers at once.
    from training.data import prepare_data
    from training.denoiser import train_denoiser
    from training.embedding import train_embedding
    from training.evaluate import evaluate
    from training.judge import train_judge
    from training.latents import freeze_vae, make_latents
    from training.lora import train_lora
    from training.package import package
    from training.polish import train_polish
    from training.text import train_text
    from training.tiny import train_tiny
    from training.vae import train_vae

    def spread(work: Callable[..., None]) -> Callable[[], None]:
        return lambda: run_workers(config.processes, device, work, config, paths)

    def beside(work: Callable[..., None], folder: str) -> Callable[[], None]:
        # models/checkpoints/NAME is the base; models/loras and models/embeddings lie beside its folder.
        target = checkpoint.parent.parent / folder
        return lambda: run_workers(config.processes, device, work, config, paths, checkpoint, target)

    def latents() -> None:
        freeze_vae(config, paths)
        run_workers(config.processes, device, make_latents, config, paths)

    return {
        "data": lambda: prepare_data(config, paths),
        "text": spread(train_text),
        "vae": spread(train_vae),
        "latents": latents,
        "denoiser": spread(train_denoiser),
        "polish": spread(train_polish),
        "tiny": spread(train_tiny),
        "judge": spread(train_judge),
        "package": lambda: package(config, paths, checkpoint),
        "evaluate": lambda: evaluate(config, paths, checkpoint),
        "lora": beside(train_lora, "loras"),
        "embedding": beside(train_embedding, "embeddings"),
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("--config", choices=sorted(CONFIGS), default="picturebook")
    parser.add_argument("--work", type=Path, default=Path("training_run"), help="folder for data, states and exports")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT, help="folder `package` writes")
    parser.add_argument(
        "--start-from",
        type=Path,
        help="checkpoint folder whose weights a fresh run begins with (default: the shipped one, if it is there)",
    )
    parser.add_argument("--from-scratch", action="store_true", help="begin with random weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, help="worker processes on a CPU")
    parser.add_argument("--minutes", type=float, help="wall-clock budget of this stage, resumed time included")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for."""
    given = parse(arguments)
    config = CONFIGS[given.config]
    if given.processes:
        config = replace(config, processes=given.processes)
    if not given.from_scratch:
        shipped = DEFAULT_CHECKPOINT if given.config != "tiny" and DEFAULT_CHECKPOINT.exists() else None
        config = replace(config, start_from=given.start_from or shipped)
    if given.minutes is not None:
        config = replace(config, **{f"{given.stage}_minutes": given.minutes})
    device = torch.device(given.device)
    if device.type == "cpu" and config.processes > 1:
        # Each worker is single-threaded; OpenMP must hear so before the workers start.
        os.environ["OMP_NUM_THREADS"] = "1"
    stages = _stage_functions(config, Paths(given.work), given.checkpoint, device)
    for name in STAGES if given.stage == "all" else (given.stage,):
        print(f"[{name}]", flush=True)
        stages[name]()


if __name__ == "__main__":
    main()
