"""Loss curves as small pictures."""

from __future__ import annotations

from pathlib import Path


def save_loss_plot(log: list[dict[str, float]], file: Path) -> None:
    """Draw the logged loss over the samples seen."""
    points = [(entry["samples"], entry["loss"]) for entry in log if "loss" in entry]
    if not points:
        return
    # Imported here: stages that never plot need no drawing library.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*points, strict=True), marker=".")
    axes.set(xlabel="samples", ylabel="loss", yscale="log", title=file.parent.name)
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=100)
