"""The code of Stable Cascade: one text encoder for both of its denoisers, and the two passes that make a picture."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..components import Components, Conditioning
from ..plan import Denoise, EncodePrompt, Stages
from ..prompts import clip_tokenizer
from ..prompts.tree import Part
from ..request import Request
from . import clip_text
from .family import Family

PRIOR = "prior"
LAID_OUT = "effnet"
"""What the decoder is told by the prior, in the words of diffusers' StableCascadeUNet."""


def staged(stages: Stages, request: Request, components: Components) -> Stages:
    """See `Family.staged`: what is asked for is the prior's, and the decoder follows with its own few steps, without guidance."""
    settings = components.family.settings
    made: list[Any] = []
    for stage in stages:
        if isinstance(stage, Denoise):
            told = next(one for one in reversed(made) if isinstance(one, EncodePrompt))
            steps, sides = settings.decoder_steps, (request.height, request.width)
            shape = (int(components.modules[PRIOR].config.in_channels), *(math.ceil(side / settings.prior) for side in sides))
            made += [
                replace(stage, denoiser=PRIOR, shape=shape),
                replace(told, guided=False, steps=steps, steps_before=stage.steps),
                replace(stage, denoiser=components.family.denoiser, steps=steps, last=steps, guidance_scale=1.0, conditioned=LAID_OUT),
            ]
        else:
            made.append(stage)
    return tuple(made)


def encode(components: Components, prompts: Sequence[Part], stage: EncodePrompt) -> Conditioning:
    """See `Family.encode`: "clip_text" (1, 77 × chunks, width), the last layer as it is, and "clip_text_pooled" (1, 1, width) of the
    first chunk."""
    last = replace(stage, clip_skip=stage.clip_skip - 1)  # without the final norm encoders are read from the last but one layer
    text = clip_text.encode_text(components, "text_encoder", prompts[0], last, normed=False)
    assert text.pooled is not None
    return {"clip_text": text.states, "clip_text_pooled": text.pooled[:, None]}


def align(conditionings: Sequence[Conditioning]) -> list[Conditioning]:
    """See `Family.align`. Each text is repeated to the least common length, which attention cannot tell from the text itself."""
    length = math.lcm(*(told["clip_text"].shape[1] for told in conditionings))
    return [{**told, "clip_text": told["clip_text"].repeat(1, length // told["clip_text"].shape[1], 1)} for told in conditionings]


def predict(denoiser: torch.nn.Module, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """See `Family.predict`; `timesteps` are shares of time. The decoder hears the whole text only, the prior its words too."""
    dtype = next(denoiser.parameters()).dtype
    told = {name: tensor.to(dtype) for name, tensor in conditioning.items()}
    if LAID_OUT in told:
        del told["clip_text"]
    else:
        told["clip_img"] = latents.new_zeros(len(latents), 1, denoiser.config.clip_image_in_channels, dtype=dtype)
    return denoiser(latents.to(dtype), timesteps.to(dtype), **told, return_dict=False)[0].to(latents.dtype)


def load_tokenizer(family: Family, component: str, folder: Path | None) -> Any:
    """See `Family.load_tokenizer`."""
    return clip_text.load_tokenizer(folder, clip_tokenizer.END)
