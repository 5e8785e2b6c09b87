"""A1111's styles: words put around a prompt by name, kept in a `styles.csv`."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from ..errors import InvalidRequest, UnknownName, shortened

_LARGEST = 4 * 2**20
_PLACE = "{prompt}"


@dataclass(frozen=True)
class Style:
    name: str
    prompt: str = ""
    negative_prompt: str = ""


def read(data: bytes) -> list[Style]:
    """The styles of a csv file with the columns name, prompt (in old files: text) and negative_prompt, in any order, others
    left aside; rows without a name, and those whose name begins with #, count for nothing; of two of one name the last
    counts. Raises `InvalidRequest` for a file that is no such table."""
    if len(data) > _LARGEST:
        raise InvalidRequest(f"A file of styles must be at most {_LARGEST // 2**20} MB; got {len(data):,} bytes.", "styles")
    text = data.decode("utf-8-sig", "replace").replace("\0", "")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True))
    except csv.Error as error:
        raise InvalidRequest(f"The file of styles is no table that can be read: {error}.", "styles") from None
    columns = set(rows[0]) if rows else {"name", "prompt"}
    if "name" not in columns or not columns & {"prompt", "text"}:
        found = shortened(", ".join(str(column) for column in columns))
        raise InvalidRequest(f"A file of styles must have the columns name and prompt; got {found}.", "styles")
    styles: dict[str, Style] = {}
    for row in rows:
        name = (row["name"] or "").strip()
        if name and not name.startswith("#"):
            prompt = row.get("prompt", row.get("text")) or ""
            styles[name] = Style(name, prompt, row.get("negative_prompt") or "")
    return list(styles.values())


def written(styles: Iterable[Style]) -> bytes:
    """The file that `read` reads, with the mark by which spreadsheets know UTF-8."""
    file = io.StringIO(newline="")
    table = csv.DictWriter(file, [field.name for field in fields(Style)])
    table.writeheader()
    table.writerows(asdict(style) for style in styles)
    return file.getvalue().encode("utf-8-sig", "replace")


def applied(prompt: str, negative_prompt: str, names: Sequence[str], styles: Iterable[Style]) -> tuple[str, str]:
    """Both prompts with the styles of these names put around them, one after the other: in the place of `{prompt}` where
    a style has that, else behind a comma. Raises `UnknownName`."""
    known = {style.name: style for style in styles}
    for name in names:
        if name not in known:
            raise UnknownName("style", name, known, "styles")
        prompt = _around(known[name].prompt, prompt)
        negative_prompt = _around(known[name].negative_prompt, negative_prompt)
    return prompt, negative_prompt


def _around(style: str, prompt: str) -> str:
    if _PLACE in style:
        return style.replace(_PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)
