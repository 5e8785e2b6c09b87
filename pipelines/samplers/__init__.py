"""Samplers as coroutines: our own over free lists of sigmas, and an adapter for every diffusers scheduler.

x = start + randn * levels[0]                               # start is 0, or clean latents from which to go on
run = SAMPLERS[name](x, levels, make_noise(name, x, levels, generator))
message = next(run)
# Denoise(x, sigma) -> run.send(clean estimate); Stepped -> run.send(None); StopIteration.value is the result
"""

from collections.abc import Mapping

from .adapter import adapt
from .build import build_scheduler, set_steps
from .dpm import dpm_2, dpmpp_sde
from .euler import euler, euler_ancestral, heun
from .model import ModelSigmas, model_input
from .multistep import dpmpp_2m, dpmpp_2m_sde, dpmpp_3m_sde, lms
from .noise import make_noise
from .protocol import Adapted, Denoise, Model, Noise, Sampler, Sampling, Stepped
from .schedules import SCHEDULES, sigmas

SAMPLERS: Mapping[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpm_2": dpm_2,
    "lms": lms,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_sde": dpmpp_sde,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "dpmpp_3m_sde": dpmpp_3m_sde,
}

__all__ = [
    "SAMPLERS",
    "SCHEDULES",
    "Adapted",
    "Denoise",
    "Model",
    "ModelSigmas",
    "Noise",
    "Sampler",
    "Sampling",
    "Stepped",
    "adapt",
    "build_scheduler",
    "make_noise",
    "model_input",
    "set_steps",
    "sigmas",
]
