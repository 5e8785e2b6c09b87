"""The code of Stable Diffusion XL: two text encoders beside each other, and a UNet that is told the size of the picture.

Paper: SDXL (Podell et al. 2023), https://arxiv.org/abs/2307.01952
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..components import Components, Conditioning
from ..plan import EncodePrompt
from ..prompts import clip_tokenizer
from ..prompts.emphasis import Encoded
from ..prompts.tree import Part
from . import clip_text, clip_unet
from .family import Family

PAD_TOKENS = {"text_encoder": clip_tokenizer.END, "text_encoder_2": "!"}
EMPTY = Part(1.0, ((),))
CROP = (0, 0)

align = clip_unet.align


def encode(components: Components, prompts: Sequence[Part], stage: EncodePrompt) -> Conditioning:
    """See `Family.encode`: "encoder_hidden_states" (1, 77 × chunks, width), "text_embeds" (1, pooled) of the first chunk, and
    "time_ids" (1, 6): original size, crop, target size; (1, 5) with the aesthetic score last.

    `clip_skip` counts from the last but one layer, of the negative prompt too (which diffusers always reads there).
    """
    return _encoded(components, prompts, stage, stage.aesthetic_score)


def encode_negative(components: Components, prompts: Sequence[Part], stage: EncodePrompt) -> Conditioning:
    """See `Family.encode_negative`. An empty one is zeros where the checkpoint's pipeline says so, as diffusers has it;
    A1111 encodes the empty text."""
    told = _encoded(components, prompts, stage, stage.negative_aesthetic_score)
    said = any(span.text for part in prompts for section in part.sections for span in section)
    if said or not components.pipeline_config.get("force_zeros_for_empty_prompt"):
        return told
    return {name: tensor if name == "time_ids" else torch.zeros_like(tensor) for name, tensor in told.items()}


def _encoded(components: Components, prompts: Sequence[Part], stage: EncodePrompt, aesthetic_score: float) -> Conditioning:
    names = [name for name in PAD_TOKENS if name in components.tokenizers]
    parts = [prompts[min(place, len(prompts) - 1)] for place in range(len(names))]
    texts = [clip_text.encode_text(components, name, part, stage, normed=False) for name, part in zip(names, parts, strict=True)]
    length = max(text.states.shape[1] for text in texts)
    states = [_lengthened(components, name, text, length, stage) for name, text in zip(names, texts, strict=True)]
    pooled = texts[-1].pooled
    assert pooled is not None
    size = (stage.height, stage.width)
    scored = components.pipeline_config.get("requires_aesthetics_score")
    told = (*size, *CROP, aesthetic_score) if scored else (*size, *CROP, *size)
    return {
        "encoder_hidden_states": torch.cat(states, dim=-1),
        "text_embeds": pooled,
        "time_ids": torch.tensor([told], dtype=components.dtype, device=components.device),
    }


def _lengthened(components: Components, name: str, text: Encoded, length: int, stage: EncodePrompt) -> torch.Tensor:
    """As long as the other encoder's text, with empty chunks at its end."""
    if text.states.shape[1] == length:
        return text.states
    empty = clip_text.encode_text(components, name, EMPTY, stage, normed=False).states
    return torch.cat([text.states, *[empty] * ((length - text.states.shape[1]) // empty.shape[1])], dim=1)


def predict(denoiser: torch.nn.Module, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """See `Family.predict`."""
    dtype = next(denoiser.parameters()).dtype
    states, *added = (conditioning[name].to(dtype) for name in ("encoder_hidden_states", "text_embeds", "time_ids"))
    told = dict(zip(("text_embeds", "time_ids"), added, strict=True))
    return denoiser(latents.to(dtype), timesteps, states, added_cond_kwargs=told, return_dict=False)[0].to(latents.dtype)


def load_tokenizer(family: Family, component: str, folder: Path | None) -> Any:
    """See `Family.load_tokenizer`."""
    return clip_text.load_tokenizer(folder, PAD_TOKENS[component])
