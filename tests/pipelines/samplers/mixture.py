"""A denoiser without a network: latents drawn from a known mixture of Gaussians, whose clean estimate is exact."""

import math
from collections.abc import Callable, Generator

import torch
from torch import Tensor

from pipelines.samplers import Denoise, Model, ModelSigmas, Stepped

SHAPE = (1, 4, 4, 4)
SPREAD = 0.3

SD = {
    "_class_name": "PNDMScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False, "timestep_spacing": "leading",
}  # fmt: skip
BUILT_IN = {
    "_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear",
    "prediction_type": "v_prediction", "clip_sample": False,
}  # fmt: skip


def centres() -> Tensor:
    return torch.randn((3, *SHAPE[1:]), generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def clean(x: Tensor, sigma: float) -> Tensor:
    """E[x0 | x0 + sigma·noise = x] for the mixture of `centres()`, each with deviation SPREAD."""
    means, variance = centres().to(x), SPREAD**2 + sigma**2
    weights = torch.softmax(-((x - means) ** 2).flatten(1).sum(1) / (2 * variance), 0)
    mean = (weights[:, None, None, None] * means).sum(0, keepdim=True)
    return (x * SPREAD**2 + mean * sigma**2) / variance


def model_output(latents: Tensor, timestep: float, model: ModelSigmas) -> Tensor:
    """What a perfect denoiser says for latents of unit variance."""
    sigma = model.sigma(timestep)
    x = latents.double() * math.sqrt(1 + sigma**2)
    x0 = clean(x, sigma)
    output = {
        "epsilon": (x - x0) / sigma,
        "v_prediction": (x / (1 + sigma**2) - x0) * math.sqrt(1 + sigma**2) / sigma,
        "sample": x0,
    }[model.prediction_type]
    return output.to(latents.dtype)


def drive(run: Generator, answer: Callable[[Denoise | Model], Tensor]) -> tuple[Tensor, list[Stepped]]:
    """Answers every question of a sampler; returns its result and its reports."""
    steps: list[Stepped] = []
    message = next(run)
    try:
        while True:
            if isinstance(message, Stepped):
                steps.append(message)
                message = run.send(None)
            else:
                message = run.send(answer(message))
    except StopIteration as stop:
        return stop.value, steps


def difference(a: Tensor, b: Tensor) -> float:
    """Relative, in the L2 norm."""
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))
