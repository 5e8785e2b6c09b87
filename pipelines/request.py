"""What a user can ask for. One class per task; one line per parameter.

Field names are diffusers' own. Bounds and wording live here and nowhere else: the controls of the page, the
validation, the API's arguments, the metadata and the recipe are all derived from these fields. The `place` of a
field says where a tab shows it.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, ValidationInfo, field_validator, model_validator

from .errors import InvalidRequest, UnknownName, printable, shortened
from .names import AUTOMATIC
from .prompts.tree import Emphasis, Syntax

SEEDS = 2**32
LONGEST_PROMPT = 100_000
NAMED = 12  # fields that a sentence names


def placed(default: Any, place: str, title: str, description: str, **rules: Any) -> Any:
    """A field with its wording, its bounds and its place in the tab."""
    return Field(default, title=title, description=description, json_schema_extra={"place": place}, **rules)


BlobId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # the SHA-256 of a picture kept by the studio


class Request(BaseModel):
    """Parameters that every task shares. A request is a value: frozen, complete, comparable, JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    takes_picture: ClassVar[bool] = False
    takes_mask: ClassVar[bool] = False

    task: str
    prompt: str = placed("", "prompt", "Prompt", "What the picture should show.", max_length=LONGEST_PROMPT)
    negative_prompt: str = placed("", "negative", "Negative prompt", "What the picture should not show.", max_length=LONGEST_PROMPT)
    width: int = placed(512, "size", "Width", "Width the model works at, in pixels.", ge=64, le=2048, multiple_of=8)
    height: int = placed(512, "size", "Height", "Height the model works at, in pixels.", ge=64, le=2048, multiple_of=8)
    num_images_per_prompt: int = placed(1, "front", "Pictures", "How many pictures; each has the next seed.", ge=1, le=8)
    num_inference_steps: int = placed(20, "front", "Steps", "More steps: finer and slower.", ge=1, le=150)
    guidance_scale: float = placed(7.0, "front", "Guidance", "How closely the prompt is followed; 1 switches it off.", ge=0, le=30)
    seed: int = placed(-1, "seed", "Seed", "The same seed repeats the picture; -1 picks one.", ge=-1, lt=SEEDS)
    scheduler: str = placed("euler", "sampler", "Scheduler", "How noise is removed step by step.", max_length=200)
    schedule: str = placed(AUTOMATIC, "sampler", "Schedule", "How the noise levels are spaced.", max_length=200)
    eta: float = placed(-1.0, "noise", "Eta", "Fresh noise in every step, from 0 to 1; -1 is the sampler's own.", ge=-1, le=1)
    s_churn: float = placed(0.0, "noise", "Churn", "Noise stirred in before each step; Euler, Heun, DPM2.", ge=0, le=100)
    s_tmin: float = placed(0.0, "noise", "Churn from sigma", "The lowest noise level that is stirred.", ge=0, le=10)
    s_tmax: float = placed(0.0, "noise", "Churn up to sigma", "The highest noise level that is stirred; 0 sets no end.", ge=0, le=5000)
    s_noise: float = placed(1.0, "noise", "Strength of noise", "Deviation of the noise a sampler adds.", ge=0, le=1.2)
    sigma_min: float = placed(0.0, "noise", "Lowest sigma", "Where the schedule ends before 0; 0 is the model's own.", ge=0, le=5000)
    sigma_max: float = placed(0.0, "noise", "Highest sigma", "Where the schedule begins; 0 is the model's own.", ge=0, le=5000)
    rho: float = placed(0.0, "noise", "Rho", "Curve of Karras and Polyexponential schedules; 0 is the schedule's own.", ge=0, le=20)
    discard_penultimate: bool = placed(False, "noise", "Spare the last level", "Take one level more and leave out the last above 0.")
    eta_noise_seed_delta: int = placed(0, "noise", "Eta noise seed delta", "Added to the seed for fresh noise (ENSD).", ge=0, lt=SEEDS)
    checkpoint: str = placed("", "model", "Checkpoint", "The model that paints.", max_length=500)
    vae: str = placed(AUTOMATIC, "model", "VAE", "Turns latents into pixels; automatic is the checkpoint's own.", max_length=500)
    clip_skip: int = placed(0, "model", "Skip text layers", "Last layers of the text encoder to skip; A1111 counts one more.", ge=0, le=11)
    exact: bool = placed(False, "model", "Exact", "Run alone, so that a repeat gives the same pixels to the last bit.")
    prompt_syntax: Syntax = placed("a1111", "words", "Syntax", "How weights are written: (word:1.2) in A1111's, word++ in compel's.")
    emphasis: Emphasis = placed("original", "words", "Emphasis", "How A1111's weights act on the text's embeddings.")
    prompt_2: str = placed(
        "", "words", "Second prompt", "For models with a second text encoder; empty: the same prompt.", max_length=LONGEST_PROMPT
    )
    negative_prompt_2: str = placed(
        "", "words", "Second negative prompt", "For models with a second text encoder; empty: the same.", max_length=LONGEST_PROMPT
    )
    template: str = placed("", "recipe", "Template", "The prompt before its wildcards and variants were chosen.", max_length=LONGEST_PROMPT)
    modifiers: dict[str, dict[str, JsonValue]] = placed({}, "modifiers", "Modifiers", "Settings of each modifier that is on, by its name.")

    def with_seed(self) -> "Request":
        """The same request with its seed decided, so that it can be repeated."""
        return self if self.seed >= 0 else self.model_copy(update={"seed": secrets.randbelow(SEEDS - 8)})

    @property
    def steps_run(self) -> int:
        """Scheduler steps that one picture takes, as diffusers counts them."""
        return self.num_inference_steps

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_no_words(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic alone would take "20" and true for numbers; 20.0 for a whole one is right, as sliders send it."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if kind in (int, float) and isinstance(value, (str, bytes, bool)):
            raise ValueError(f"should be a valid {'integer' if kind is int else 'number'}")
        return value

    @model_validator(mode="after")
    def _a_seed_for_every_picture(self) -> "Request":
        if self.seed + self.num_images_per_prompt > SEEDS:
            raise ValueError(f"seed must leave room for {self.num_images_per_prompt} pictures below {SEEDS}; got {self.seed}")
        return self

    @model_validator(mode="after")
    def _noise_levels_to_go_between(self) -> "Request":
        if 0 < self.sigma_max <= self.sigma_min:
            raise ValueError(f"sigma_min must be below sigma_max, {self.sigma_max:g}; got {self.sigma_min:g}")
        return self


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
    mask_image: BlobId = placed(..., "picture", "Mask", "White is repainted, black is kept; as large as the picture.")
    strength: float = placed(1.0, "front", "Strength", "How far the masked part leaves the picture; 1 starts from noise.", gt=0, le=1)


TASKS: Mapping[str, type[Request]] = {"txt2img": Txt2Img, "img2img": Img2Img, "inpaint": Inpaint}


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
