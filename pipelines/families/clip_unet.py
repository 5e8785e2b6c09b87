"""The code of families whose UNet attends to the hidden states of one CLIP text encoder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTokenizer

from ..components import Components, Conditioning
from ..errors import CheckpointError, InvalidRequest
from . import vocabulary


def encode_prompt(components: Components, prompt: str, clip_skip: int) -> Conditioning:
    """See `Family.encode_prompt`. Prompts of up to 75 tokens give diffusers' embeddings to the last bit; longer ones
    are encoded in chunks of 75, each with its own begin and end, and laid end to end."""
    encoder = components.text_encoder
    layers = int(encoder.config.num_hidden_layers)
    if clip_skip >= layers:
        raise InvalidRequest(
            f"clip_skip must be less than the {layers} layers of the text encoder of {components.checkpoint}; got {clip_skip}.", "clip_skip"
        )
    length = min(components.tokenizer.model_max_length, int(encoder.config.max_position_embeddings))
    with torch.no_grad():
        # One chunk at a time: a chunk's embedding must not depend on how many others it is encoded with.
        chunks = [_encode(components, ids, clip_skip) for ids in _chunks(components.tokenizer, _clean(prompt), length)]
    return {"encoder_hidden_states": torch.cat(chunks, dim=1).to(components.dtype)}


def _clean(prompt: str) -> str:
    """Text that a tokenizer can take: no lone surrogates, no NUL."""
    return prompt.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def _chunks(tokenizer: Any, prompt: str, length: int) -> Iterator[list[int]]:
    """Token ids, `length` at a time, each chunk with its begin, end and padding; at least one."""
    ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    room = length - 2
    for start in range(0, max(len(ids), 1), room):
        chunk = [tokenizer.bos_token_id, *ids[start : start + room], tokenizer.eos_token_id]
        yield chunk + [tokenizer.pad_token_id] * (length - len(chunk))


def _encode(components: Components, ids: list[int], clip_skip: int) -> torch.Tensor:
    encoder = components.text_encoder
    tokens = torch.tensor([ids], device=components.device)
    mask = None
    if getattr(encoder.config, "use_attention_mask", False):
        end = ids.index(components.tokenizer.eos_token_id) + 1
        mask = (torch.arange(len(ids), device=components.device) < end).long()[None]
    if clip_skip == 0:
        return encoder(tokens, attention_mask=mask)[0]
    hidden = encoder(tokens, attention_mask=mask, output_hidden_states=True).hidden_states
    return encoder.final_layer_norm(hidden[-(clip_skip + 1)])


def pair(a: Conditioning, b: Conditioning) -> tuple[Conditioning, Conditioning]:
    """See `Family.pair`. The shorter one is repeated, chunk by chunk. Attention cannot tell a text from the same text
    twice, so a prompt that fits evenly keeps its exact meaning, which padding with empty text would dilute."""
    length = max(a["encoder_hidden_states"].shape[1], b["encoder_hidden_states"].shape[1])
    return _stretch(a, length), _stretch(b, length)


def _stretch(conditioning: Conditioning, length: int) -> Conditioning:
    states = conditioning["encoder_hidden_states"]
    if states.shape[1] == length:
        return conditioning
    times = -(-length // states.shape[1])
    return {**conditioning, "encoder_hidden_states": states.repeat(1, times, 1)[:, :length]}


def predict(denoiser: torch.nn.Module, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """See `Family.predict`."""
    dtype = next(denoiser.parameters()).dtype  # `denoiser.dtype` walks all modules, which costs a millisecond a step
    states = conditioning["encoder_hidden_states"].to(dtype)
    output = denoiser(latents.to(dtype), timesteps, encoder_hidden_states=states, return_dict=False)[0]
    return output.to(latents.dtype)


def load_tokenizer(folder: Path | None, pad_token: str) -> Any:
    """See `Family.load_tokenizer`."""
    if folder is None:
        return vocabulary.tokenizer(pad_token)
    try:
        return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # whatever a damaged vocabulary makes the library raise
        raise CheckpointError(f"The tokenizer of {folder.parent.name} cannot be read: {str(error).splitlines()[0][:200]}.") from None
