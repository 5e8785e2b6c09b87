"""Prompts through CLIP text encoders: what the families that have one, two or three of them share."""

from pathlib import Path

from ..components import Components
from ..plan import EncodePrompt
from ..prompts import clip_tokenizer
from ..prompts.clip_tokenizer import ClipTokenizer
from ..prompts.emphasis import Encoded, TextEncoder
from ..prompts.tokens import chunks
from ..prompts.tree import Part

MOST_TOKENS = 77


def encode_text(components: Components, name: str, part: Part, stage: EncodePrompt, normed: bool = True) -> Encoded:
    """One prompt through the text encoder called `name`; textual inversions made for that encoder may stand in it.

    `normed` reads the last layer through the final norm (Stable Diffusion 1 and 2), else the one before it as it is.
    Prompts of up to 75 tokens give diffusers' embeddings to the last bit; longer ones are encoded in chunks of 75, each
    with its own begin and end, and laid end to end. Raises `InvalidRequest` for a `clip_skip` beyond the encoder.
    """
    module, tokenizer = components.modules[name], components.tokenizers[name]
    width = int(module.config.hidden_size)
    shelf = components.embeddings
    known = shelf.counts(name, width) if shelf is not None else {}
    length = min(MOST_TOKENS, int(module.config.max_position_embeddings))
    cut = chunks(part, tokenizer, tokenizer.marks, known, length=length, sentences=stage.syntax == "compel")
    used = {word for chunk in cut for _, word, _ in chunk.embeddings}
    vectors = {word: shelf.vectors(word, name, width) for word in used} if shelf is not None else {}
    encoder = TextEncoder(module, tokenizer.marks, components.device, components.dtype, stage.clip_skip, normed, vectors)
    return encoder.encode(cut, stage.emphasis, stage.syntax)


def load_tokenizer(folder: Path | None, pad_token: str) -> ClipTokenizer:
    """The tokenizer in a folder, or CLIP's own. Raises `CheckpointError`."""
    return clip_tokenizer.openai(pad_token) if folder is None else clip_tokenizer.from_folder(folder)
