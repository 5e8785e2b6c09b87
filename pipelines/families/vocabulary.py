"""CLIP's own tokenizer, made in memory from OpenAI's list of merges that lies in `data/`."""

import gzip
from importlib.resources import files
from typing import Any

from transformers import CLIPTokenizer

MERGES = "data/bpe_simple_vocab_16e6.txt.gz"
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_VOCABULARY = 49_408


def tokenizer(pad_token: str = END) -> CLIPTokenizer:
    """The tokenizer of CLIP ViT-L/14 and OpenCLIP (ids 0 to 49407; they differ in `pad_token`)."""
    # The list goes on after the merges that CLIP uses: 256 bytes, 256 word-ending bytes and two marks make up the rest.
    merges = gzip.decompress(files(__package__).joinpath(MERGES).read_bytes()).decode("utf-8").split("\n")[1 : _VOCABULARY - 512 - 2 + 1]
    names = _byte_names()
    tokens = [*names, *(f"{name}</w>" for name in names), *("".join(merge.split()) for merge in merges), BEGIN, END]
    vocabulary: dict[str, Any] = {token: index for index, token in enumerate(tokens)}
    pairs = [tuple(merge.split()) for merge in merges]
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=77, pad_token=pad_token)


def _byte_names() -> list[str]:
    """One visible character for each byte, in CLIP's order: printable bytes stand for themselves, the others follow from 256."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
