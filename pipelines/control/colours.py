"""Pictures with less in them: inverted, smaller, out of focus, as blocks of colour."""

from PIL import Image, ImageFilter, ImageOps


def inverted(picture: Image.Image) -> Image.Image:
    return ImageOps.invert(picture.convert("RGB"))


def tile(picture: Image.Image, factor: float) -> Image.Image:
    """As large as before, with the detail of a picture `factor` times smaller."""
    small = picture.resize(_smaller(picture, factor), Image.Resampling.LANCZOS)
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def blocks(picture: Image.Image, block: float) -> Image.Image:
    """Squares of about `block` pixels, each in the mean colour of its place."""
    return picture.resize(_smaller(picture, block), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


def _smaller(picture: Image.Image, factor: float) -> tuple[int, int]:
    return max(1, round(picture.width / factor)), max(1, round(picture.height / factor))
