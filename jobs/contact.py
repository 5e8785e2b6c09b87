"""Several pictures on one sheet, with the words in which their prompts differ: as A1111's prompt matrix draws it."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from pipelines.errors import InvalidRequest

MOST = 256
LARGEST = 8192
"""Pixels of the longer side of a sheet; pictures are drawn smaller where they would take more."""
SMALLEST = 256
"""Pixels that a picture is wide at least, if whole multiples of its own get it there: so that there is room for words."""
GROUND, WORDS, FAINT = (20, 17, 15), (236, 229, 218), (168, 158, 146)
FONTS = ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc")
"""Of the system, for scripts that Pillow's own font lacks."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
MOST_OPTIONS = 8
MOST_LINES = 3
NOTHING = "nothing added"


@dataclass(frozen=True)
class Made:
    """A finished picture and what was asked for."""

    picture: Image.Image
    prompt: str
    seed: int


@dataclass(frozen=True)
class Layout:
    """`order` has the indices of the pictures row by row. `across` and `down` label columns and rows of a matrix; where there
    are none, `captions` stand under the pictures. `title` is what all prompts share."""

    title: str
    columns: int
    order: tuple[int, ...]
    across: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


def sheet(made: Sequence[Made]) -> bytes:
    """PNG of all of them. Raises `InvalidRequest` for none or more than 256."""
    if not 1 <= len(made) <= MOST:
        raise InvalidRequest(f"A grid has 1 to {MOST} pictures; got {len(made)}.", "images")
    laid = layout([each.prompt for each in made], [each.seed for each in made])
    buffer = io.BytesIO()
    _drawn(made, laid).save(buffer, "PNG")
    return buffer.getvalue()


def layout(prompts: Sequence[str], seeds: Sequence[int]) -> Layout:
    """A matrix has the first half of its parts across and the others down; anything else is a square of captions."""
    parts = [list(dict.fromkeys(part.strip() for part in prompt.split(",") if part.strip())) for prompt in prompts]
    shared = [part for part in parts[0] if all(part in each for each in parts)]
    own = [[part for part in each if part not in shared] for each in parts]
    title = ", ".join(shared)
    options = list(dict.fromkeys(part for each in own for part in each))
    if 1 <= len(options) <= MOST_OPTIONS and len(prompts) == 2 ** len(options):
        found = {frozenset(each): index for index, each in enumerate(own)}
        if len(found) == len(prompts):
            return _matrix(title, options, found)
    columns = math.ceil(math.sqrt(len(prompts)))
    captions = [", ".join(each) or NOTHING for each in own]
    if len(set(captions)) < len(captions):
        captions = [f"{caption}, seed {seed}" if any(own) else f"seed {seed}" for caption, seed in zip(captions, seeds, strict=True)]
    return Layout(title, columns, tuple(range(len(prompts))), captions=tuple(captions))


def _matrix(title: str, options: Sequence[str], found: dict[frozenset[str], int]) -> Layout:
    middle = math.ceil(len(options) / 2)
    across, down = _combined(options[:middle]), _combined(options[middle:])
    order = tuple(found[frozenset({*column, *row})] for row in down for column in across)
    named = [tuple(", ".join(each) or NOTHING for each in side) for side in (across, down)]
    return Layout(title, len(across), order, across=named[0], down=named[1] if len(down) > 1 else ())


def _combined(options: Sequence[str]) -> list[list[str]]:
    """Every choice among some, the first changing fastest."""
    return [[option for place, option in enumerate(options) if number & (1 << place)] for number in range(2 ** len(options))]


# -- drawing ------------------------------------------------------------------------------------------------------------


def _drawn(made: Sequence[Made], laid: Layout) -> Image.Image:
    rows = math.ceil(len(laid.order) / laid.columns)
    width, height = _cell(made, laid.columns, rows)
    font = _font(max(13, min(width // 14, 40)))
    gap = max(4, width // 64)
    left = width // 2 if laid.down else 0
    caption = _tallest(laid.captions, font, width)
    head = _tallest((laid.title,), font, laid.columns * (width + gap))
    top = head + _tallest(laid.across, font, width)
    size = (gap + left + laid.columns * (width + gap), gap + top + rows * (height + caption + gap))
    picture = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(picture)
    _write(draw, laid.title, font, (gap + left, gap), (size[0] - left - 2 * gap, head), WORDS)
    for column, label in enumerate(laid.across):
        _write(draw, label, font, (gap + left + column * (width + gap), gap + head), (width, top - head), FAINT)
    for row, label in enumerate(laid.down):
        _write(draw, label, font, (gap, gap + top + row * (height + gap)), (left - gap, height), FAINT)
    for place, index in enumerate(laid.order):
        row, column = divmod(place, laid.columns)
        x, y = gap + left + column * (width + gap), gap + top + row * (height + caption + gap)
        cell = _fitted(made[index].picture, width, height)
        picture.paste(cell, (x + (width - cell.width) // 2, y + (height - cell.height) // 2))
        if laid.captions:
            _write(
                draw, laid.captions[index], font, (x, y + height), (width, _tallest(laid.captions[index : index + 1], font, width)), FAINT
            )
    return picture


def _cell(made: Sequence[Made], columns: int, rows: int) -> tuple[int, int]:
    width, height = (max(side) for side in zip(*(each.picture.size for each in made), strict=True))
    times = max(1, SMALLEST // width)
    scale = min(times, LARGEST / (1.1 * columns * width), LARGEST / (1.3 * rows * height))
    return max(1, int(width * scale)), max(1, int(height * scale))


def _fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    times = min(width // picture.width, height // picture.height)
    if times >= 1:
        return picture.resize((times * picture.width, times * picture.height), Image.Resampling.NEAREST)
    smaller = picture.copy()
    smaller.thumbnail((width, height), Image.Resampling.LANCZOS)
    return smaller


def _font(size: int) -> Font:
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _line(font: Font) -> int:
    box = font.getbbox("Ég")
    return round((box[3] - box[1]) * 1.45)


def _tallest(labels: Sequence[str], font: Font, width: int) -> int:
    """Pixels that the longest of some labels takes."""
    lines = max((len(_wrapped(label, font, width)) for label in labels if label), default=0)
    return lines * _line(font) + _line(font) // 2 if lines else 0


def _wrapped(label: str, font: Font, width: int) -> list[str]:
    """At most three lines; what is longer ends in an ellipsis."""
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) < MOST_LINES:
            lines.append(word)
        else:
            lines[-1] += " …"
            break
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: Font, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[: -max(1, len(line) // 8)]
    return line.rstrip() + "…"


def _write(
    draw: ImageDraw.ImageDraw,
    label: str,
    font: Font,
    at: tuple[int, int],
    room: tuple[int, int],
    colour: tuple[int, int, int],
) -> None:
    """In the middle of its room."""
    lines = _wrapped(label, font, room[0])
    y = at[1] + (room[1] - len(lines) * _line(font)) // 2
    for line in lines:
        draw.text((at[0] + (room[0] - font.getlength(line)) // 2, y), line, font=font, fill=colour)
        y += _line(font)
