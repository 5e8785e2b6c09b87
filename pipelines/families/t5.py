"""T5 as a text encoder: texts of any length into hidden states, with weights of words.

T5 marks no beginning and ends a text with one mark. It knows distances between words, not places, so it has no longest text;
what a denoiser was trained with is the family's to say.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from ..components import Components
    from ..prompts.tree import Emphasis, Span
    from ..prompts.tree import Part as PromptPart

Tokens = tuple[list[int], list[float]]
"""Ids, and the weight of each."""

PACKAGES = ("sentencepiece", "google.protobuf")


def tokenizer_folder(path: Path, name: str) -> Path:
    """The folder of a T5 tokenizer inside a checkpoint. Raises `CheckpointError` when there is none that can be read here."""
    folder = path / name
    if (folder / "tokenizer.json").is_file():
        return folder
    if not (folder / "spiece.model").is_file():
        raise CheckpointError(f"{path.name} has no T5 tokenizer ({name}/tokenizer.json or spiece.model).")
    if not all(_installed(package) for package in PACKAGES):
        raise CheckpointError(
            f"{path.name} has its T5 tokenizer as {name}/spiece.model only, which needs the packages sentencepiece and protobuf."
        )
    return folder


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package's parent
        return False


def load_tokenizer(folder: Path) -> Any:
    """transformers' T5 tokenizer, from tokenizer.json or spiece.model. Raises `CheckpointError`."""
    from transformers import T5Tokenizer  # the page lists families and must not load transformers

    try:
        return T5Tokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # whatever a damaged vocabulary makes the library raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise CheckpointError(f"The T5 tokenizer of {folder.parent.name} cannot be read: {first}.") from None


def encode(
    components: "Components", component: str, part: "PromptPart", emphasis: "Emphasis", lengths: Sequence[int], masked: bool = False
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Hidden states (1, tokens, width) of a prompt, and a mask (1, tokens) with 1 where they are words and not padding.

    A text is padded to the least of `lengths` (rising) that holds it; one longer than the last is cut there, and each piece
    encoded by itself. Sections (BREAK) are encoded apart; all is laid end to end. `masked` hides the padding from T5.
    A word's weight multiplies its states, and a section's moves them away from those of the empty text. (For CLIP A1111's
    `original` restores the mean too; T5's lies so near to zero that this would scale by chance, and it is left out.)
    """
    import torch  # see above

    encoder, tokenizer = components.modules[component], components.tokenizers[component]
    end, padding = int(tokenizer.eos_token_id), int(tokenizer.pad_token_id)

    def said(ids: list[int], words: int) -> "tuple[torch.Tensor, torch.Tensor]":
        mask = (torch.arange(len(ids), device=components.device) < words).long()[None]
        found = encoder(torch.tensor([ids], device=components.device), attention_mask=mask if masked else None)[0]
        return found, mask

    states, masks = [], []
    with torch.no_grad():
        for section, share in zip(part.sections, part.section_weights or (1.0,) * len(part.sections), strict=True):
            for ids, weights in _windows(*_tokens(tokenizer, section), lengths[-1] - 1):
                room = next(length for length in lengths if len(ids) < length)
                found, mask = said([*ids, end, *[padding] * (room - len(ids) - 1)], len(ids) + 1)
                if emphasis in ("original", "no_norm") and any(weight != 1 for weight in weights):
                    column = torch.ones(room)
                    column[: len(ids)] = torch.tensor(weights)
                    found = found * column[None, :, None].to(found)
                if share != 1:
                    empty, _ = said([end, *[padding] * (room - 1)], 1)
                    found = empty + (found - empty) * share
                states.append(found)
                masks.append(mask)
    return torch.cat(states, dim=1).to(components.dtype), torch.cat(masks, dim=1)


def _tokens(tokenizer: Any, section: "Sequence[Span]") -> Tokens:
    """The section read as one text, so that a bracket within a word does not break it."""
    texts = [span.text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ") for span in section]
    read = tokenizer("".join(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    by_character = [span.weight for span, text in zip(section, texts, strict=True) for _ in text] or [1.0]
    return list(read.input_ids), [by_character[min(start, len(by_character) - 1)] for start, _ in read.offset_mapping]


def _windows(ids: list[int], weights: list[float], room: int) -> list[Tokens]:
    """Pieces of at most `room` tokens; at least one."""
    return [(ids[start : start + room], weights[start : start + room]) for start in range(0, max(len(ids), 1), room)]
