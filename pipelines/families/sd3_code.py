"""The code of Stable Diffusion 3: what two CLIPs and T5 say of a prompt, and the transformer that attends to it.

The words are two CLIPs' states beside each other, and T5's after them; the pooled states of both CLIPs come extra. Without
T5 its place is taken by zeros, which these models know from training.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import pad

from ..components import Components, Conditioning
from ..plan import EncodePrompt
from ..prompts import clip_tokenizer
from ..prompts.tree import Part
from . import clip_text, t5
from .family import Family

T5 = "text_encoder_3"
LENGTHS = (256, 512)
"""Words of T5: diffusers' default and its most. What is longer goes on in the next 512."""

PAD_TOKENS = {"text_encoder": clip_tokenizer.END, "text_encoder_2": "!"}


def encode(components: Components, prompts: Sequence[Part], stage: EncodePrompt) -> Conditioning:
    """See `Family.encode`: "encoder_hidden_states" (1, tokens, width) and "pooled_projections" (1, width).

    To the last bit diffusers' for up to 75 words of CLIP and 511 of T5. `clip_skip` counts from the last but one layer. Of two
    prompts the second is the second CLIP's alone, as in diffusers.
    """
    first, second, third = prompts[0], prompts[min(1, len(prompts) - 1)], prompts[2 if len(prompts) > 2 else 0]
    texts = [
        clip_text.encode_text(components, name, part, stage, normed=False) for name, part in zip(PAD_TOKENS, (first, second), strict=True)
    ]
    length = max(text.states.shape[1] for text in texts)
    words = torch.cat([_longer(text.states, length) for text in texts], dim=-1)
    if T5 in components.modules:
        more, _ = t5.encode(components, T5, third, stage.emphasis, LENGTHS)
    else:
        more = words.new_zeros(1, LENGTHS[0], int(components.denoiser.config.joint_attention_dim))
    words = pad(words, (0, more.shape[-1] - words.shape[-1]))
    pooled = [text.pooled for text in texts if text.pooled is not None]
    told = {"encoder_hidden_states": torch.cat([words, more], dim=1), "pooled_projections": torch.cat(pooled, dim=-1)}
    return {name: tensor.to(components.dtype) for name, tensor in told.items()}


def _longer(states: torch.Tensor, length: int) -> torch.Tensor:
    """More words of nothing at the end, if need be."""
    return pad(states, (0, 0, 0, length - states.shape[1]))


def align(conditionings: Sequence[Conditioning]) -> list[Conditioning]:
    """See `Family.align`. The shorter get zeros at their end: words left out, as these models know from training.

    Pictures and words attend to each other at once here, so that repeating a text would change its weight.
    """
    length = max(told["encoder_hidden_states"].shape[1] for told in conditionings)
    return [{**told, "encoder_hidden_states": _longer(told["encoder_hidden_states"], length)} for told in conditionings]


def predict(denoiser: torch.nn.Module, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """See `Family.predict`."""
    dtype = next(denoiser.parameters()).dtype
    told = {name: tensor.to(dtype) for name, tensor in conditioning.items()}
    return denoiser(latents.to(dtype), timestep=timesteps, **told, return_dict=False)[0].to(latents.dtype)


def load_tokenizer(family: Family, component: str, folder: Path | None) -> Any:
    """See `Family.load_tokenizer`."""
    if component == T5:
        assert folder is not None
        return t5.load_tokenizer(folder)
    return clip_text.load_tokenizer(folder, PAD_TOKENS[component])
