"""How large a picture becomes: arithmetic without torch."""

from ..errors import InvalidRequest

_STRETCH = 1.02  # what rounding to whole latents may stretch, and nobody sees

Size = tuple[int, int]
"""(width, height)."""


def enlarged(size: Size, factor: float, most: int, field: str = "factor") -> Size:
    """`size` times `factor`, rounded to whole pixels. Raises `InvalidRequest` for more than `most` pixels in all."""
    width, height = (max(1, round(side * factor)) for side in size)
    if width * height > most:
        raise InvalidRequest(
            f"{field} {factor:g} makes {size[0]} × {size[1]} into {width} × {height}, "
            f"{width * height / 10**6:.0f} megapixels; at most {most // 10**6} can be made.",
            field,
        )
    return width, height


def covering(size: Size, target: Size) -> tuple[float, float, float, float]:
    """The part of a picture of `size` (left, top, right, bottom) that is to fill `target`.

    All of it where the proportions agree but for rounding; else what is too much is cut evenly from two sides.
    """
    wider = (size[0] / size[1]) / (target[0] / target[1])
    if 1 / _STRETCH < wider < _STRETCH:
        return 0.0, 0.0, float(size[0]), float(size[1])
    width, height = min(size[0], size[0] / wider), min(size[1], size[1] * wider)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def passes(size: Size, target: Size, scale: int) -> int:
    """How often a network that enlarges `scale` times runs until `target` is reached; at least once, for it was asked for."""
    done = 1
    while scale > 1 and (size[0] * scale**done < target[0] or size[1] * scale**done < target[1]):
        done += 1
    return done
