"""Samplers as coroutines: our own over free lists of sigmas, and an adapter for every diffusers scheduler.

model = trained(scheduler_config)                           # ModelSigmas, or FlowSigmas for flow matching
x = model.noised(latents, noise, levels[0])                 # latents from which to go on, or None
run = sample(spec, model, x, levels, generator, settings)
message = next(run)
# Denoise(x, sigma) -> run.send(clean estimate); Stepped -> run.send(None); StopIteration.value is the result
"""

from .adapter import adapt
from .build import build_scheduler, class_of, set_steps
from .flow import FlowSigmas, kind_of
from .model import ModelSigmas
from .noise import make_noise
from .protocol import Adapted, Denoise, Model, Noise, Sampler, Sampling, Settings, Stepped
from .run import SAMPLERS, levels_of, sample, told, trained
from .schedules import SCHEDULES, Trained, sigmas

__all__ = [
    "SAMPLERS",
    "SCHEDULES",
    "Adapted",
    "Denoise",
    "FlowSigmas",
    "Model",
    "ModelSigmas",
    "Noise",
    "Sampler",
    "Sampling",
    "Settings",
    "Stepped",
    "Trained",
    "adapt",
    "build_scheduler",
    "class_of",
    "kind_of",
    "levels_of",
    "make_noise",
    "sample",
    "set_steps",
    "sigmas",
    "told",
    "trained",
]
