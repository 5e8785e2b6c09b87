"""A toy T5: random weights over a vocabulary of letters and a few words, made with the tokenizers library."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import T5Config, T5EncoderModel, T5Tokenizer

WORDS = ["▁a", "▁cat", "▁dog", "▁red", "▁and"]


def toy_t5_tokenizer(folder: Path) -> T5Tokenizer:
    """Writes `tokenizer.json` and its configuration into `folder`, and reads them back as transformers does."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(word, -1.0) for word in WORDS] + [(letter, -4.0) for letter in letters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    space = {"replacement": "▁", "prepend_scheme": "always"}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**space)])
    tokenizer.decoder = decoders.Metaspace(**space)
    tokenizer.post_processor = processors.TemplateProcessing(single=["$A", "</s>"], special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "T5Tokenizer", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return T5Tokenizer.from_pretrained(str(folder), local_files_only=True)


def toy_t5(width: int = 24, seed: int = 5, **config: Any) -> T5EncoderModel:
    torch.manual_seed(seed)
    given = {"vocab_size": 160, "d_model": width, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return T5EncoderModel(T5Config(**given | {"feed_forward_proj": "gated-gelu"} | config)).eval()
