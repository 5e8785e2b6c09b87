"""The parameters that every task shares: one line each, with its bounds and its wording.

Field names are diffusers' own. Bounds and wording live here and nowhere else: the controls of the page, the
validation, the API's arguments, the metadata and the recipe are all derived from these fields and from those that the
tasks add in request.py. The `place` of a field says where a tab shows it.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator, model_validator

from .names import AUTOMATIC
from .prompts.tree import Emphasis, Syntax

SEEDS = 2**32
LONGEST_PROMPT = 100_000


def placed(default: Any, place: str, title: str, description: str, more: Mapping[str, JsonValue] | None = None, **rules: Any) -> Any:
    """A field with its wording, its bounds and its place in the tab; `more` is what its control must know besides."""
    return Field(default, title=title, description=description, json_schema_extra={"place": place, **(more or {})}, **rules)


def unset(value: float, word: str) -> dict[str, JsonValue]:
    """For `placed`: the one value of a number that stands for no number, and the word that a page shows for it."""
    return {"unset": value, "word": word}


def titled(**titles: str) -> dict[str, JsonValue]:
    """For `placed`: what a page calls the values that a field can have."""
    return {"titles": {**titles}}


OWN_OF_MODEL = unset(0, "the model's own")
NEW_SEED = unset(-1, "new each time")


BlobId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # the SHA-256 of a picture kept by the studio
BlobIdOrNone = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
ResizeMode = Literal["stretch", "crop", "fill", "latent"]
Content = Literal["original", "fill", "noise", "nothing"]


class Request(BaseModel):
    """Parameters that every task shares. A request is a value: frozen, complete, comparable, JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    takes_picture: ClassVar[bool] = False
    takes_mask: ClassVar[bool] = False
    fits_picture: ClassVar[bool] = True  # width and height follow the picture's shape, where it takes one
    moves: ClassVar[bool] = False  # makes clips, which take far more memory than pictures
    unused: ClassVar[frozenset[str]] = frozenset()  # fields that mean nothing to the task: not shown, and not to be set

    task: str
    prompt: str = placed("", "prompt", "Prompt", "What the picture should show.", max_length=LONGEST_PROMPT)
    negative_prompt: str = placed("", "negative", "Negative prompt", "What the picture should not show.", max_length=LONGEST_PROMPT)
    width: int = placed(512, "size", "Width", "Width the model works at, in pixels.", ge=64, le=2048, multiple_of=8)
    height: int = placed(512, "size", "Height", "Height the model works at, in pixels.", ge=64, le=2048, multiple_of=8)
    num_images_per_prompt: int = placed(1, "front", "Pictures", "How many pictures; each has the next seed.", ge=1, le=8)
    num_inference_steps: int = placed(20, "front", "Steps", "More steps: finer and slower.", ge=1, le=150)
    guidance_scale: float = placed(7.0, "front", "Guidance", "How closely the prompt is followed; 1 switches it off.", ge=0, le=30)
    seed: int = placed(-1, "seed", "Seed", "The same seed repeats the picture; -1 picks one.", NEW_SEED, ge=-1, lt=SEEDS)
    scheduler: str = placed("euler", "sampler", "Scheduler", "How noise is removed; CFG++ (not DDIM's) wants guidance 1–2.", max_length=200)
    schedule: str = placed(AUTOMATIC, "sampler", "Schedule", "How the noise levels are spaced.", max_length=200)
    variation_seed: int = placed(
        -1, "variation", "Variation seed", "Whose noise the seed's is turned towards; -1 picks one.", NEW_SEED, ge=-1, lt=SEEDS
    )
    variation_strength: float = placed(
        0.0, "variation", "Variation", "How far: 0 keeps the seed's picture, 1 is the other's; of several pictures this seed counts up.",
        ge=0, le=1,
    )  # fmt: skip
    seed_resize_from_width: int = placed(
        0, "variation", "Seed resized from width", "Lays the picture out as at this size, in pixels; both sides or neither.",
        unset(0, "as it is"), ge=0, le=2048, multiple_of=8,
    )  # fmt: skip
    seed_resize_from_height: int = placed(
        0, "variation", "Seed resized from height", "The same for the height.", unset(0, "as it is"), ge=0, le=2048, multiple_of=8
    )
    timestep_spacing: Literal["automatic", "leading", "trailing", "linspace"] = placed(
        AUTOMATIC, "sampler", "Timestep spacing", "How the automatic schedule spreads its steps; automatic is the checkpoint's."
    )
    noise_source: Literal["cpu", "gpu", "nv"] = placed(
        "cpu", "noise", "Noise from", "CPU, NV (as NVIDIA's GPUs draw): the same on every machine. GPU: this machine's NVIDIA GPU, if any.",
        titled(cpu="CPU", gpu="GPU", nv="NV"),
    )  # fmt: skip
    eta: float = placed(
        -1.0, "noise", "Eta", "Fresh noise in every step, from 0 to 1; -1 is the sampler's own.", unset(-1, "its own"), ge=-1, le=1
    )
    s_churn: float = placed(0.0, "noise", "Churn", "Noise stirred in before each step; Euler, Heun, DPM2.", ge=0, le=100)
    s_tmin: float = placed(0.0, "noise", "Churn from sigma", "The lowest noise level that is stirred.", ge=0, le=10)
    s_tmax: float = placed(
        0.0, "noise", "Churn up to sigma", "The highest noise level that is stirred; 0 sets no end.", unset(0, "no end"), ge=0, le=5000
    )
    s_noise: float = placed(1.0, "noise", "Strength of noise", "Deviation of the noise a sampler adds.", ge=0, le=1.2)
    sigma_min: float = placed(
        0.0, "noise", "Lowest sigma", "Where the schedule ends before 0; 0 is the model's own.", OWN_OF_MODEL, ge=0, le=5000
    )
    sigma_max: float = placed(
        0.0, "noise", "Highest sigma", "Where the schedule begins; 0 is the model's own.", OWN_OF_MODEL, ge=0, le=5000
    )
    rho: float = placed(
        0.0, "noise", "Rho", "Curve of Karras and Polyexponential schedules; 0 is the schedule's own.", unset(0, "its own"), ge=0, le=20
    )
    discard_penultimate: bool = placed(False, "noise", "Spare the last level", "Take one level more and leave out the last above 0.")
    eta_noise_seed_delta: int = placed(0, "noise", "Eta noise seed delta", "Added to the seed for fresh noise (ENSD).", ge=0, lt=SEEDS)
    checkpoint: str = placed("", "model", "Checkpoint", "The model that paints.", max_length=500)
    vae: str = placed(AUTOMATIC, "model", "VAE", "Turns latents into pixels; automatic is the checkpoint's own.", max_length=500)
    clip_skip: int = placed(0, "model", "Skip text layers", "Last layers of the text encoder to skip; A1111 counts one more.", ge=0, le=11)
    prediction_type: Literal["automatic", "epsilon", "v_prediction", "sample"] = placed(
        AUTOMATIC, "model", "Prediction", "What the denoiser tells: the noise, the velocity or the picture; automatic is the checkpoint's.",
        titled(epsilon="Noise (epsilon)", v_prediction="Velocity (v)", sample="Picture (sample)"),
    )  # fmt: skip
    rescale_betas_zero_snr: bool = placed(False, "model", "Zero terminal SNR", "Begin at pure noise, for checkpoints trained so.")
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
        missing = {"seed": self.seed < 0, "variation_seed": self.variation_seed < 0 < self.variation_strength}
        return self.model_copy(update={name: secrets.randbelow(SEEDS - 8) for name, wanted in missing.items() if wanted})

    def of_picture(self, picture: int) -> "Request":
        """What makes picture number `picture`, from 0, by itself. Each has the next seed; with a variation the seed stays, and each
        has the next variation seed (A1111's rule)."""
        counted = "variation_seed" if self.variation_strength else "seed"
        return self.model_copy(update={counted: getattr(self, counted) + picture, "num_images_per_prompt": 1})

    @property
    def steps_run(self) -> int:
        """Scheduler steps that one picture takes, as diffusers counts them."""
        return self.num_inference_steps

    @property
    def ability(self) -> str:
        """The task that a checkpoint must be able to do for it; "" where it is not asked to do anything."""
        return self.task

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
        counted = "variation_seed" if self.variation_strength else "seed"
        first = getattr(self, counted)
        if first + self.num_images_per_prompt > SEEDS:
            raise ValueError(f"{counted} must leave room for {self.num_images_per_prompt} pictures below {SEEDS}; got {first}")
        return self

    @model_validator(mode="after")
    def _one_way_to_space_steps(self) -> "Request":
        if AUTOMATIC not in (self.timestep_spacing, self.schedule):
            raise ValueError(
                f"timestep_spacing {self.timestep_spacing!r} spreads the steps of the automatic schedule, and schedule is "
                f"{self.schedule!r}; leave one of them automatic"
            )
        return self

    @model_validator(mode="after")
    def _nothing_set_in_vain(self) -> "Request":
        for name, field in type(self).model_fields.items():
            if name in self.unused and getattr(self, name) != field.default:
                raise ValueError(f"{name} means nothing to {self.task}; leave it out")
        return self

    @model_validator(mode="after")
    def _noise_levels_to_go_between(self) -> "Request":
        if 0 < self.sigma_max <= self.sigma_min:
            raise ValueError(f"sigma_min must be below sigma_max, {self.sigma_max:g}; got {self.sigma_min:g}")
        return self
