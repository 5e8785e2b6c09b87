"""What a user can ask of control: units, each a picture, what is made of it, and the model that is steered by it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..errors import InvalidRequest
from ..parameters import BlobId
from .networks import Task
from .preprocessors import PREPROCESSORS, REFERENCE, parameters
from .sizes import ResizeMode

ControlMode = Literal["balanced", "prompt", "control"]
"""Who has the last word: both alike; the prompt, by residuals that weigh less the shallower they are; or the control, which
then also is missing from the negative (diffusers' guess_mode)."""
MOST_UNITS = 10


class ControlUnit(BaseModel):
    """One unit. Scale, start and end are diffusers'; start and end are shares of the steps of a pass."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enabled: bool = Field(True, title="On", description="Whether this unit takes part.")
    image: BlobId | Literal[""] = Field("", title="Picture", description="The picture that steers; a unit that is on needs one.")
    preprocessor: str = Field("none", max_length=100, title="Preprocessor", description="What is made of the picture first.")
    network: str = Field("", max_length=500, title="Network", description="What makes the map, where it takes a model; else the first.")
    model: str = Field("", max_length=500, title="ControlNet", description="The model that is steered by it; reference needs none.")
    controlnet_conditioning_scale: float = Field(1.0, ge=0, le=2, title="Weight", description="How strongly it steers.")
    control_guidance_start: float = Field(0.0, ge=0, lt=1, title="From", description="Share of the steps after which it begins.")
    control_guidance_end: float = Field(1.0, gt=0, le=1, title="To", description="Share of the steps after which it ends.")
    control_mode: ControlMode = Field("balanced", title="Mode", description="Which counts more, the prompt or the picture.")
    resize_mode: ResizeMode = Field("crop", title="Resize", description="How a picture of another shape is fitted.")
    pixel_perfect: bool = Field(True, title="Pixel perfect", description="The preprocessor works at the size that is made.")
    resolution: int = Field(512, ge=64, le=2048, title="Resolution", description="Of the shorter side, where it is not pixel perfect.")
    parameters: dict[str, float] = Field({}, title="Parameters", description="Of the preprocessor, by name; others keep their defaults.")

    @field_validator("preprocessor")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PREPROCESSORS:
            raise ValueError(f"There is no preprocessor of that name; known: {', '.join(sorted(PREPROCESSORS))}")
        return name

    @model_validator(mode="after")
    def _in_order(self) -> "ControlUnit":
        if self.enabled and not self.image:
            raise ValueError("image is missing: a unit that is on needs the picture that steers")
        if self.control_guidance_start >= self.control_guidance_end:
            raise ValueError(f"control_guidance_start must be below control_guidance_end, {self.control_guidance_end:g}")
        try:
            parameters(self.preprocessor, self.parameters)
        except InvalidRequest as error:
            raise ValueError(str(error).removesuffix(".")) from None
        return self

    @property
    def is_reference(self) -> bool:
        return self.preprocessor == REFERENCE

    @property
    def network_task(self) -> Task | None:
        """What a network has to tell of the picture for its map."""
        return PREPROCESSORS[self.preprocessor].network

    @property
    def acts(self) -> bool:
        return self.enabled and self.controlnet_conditioning_scale > 0

    def keeps(self, step: int, steps: int) -> bool:
        """Whether it is at work in step `step`, from 0, of `steps`; diffusers' rule. What comes after the last counts as that."""
        step = min(step, steps - 1)
        return step / steps >= self.control_guidance_start and (step + 1) / steps <= self.control_guidance_end


class ControlParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    units: tuple[ControlUnit, ...] = Field((), max_length=MOST_UNITS, title="Units", description="All that are on steer at once.")

    @property
    def acting(self) -> tuple[ControlUnit, ...]:
        return tuple(unit for unit in self.units if unit.acts)
