"""CLIP's tokenizer without transformers or torch: the same ids as transformers' CLIPTokenizer, and where each token stood."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from ..errors import CheckpointError

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_SIZE = 49_408
_LARGEST_FILE = 32 * 2**20
_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Marks:
    """The ids that a chunk is framed with and cut at. `comma` is None where the vocabulary has none; `sentence_ends`,
    `phrase_ends` and `word_ends` are what compel cuts long texts behind."""

    begin: int
    end: int
    pad: int
    comma: int | None = None
    sentence_ends: frozenset[int] = frozenset()
    phrase_ends: frozenset[int] = frozenset()
    word_ends: frozenset[int] = frozenset()

    @classmethod
    def of(cls, vocabulary: Mapping[str, int], begin: int, end: int, pad: int) -> "Marks":
        known = {sign: vocabulary[f"{sign}</w>"] for sign in ".,;:" if f"{sign}</w>" in vocabulary}
        words = frozenset(index for token, index in vocabulary.items() if token.endswith("</w>"))
        sentences = frozenset(index for sign, index in known.items() if sign == ".")
        return cls(begin, end, pad, known.get(","), sentences, frozenset(known.values()), words)


class ClipTokenizer:
    """Called with a text it gives its ids, with no marks around them. Any text has some: lone surrogates become "?", NUL a blank."""

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], pad_token: str = END) -> None:
        """Raises `CheckpointError` if the parts do not make a tokenizer."""
        self._vocabulary = dict(vocabulary)
        self._pad_token = pad_token
        try:
            model = BPE(self._vocabulary, list(merges), continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=END)
            self._tokenizer = Tokenizer(model)
        except Exception as error:  # what tokenizers raises is of no class of its own
            raise CheckpointError(f"The tokenizer's vocabulary and merges do not fit together: {str(error)[:200]}.") from None
        self._tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        split = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        marks = dict.fromkeys((BEGIN, END, pad_token))
        self._tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])

    def __call__(self, text: str) -> list[int]:
        return self._tokenizer.encode(_clean(text), add_special_tokens=False).ids

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) in `text` of each token that the call gives."""
        return self._tokenizer.encode(_clean(text), add_special_tokens=False).offsets

    @cached_property
    def marks(self) -> Marks:
        begin, end, pad = (self._tokenizer.token_to_id(mark) for mark in (BEGIN, END, self._pad_token))
        return Marks.of(self._vocabulary, begin, end, pad)


def openai_parts() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary (token to id) and the merges of CLIP ViT-L/14 and OpenCLIP, from OpenAI's list that lies in this repository."""
    packed = files("pipelines.families").joinpath("data", "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    # The list goes on after the merges that CLIP uses: 256 bytes, 256 word-ending bytes and two marks make up the rest.
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : _SIZE - 512 - 2 + 1]
    merges = [(left, right) for left, right in (line.split() for line in lines)]
    names = _byte_names()
    tokens = [*names, *(f"{name}</w>" for name in names), *(left + right for left, right in merges), BEGIN, END]
    return {token: index for index, token in enumerate(tokens)}, merges


def openai(pad_token: str = END) -> ClipTokenizer:
    """The tokenizer of Stable Diffusion (pads with the end mark); 2.x and SDXL's second encoder pad with "!"."""
    return ClipTokenizer(*openai_parts(), pad_token)


def from_folder(folder: Path) -> ClipTokenizer:
    """The tokenizer of a diffusers folder, from tokenizer.json or from vocab.json and merges.txt; `CheckpointError` if it is none."""
    try:
        found = {name: _read(folder / name) for name in _FILES if (folder / name).is_file()}
        vocabulary, merges = _parts(found)
        pad_token = _pad_token(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"The tokenizer of {folder.parent.name} cannot be read: {type(error).__name__}.") from None
    return ClipTokenizer(vocabulary, merges, pad_token)


def _parts(found: Mapping[str, str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    if "tokenizer.json" in found:
        model = json.loads(found["tokenizer.json"])["model"]
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        vocabulary = model["vocab"]
    else:
        lines = found["merges.txt"].split("\n")
        pairs = [line.split() for line in lines if line.strip() and not line.startswith("#version")]
        vocabulary = json.loads(found["vocab.json"])
    return {str(token): int(index) for token, index in vocabulary.items()}, [(left, right) for left, right in pairs]


def _pad_token(found: Mapping[str, str]) -> str:
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        mark: Any = json.loads(found.get(name, "{}")).get("pad_token")
        if mark:
            return str(mark["content"] if isinstance(mark, Mapping) else mark)
    return END


def _read(path: Path) -> str:
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError(f"{path.name} is too large")
    return path.read_text(encoding="utf-8")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def _byte_names() -> list[str]:
    """One visible character for each byte, in CLIP's order: printable bytes stand for themselves, the others follow from 256."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
