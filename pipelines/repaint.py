"""What of a picture is made anew, and in which rounds: from a request, its picture and its mask."""

from collections.abc import Callable
from dataclasses import replace

from PIL import Image, ImageChops

from .errors import BadPicture
from .fill import filled
from .masks import FEATHER_PER_SIDE, SOFT_PER_SIDE, WHITE, crop_region, feather, grown, is_graded, regions, share_of
from .pictures import open_layers, open_mask, open_rgb
from .request import Img2Img, Inpaint
from .rounds import Round

MOST_SIDE = 16384
"""Pixels of one side of an extended picture."""


def laid_out(request: Img2Img, blobs: Callable[[str], bytes]) -> tuple[Image.Image, Image.Image | None]:
    """The canvas (RGB) that a request starts from, and for inpainting its mask (L, alike in size), white where to repaint.

    What is transparent in a picture to inpaint, and what it is extended by, is white too, and is filled from its surroundings.
    `blobs` gives the bytes of an upload. Raises `BadPicture` and what `blobs` raises.
    """
    if not isinstance(request, Inpaint):
        return open_rgb(blobs(request.image)), None
    picture, clear, mask = layers_of(request, blobs)
    return filled(picture, clear) if clear.getbbox() else picture, mask


def layers_of(request: Inpaint, blobs: Callable[[str], bytes]) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The picture (RGB), what is transparent in it (L) and where to repaint (L), all extended; see `laid_out`."""
    picture, clear = open_layers(blobs(request.image))
    mask = _painted(request, blobs, picture.size)
    picture, clear, mask = _extended(request, picture, clear, mask)
    if request.mask_invert:
        mask = ImageChops.invert(mask)
    mask = grown(ImageChops.lighter(mask, clear.point(lambda value: 255 * (value >= WHITE))), request.mask_grow)
    if mask.getextrema()[1] < WHITE:
        raise BadPicture(_no_white(request), "mask_image")
    return picture, clear, mask


def rounds_of(request: Img2Img, mask: Image.Image | None) -> tuple[Round, ...]:
    """How the canvas is made anew; `mask` as `laid_out` gives it."""
    if not isinstance(request, Inpaint) or mask is None:
        return (Round(resize=request.resize_mode, match_colours=request.color_correction),) * request.loops
    parts = regions(mask) if request.separately else (mask,)
    return tuple(_repainting(request, part) for part in parts) * request.loops


def _repainting(request: Inpaint, mask: Image.Image) -> Round:
    """One round that repaints the white of `mask`, with an edge that is soft towards the inside."""
    box = None
    if request.inpaint_area == "masked":
        box = crop_region(mask, request.padding, (request.width, request.height))
        mask = mask.crop(box)
    blur = share_of(mask.size, FEATHER_PER_SIDE) if request.mask_blur < 0 else request.mask_blur
    made = Round(
        box,
        mask,
        feather(mask, blur),
        resize="stretch" if box is None else "fill",
        content=request.masked_content,
        match_colours=request.color_correction,
    )
    return _softened(made, mask, request.mask_blur) if request.soft_inpainting else made


def _softened(made: Round, mask: Image.Image, blur: int) -> Round:
    """With a mask whose greys are strengths: its own, or those of a wide soft edge. What is hardly changed is hardly laid back."""
    if blur >= 0 or not is_graded(mask):
        mask = feather(mask, share_of(mask.size, SOFT_PER_SIDE) if blur < 0 else blur)
    edge = feather(mask.point(lambda value: 255 * (value > 0)), share_of(mask.size, FEATHER_PER_SIDE))
    return replace(made, mask=mask, blend=ImageChops.darker(edge, mask.point(lambda value: min(255, 2 * value))), soft=True)


def _painted(request: Inpaint, blobs: Callable[[str], bytes], size: tuple[int, int]) -> Image.Image:
    if not request.mask_image:
        return Image.new("L", size, 255 if request.mask_invert else 0)  # only what is transparent or outside is repainted
    mask = open_mask(blobs(request.mask_image))
    left, top, right, bottom = request.extension
    larger = (size[0] + left + right, size[1] + top + bottom)
    if mask.size not in (size, larger):
        raise BadPicture(
            f"The mask is {mask.width} × {mask.height} pixels, the picture {size[0]} × {size[1]}; they must be alike.", "mask_image"
        )
    return mask


def _extended(
    request: Inpaint, picture: Image.Image, clear: Image.Image, mask: Image.Image
) -> tuple[Image.Image, Image.Image, Image.Image]:
    """All three with the extension around them: clear in the picture, and in a mask of the picture's size to be left alone."""
    left, top, right, bottom = request.extension
    if not any(request.extension):
        return picture, clear, mask
    size = (picture.width + left + right, picture.height + top + bottom)
    if max(size) > MOST_SIDE:
        raise BadPicture(f"The extended picture would be {size[0]} × {size[1]}; a side can have at most {MOST_SIDE} pixels.", "image")
    laid = []
    for layer, ground in ((picture, 0), (clear, 255), (mask, 255 if request.mask_invert else 0)):
        larger = Image.new(layer.mode, size, ground) if layer.size != size else layer
        if layer.size != size:
            larger.paste(layer, (left, top))
        laid.append(larger)
    return laid[0], laid[1], laid[2]


def _no_white(request: Inpaint) -> str:
    if not request.mask_image:
        return "mask_image is missing, and nothing in the picture is transparent: paint over what is to be repainted."
    if request.mask_grow < 0:
        return f"mask_grow {request.mask_grow} leaves no white in the mask: paint over more, or shrink it less."
    if request.mask_invert:
        return "The mask is white everywhere, so that inverted it leaves nothing to repaint."
    return "The mask has no white: paint over what is to be repainted."
