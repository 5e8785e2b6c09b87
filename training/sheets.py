"""Picture sheets: grids of small pictures with captions, to look at."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw


def save_sheet(pictures: list[Image.Image], file: Path, columns: int, captions: list[str] | None = None, scale: int = 1) -> None:
    """Write the pictures as one PNG grid, each `scale` times enlarged, captions below."""
    wide, high = (side * scale for side in pictures[0].size)
    below = 14 if captions else 0
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (wide + 4), rows * (high + 4 + below)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        left, top = index % columns * (wide + 4), index // columns * (high + 4 + below)
        sheet.paste(picture.resize((wide, high), Image.Resampling.BICUBIC), (left, top))
        if captions:
            pen.text((left, top + high), captions[index][: wide // 6], fill="black")
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file, optimize=True)
