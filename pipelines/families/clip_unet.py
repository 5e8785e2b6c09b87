"""The code of families whose UNet attends to the hidden states of one CLIP text encoder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..components import Components, Conditioning
from ..plan import EncodePrompt
from ..prompts.tree import Part
from . import clip_text
from .family import Family


def encode(components: Components, prompts: Sequence[Part], stage: EncodePrompt) -> Conditioning:
    """See `Family.encode`: {"encoder_hidden_states": (1, 77 * chunks, width)}."""
    return {"encoder_hidden_states": clip_text.encode_text(components, "text_encoder", prompts[0], stage).states}


def align(conditionings: Sequence[Conditioning]) -> list[Conditioning]:
    """See `Family.align`. Each is repeated, chunk by chunk, to the least common length: attention cannot tell a text from
    the same text twice, so none changes its meaning, as it would by padding with empty text."""
    length = math.lcm(*(told["encoder_hidden_states"].shape[1] for told in conditionings))
    return [_repeated(told, length) for told in conditionings]


def _repeated(told: Conditioning, length: int) -> Conditioning:
    states = told["encoder_hidden_states"]
    if states.shape[1] == length:
        return told
    return {**told, "encoder_hidden_states": states.repeat(1, length // states.shape[1], 1)}


def predict(denoiser: torch.nn.Module, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """See `Family.predict`."""
    dtype = next(denoiser.parameters()).dtype  # `denoiser.dtype` walks all modules, which costs a millisecond a step
    states = conditioning["encoder_hidden_states"].to(dtype)
    output = denoiser(latents.to(dtype), timesteps, encoder_hidden_states=states, return_dict=False)[0]
    return output.to(latents.dtype)


def load_tokenizer(family: Family, component: str, folder: Path | None) -> Any:
    """See `Family.load_tokenizer`."""
    return clip_text.load_tokenizer(folder, family.settings.pad_token)
