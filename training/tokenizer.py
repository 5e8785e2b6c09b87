"""A byte-level BPE tokenizer in exactly CLIP's file format, trained on our own captions."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
TOKENS = 77
_WORD = re.compile(r"[a-z]+|[^\sa-z]+")


def byte_letters() -> dict[int, str]:
    """CLIP's printable stand-in for every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters.update({byte: chr(256 + index) for index, byte in enumerate(others)})
    return letters


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    merged, index = [], 0
    while index < len(parts):
        if tuple(parts[index : index + 2]) == pair:
            merged.append(parts[index] + parts[index + 1])
            index += 2
        else:
            merged.append(parts[index])
            index += 1
    return merged


def learn_merges(words: Counter[str], count: int) -> list[tuple[str, str]]:
    """The most frequent pair, again and again (ties by spelling, so runs repeat)."""
    letters = byte_letters()
    split = {word: [letters[byte] for byte in word.encode()] for word in words}
    for parts in split.values():
        parts[-1] += "</w>"
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in split.items():
            for pair in itertools.pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        split = {word: _merge(parts, best) for word, parts in split.items()}
    return merges


def write_tokenizer(texts: list[str], merge_count: int, folder: Path) -> None:
    """Train on the texts and write vocab.json, merges.txt and the two config files."""
    words = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    merges = learn_merges(words, merge_count)
    letters = list(byte_letters().values())
    pieces = letters + [letter + "</w>" for letter in letters] + [a + b for a, b in merges] + [START, END]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    options = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "do_lower_case": True, "errors": "replace"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(special | options, indent=2))
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2))


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer, padding as Stable Diffusion pipelines do."""
    return CLIPTokenizer.from_pretrained(folder, model_max_length=TOKENS)
