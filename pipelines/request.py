"""What a user can ask for: one class per task, with the parameters that only it has."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import ValidationError, model_validator

from .errors import InvalidRequest, UnknownName, printable, shortened
from .parameters import BlobId, BlobIdOrNone, Content, Request, ResizeMode, placed, titled, unset

__all__ = ["TASKS", "Img2Img", "Img2Vid", "Inpaint", "Request", "Txt2Img", "Upscale", "parse"]

NAMED = 12  # fields that a sentence names


class Txt2Img(Request):
    task: Literal["txt2img"] = "txt2img"


class Img2Img(Request):
    takes_picture: ClassVar[bool] = True

    task: Literal["img2img"] = "img2img"
    image: BlobId = placed(..., "picture", "Picture", "The picture to start from.")
    strength: float = placed(0.75, "front", "Strength", "How far to leave the picture: 0 keeps it, 1 starts from noise.", gt=0, le=1)
    image_guidance_scale: float = placed(
        1.5, "front", "Picture guidance", "How closely an editing checkpoint keeps to the picture; others have no use for it.", ge=1, le=10
    )
    resize_mode: ResizeMode = placed(
        "stretch", "source", "Resizing", "How a picture of other proportions is brought to the size.",
        titled(stretch="Stretch", crop="Crop what is too long", fill="Draw out the borders", latent="Stretch as latents"),
    )  # fmt: skip
    color_correction: bool = placed(False, "source", "Keep the colours", "Give the result the colours of the picture it came from.")
    noise_multiplier: float = placed(
        1.0,
        "source",
        "Noise multiplier",
        "Strength of the noise laid over the picture: less is smoother, more has more detail.",
        ge=0,
        le=1.5,
    )
    loops: int = placed(1, "source", "Loops", "How often the result is taken as the picture to start from once more.", ge=1, le=16)

    @property
    def steps_run(self) -> int:
        return min(int(self.num_inference_steps * self.strength), self.num_inference_steps)

    @model_validator(mode="after")
    def _something_to_do(self) -> "Img2Img":
        if self.steps_run < 1:
            raise ValueError(
                f"strength {self.strength:g} of {self.num_inference_steps} steps leaves no step to run; "
                f"strength must be at least {1 / self.num_inference_steps:.2g}"
            )
        return self


class Inpaint(Img2Img):
    """White in the mask is repainted; black comes back as it was, bit for bit, at the size of the picture."""

    takes_mask: ClassVar[bool] = True

    task: Literal["inpaint"] = "inpaint"
    unused: ClassVar[frozenset[str]] = frozenset({"resize_mode"})

    mask_image: BlobIdOrNone = placed(
        "", "picture", "Mask", "White is repainted, black is kept; as large as the picture. What is transparent in the picture is white."
    )
    strength: float = placed(1.0, "front", "Strength", "How far the masked part leaves the picture; 1 starts from noise.", gt=0, le=1)
    inpaint_area: Literal["whole", "masked"] = placed(
        "whole", "repaint", "Area", "Work on the whole picture, or on the masked part alone at the full size.",
        titled(whole="Whole picture", masked="Only masked"),
    )  # fmt: skip
    padding: int = placed(32, "repaint", "Padding", "Pixels around the mask that are seen where only masked is worked on.", ge=0, le=512)
    masked_content: Content = placed(
        "original", "repaint", "Masked content", "What the masked part holds before it is repainted.",
        titled(original="Original", fill="Filled from around", noise="Noise", nothing="Nothing"),
    )  # fmt: skip
    mask_blur: int = placed(
        -1, "repaint", "Mask blur", "Width in pixels of the soft edge inside the mask; -1 goes by the picture's size.",
        unset(-1, "automatic"), ge=-1, le=128,
    )  # fmt: skip
    mask_grow: int = placed(
        0, "repaint", "Grow the mask", "Pixels that the mask is made larger by all around, or smaller.", ge=-128, le=128
    )
    mask_invert: bool = placed(False, "repaint", "Invert the mask", "Repaint what is black in the mask and keep what is white.")
    soft_inpainting: bool = placed(
        False, "repaint", "Soft inpainting", "The greys of the mask say how far each pixel may change; a plain mask gets a wide soft edge."
    )
    separately: bool = placed(False, "repaint", "Spots one by one", "Repaint the separate spots of the mask one after another.")
    outpaint_left: int = placed(0, "repaint", "Extend to the left", "Pixels that are painted onto that side.", ge=0, le=2048)
    outpaint_right: int = placed(0, "repaint", "Extend to the right", "Pixels that are painted onto that side.", ge=0, le=2048)
    outpaint_top: int = placed(0, "repaint", "Extend upwards", "Pixels that are painted onto that side.", ge=0, le=2048)
    outpaint_bottom: int = placed(0, "repaint", "Extend downwards", "Pixels that are painted onto that side.", ge=0, le=2048)

    @property
    def extension(self) -> tuple[int, int, int, int]:
        """Pixels painted onto the left, top, right and bottom of the picture."""
        return self.outpaint_left, self.outpaint_top, self.outpaint_right, self.outpaint_bottom


class Upscale(Img2Img):
    """A picture made larger by an upscaler; with some strength the checkpoint redraws it after that, tile by tile."""

    fits_picture: ClassVar[bool] = False
    unused: ClassVar[frozenset[str]] = frozenset({"image_guidance_scale", "resize_mode", "color_correction", "noise_multiplier", "loops"})

    task: Literal["upscale"] = "upscale"
    image: BlobId = placed(..., "picture", "Picture", "The picture to enlarge.")
    scale: float = placed(2.0, "front", "Scale", "How much longer both sides become.", ge=1, le=8)
    upscaler: str = placed("lanczos", "front", "Upscaler", "What enlarges the picture.", {"choices": "upscalers"}, max_length=500)
    strength: float = placed(
        0.0, "front", "Redraw", "How far the checkpoint may redraw what was enlarged; 0 leaves it as it is, 0.3 adds detail.", ge=0, le=1
    )
    width: int = placed(512, "size", "Tile width", "The width of what is redrawn at once, in pixels.", ge=64, le=2048, multiple_of=8)
    height: int = placed(512, "size", "Tile height", "The height of what is redrawn at once, in pixels.", ge=64, le=2048, multiple_of=8)
    overlap: int = placed(32, "tiles", "Overlap", "Pixels that neighbouring tiles share, so that no seam shows.", ge=0, le=512)

    @property
    def ability(self) -> str:
        return "img2img" if self.strength else ""

    @model_validator(mode="after")
    def _something_to_do(self) -> "Upscale":
        if self.strength and self.steps_run < 1:
            steps = self.num_inference_steps
            raise ValueError(
                f"strength {self.strength:g} of {steps} steps leaves no step to run; strength must be 0 or at least {1 / steps:.2g}"
            )
        if self.strength and self.overlap >= min(self.width, self.height):
            raise ValueError(f"overlap must be below the tile's sides, {self.width} and {self.height}; got {self.overlap}")
        return self


class Img2Vid(Request):
    """A clip that begins with a picture. Nothing is written to the model: the picture says what moves, numbers say how."""

    takes_picture: ClassVar[bool] = True
    moves: ClassVar[bool] = True
    unused: ClassVar[frozenset[str]] = frozenset(
        {
            "prompt", "negative_prompt", "prompt_2", "negative_prompt_2", "guidance_scale", "prompt_syntax", "emphasis", "clip_skip",
            "template", "vae", "modifiers", "rescale_betas_zero_snr", "timestep_spacing",
        }
    )  # fmt: skip

    task: Literal["img2vid"] = "img2vid"
    image: BlobId = placed(..., "picture", "Picture", "The picture that the clip begins with.")
    width: int = placed(1024, "size", "Width", "Width the model works at, in pixels.", ge=64, le=2048, multiple_of=8)
    height: int = placed(576, "size", "Height", "Height the model works at, in pixels.", ge=64, le=2048, multiple_of=8)
    num_frames: int = placed(25, "front", "Frames", "How many frames; best as many as the model was trained on.", ge=2, le=64)
    fps: int = placed(7, "front", "Frames per second", "How fast the clip runs; the model is told, too.", ge=1, le=60)
    motion_bucket_id: int = placed(127, "front", "Motion", "How much moves: 1 is almost still, 255 a lot.", ge=0, le=511)
    noise_aug_strength: float = placed(
        0.02, "front", "Freedom", "Noise laid over the picture: more leaves it further behind, and lets more move.", ge=0, le=1
    )
    num_images_per_prompt: int = placed(1, "front", "Clips", "How many clips; each has the next seed.", ge=1, le=8)
    num_inference_steps: int = placed(25, "front", "Steps", "More steps: finer and slower.", ge=1, le=150)
    min_guidance_scale: float = placed(
        1.0, "front", "Guidance at the start", "How closely the first frame keeps to the picture.", ge=0, le=15
    )
    max_guidance_scale: float = placed(
        3.0, "front", "Guidance at the end", "How closely the last frame keeps to the picture; 1 switches it off for all.", ge=0, le=15
    )
    decode_chunk_size: int = placed(
        0, "clip", "Frames decoded at once", "Fewer take less memory, and flicker more; 0 takes all that memory can hold.",
        unset(0, "all"), ge=0, le=64,
    )  # fmt: skip
    video_format: Literal["mp4", "webp"] = placed(
        "mp4", "clip", "File", "MP4 plays everywhere; WebP moves where only pictures can be shown.", titled(mp4="MP4", webp="WebP")
    )

    @model_validator(mode="after")
    def _guidance_that_does_not_fall(self) -> "Img2Vid":
        if self.min_guidance_scale > self.max_guidance_scale:
            most = f"{self.max_guidance_scale:g}"
            raise ValueError(f"min_guidance_scale must be at most max_guidance_scale, {most}; got {self.min_guidance_scale:g}")
        return self


TASKS: Mapping[str, type[Request]] = {"txt2img": Txt2Img, "img2img": Img2Img, "inpaint": Inpaint, "upscale": Upscale, "img2vid": Img2Vid}


def parse(data: Mapping[str, Any]) -> Request:
    """A request from its JSON; raises `InvalidRequest` with one sentence for the first rule that is broken."""
    task = data.get("task", "txt2img")
    if not isinstance(task, str) or task not in TASKS:
        raise UnknownName("task", task, TASKS)
    try:
        return TASKS[task].model_validate(dict(data))
    except ValidationError as error:
        raise InvalidRequest(*_sentence(error, TASKS[task])) from None


def _sentence(error: ValidationError, model: type[Request]) -> tuple[str, str | None]:
    """One sentence: the field, the rule and the value."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0])[:80] if first["loc"] else None
    rule = first["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    if first["type"] == "missing":
        known = model.model_fields.get(field or "")
        return f"{field} is missing: {known.description}" if known else f"{field} is missing.", field
    if first["type"] == "extra_forbidden":
        names = ", ".join([*model.model_fields][:NAMED])
        names += f" and {len(model.model_fields) - NAMED} more" if len(model.model_fields) > NAMED else ""
        return f"{field!r} is no field of {model.model_fields['task'].default}; its fields are: {names}.", field
    if field is None:
        return f"{rule}.", None
    where = printable(".".join(str(part)[:80] for part in first["loc"][:3]))  # deeper are names of types
    if first["type"].startswith("recursion_"):
        return f"{where} is nested too deeply.", field
    if first["type"] == "string_pattern_mismatch" and field in ("image", "mask_image"):
        rule = "is not the id of an upload (64 hex digits)"
    return f"{where} {rule}; got {shortened(first.get('input'))}.", field
