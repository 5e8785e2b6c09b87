"""What the studio knows about prompts: the names they may hold, styles, what their wildcards become, and how they are read."""

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.adapters import shelf, sidecar
from pipelines.adapters.vocabulary import EmbeddingShelf
from pipelines.errors import InvalidRequest, StorageError, StudioError
from pipelines.families.reading import checkpoint as taken_apart
from pipelines.parameters import SEEDS
from pipelines.prompts import clip_tokenizer, styles
from pipelines.prompts.analysis import analyse, lengths
from pipelines.prompts.clip_tokenizer import ClipTokenizer
from pipelines.prompts.expand import expand, is_dynamic
from pipelines.prompts.many import lines, matrix
from pipelines.prompts.styles import Style
from pipelines.prompts.tree import Syntax
from pipelines.prompts.wildcards import Wildcards
from pipelines.request import Request

from .files import sentence, write_atomic

if TYPE_CHECKING:
    from pipelines.catalog import Catalog, ModelInfo

WILDCARDS = ("wildcards", "models/wildcards", "extensions/sd-dynamic-prompts/wildcards")
STYLES = "styles.csv"
_LONGEST_NAME = 200
_HINT = 80
_TRIED = 24
_LONG = 2000
_MOST_JOBS = 1000


class Prompting:
    """`folder` is where the user's styles.csv lies. Files come and go without a restart. Thread-safe."""

    def __init__(self, catalog: "Catalog", folder: Path) -> None:
        self._catalog = catalog
        self._embeddings = EmbeddingShelf(catalog.roots)
        self._styles = folder / STYLES
        self._tokenizers: dict[Path | None, ClipTokenizer] = {}
        self._lock = threading.Lock()

    # -- before a job is queued ---------------------------------------------------------------------------------------

    def expanded(self, request: Request) -> Request:
        """The request with its wildcards and variants chosen by its seed; as typed, the prompt is its `template`."""
        if not (is_dynamic(request.prompt) or is_dynamic(request.negative_prompt)):
            return request
        known = self._wildcards()
        prompts = {name: expand(getattr(request, name), request.seed, known) for name in ("prompt", "negative_prompt")}
        return request.model_copy(update={**prompts, "template": request.prompt})

    def many(self, draft: Mapping[str, Any], use_matrix: bool, listed: str, images: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The drafts that one draft stands for: for each of `images` to start from, each of `listed` lines, each combination of a
        matrix, and each picture of a prompt with wildcards one of its own. The pictures of a matrix share their seed, so that
        only the words make a difference. Raises `InvalidRequest`."""
        given = [{**draft, "image": image} for image in images] if images else [dict(draft)]
        drafts = [{**one, **fields} for one in given for fields in lines(listed)] if listed.strip() else given
        if use_matrix:
            drafts = [{**one, "prompt": prompt} for one in map(_seeded, drafts) for prompt in matrix(str(one.get("prompt", "")))]
        drafts = [part for one in drafts for part in _apart(one)]
        if len(drafts) > _MOST_JOBS:
            raise InvalidRequest(f"At most {_MOST_JOBS} jobs can be asked for at once; this makes {len(drafts)}.", "prompt")
        return drafts

    # -- for the prompt box ---------------------------------------------------------------------------------------------

    def words(self) -> dict[str, list[dict[str, Any]]]:
        """The names that a prompt may hold, each with a hint."""
        return {
            "loras": [_lora(Path(name).stem, path) for name, path in shelf.loras(self._catalog.roots).items()],
            "embeddings": [{"name": info.name, "hint": f"{info.vectors} tokens"} for info in self._embeddings.infos()],
            "wildcards": [{"name": name, "hint": ""} for name in self._wildcards().names()],
            "styles": [{"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt} for style in self.styles()],
        }

    def analysed(self, text: str, checkpoint: str, steps: int, syntax: Syntax, negative: bool, seed: int = -1) -> dict[str, Any]:
        """How a prompt is read by a checkpoint, as `analyse` tells; whatever stands in it has a meaning.

        `lengths` is the fewest and the most tokens that its wildcards become, tried with some seeds, or with `seed` alone if that
        is decided; None where nothing is left to chance. `becomes` is the text that a decided `seed` makes of it.
        """
        tokenizer, encoder, width = self._encoder(checkpoint)
        wildcards = self._wildcards()
        embeddings = self._embeddings.counts(encoder, width) if width else {}
        loras = {Path(name).stem for name in shelf.loras(self._catalog.roots)}
        more = {"compose": not negative, "wildcards": wildcards}
        found = analyse(text, steps, tokenizer, loras, embeddings, syntax, **more)
        seeds = range(_TRIED if len(text) < _LONG else 1) if seed < 0 else (seed,)
        tried = lengths(text, steps, seeds, tokenizer, embeddings, syntax, **more) if found["dynamic"] else None
        return {**found, "lengths": tried, "becomes": expand(text, seed, wildcards) if tried and seed >= 0 else None}

    def _encoder(self, name: str) -> tuple[ClipTokenizer, str, int]:
        """The tokenizer of the checkpoint's first text encoder (CLIP's own where there is none of its kind), the encoder's
        name and its width (0 where it is not known)."""
        try:
            info = self._catalog.checkpoint(name or self._catalog.default_checkpoint())
            return self._of(info)
        except StudioError:
            return self._tokenizer(None), "text_encoder", 0

    def _of(self, info: "ModelInfo") -> tuple[ClipTokenizer, str, int]:
        parted = taken_apart(info.path, self._catalog.families)
        encoder, folder = next(iter(parted.tokenizers.items()))
        part = parted.parts.get(encoder)
        width = part.config.get("hidden_size") if part else None
        return self._tokenizer(folder), encoder, width if isinstance(width, int) else 0

    def _tokenizer(self, folder: Path | None) -> ClipTokenizer:
        with self._lock:
            if folder not in self._tokenizers:
                self._tokenizers[folder] = clip_tokenizer.openai() if folder is None else clip_tokenizer.from_folder(folder)
            return self._tokenizers[folder]

    def _wildcards(self) -> Wildcards:
        places = (root / name for root in self._catalog.roots for name in WILDCARDS)
        return Wildcards([place for place in places if place.is_dir()])

    # -- styles -----------------------------------------------------------------------------------------------------------

    def styles(self) -> list[Style]:
        """Those of the styles.csv; none where there is no such file. Raises `InvalidRequest` for one that is no table."""
        try:
            return styles.read(self._styles.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{STYLES} cannot be read: {error.strerror or error}.") from None

    def styled(self, prompt: str, negative_prompt: str, names: list[str]) -> dict[str, str]:
        """Both prompts with styles put around them. Raises `UnknownName`."""
        prompt, negative_prompt = styles.applied(prompt, negative_prompt, names, self.styles())
        return {"prompt": prompt, "negative_prompt": negative_prompt}

    def keep_style(self, style: Style) -> None:
        """Adds a style, or puts it in the place of one of that name. Raises `InvalidRequest`, `StorageError`."""
        name = style.name.strip()
        if not name or len(name) > _LONGEST_NAME or name.startswith("#") or not name.isprintable():
            raise InvalidRequest(f"name must have 1 to {_LONGEST_NAME} characters and not begin with #; got {style.name[:80]!r}.", "name")
        with self._lock:
            kept = [each for each in self.styles() if each.name != name]
            self._write([*kept, Style(name, style.prompt, style.negative_prompt)])

    def drop_style(self, name: str) -> None:
        with self._lock:
            self._write([each for each in self.styles() if each.name != name])

    def _write(self, kept: list[Style]) -> None:
        try:
            write_atomic(self._styles, styles.written(kept))
        except OSError as error:
            raise StorageError(f"{sentence(error, self._styles.parent)}.") from None


def _seeded(draft: dict[str, Any]) -> dict[str, Any]:
    return {**draft, "seed": secrets.randbelow(SEEDS - 8)} if draft.get("seed", -1) == -1 else draft


def _apart(draft: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A draft of several pictures as several, where each is to have its own words."""
    count, seed = draft.get("num_images_per_prompt", 1), draft.get("seed", -1)
    dynamic = any(is_dynamic(str(draft.get(name) or "")) for name in ("prompt", "negative_prompt"))
    if not dynamic or not isinstance(count, int) or not 1 < count <= 8:
        yield draft
        return
    for index in range(count):
        fixed = isinstance(seed, int) and seed >= 0
        yield {**draft, "num_images_per_prompt": 1, "seed": seed + index if fixed else -1}


def _lora(name: str, path: Path) -> dict[str, Any]:
    told = sidecar.read(path)
    hint = ", ".join(told.trigger_words) or told.title or told.description
    return {"name": name, "hint": hint[:_HINT], "weight": told.preferred_weight or 1}
