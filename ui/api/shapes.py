"""The JSON that the API answers with, for its documentation and for the tests that hold the answers to it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    error: str = Field(description="One sentence: the field, the rule and the value.")
    field: str | None = Field(description="The field of the request that it is about.")


class Job(Shape):
    id: str
    task: str
    state: Literal["queued", "running", "paused", "finished", "failed", "cancelled"]
    step: int = Field(description="Steps done, of all pictures together.")
    total: int
    request: dict[str, Any] = Field(description="The complete request, its seed decided.")
    images: list[str] = Field(description="Ids of the pictures saved so far.")
    error: str | None
    notice: str | None = Field(description="Something worth saying that did not stop the job.")
    attempt: int
    position: int | None = Field(description="Place among the jobs that wait; 1 is next.")
    created: float = Field(description="Unix seconds, as all times.")
    started: float | None
    finished: float | None
    eta: float | None = Field(description="Seconds left, as far as can be told.")
    loading: str | None = Field(description="The model that is being read.")
    calls: int = Field(description="Calls of the model so far, where a sampler takes as many steps as it needs; else 0.")


class Jobs(Shape):
    jobs: list[Job] = Field(description="Newest first.")
    version: int = Field(description="Grows with every change of any job.")


class Image(Shape):
    id: str
    job: str
    seed: int
    width: int
    height: int
    created: float
    media_type: str = Field(description="image/png; of a clip video/mp4 or image/webp.")


class Images(Shape):
    images: list[Image] = Field(description="Newest first.")


class Upload(Shape):
    id: str = Field(description="The SHA-256 of the picture's bytes; what `image` and `mask_image` of a job take.")
    width: int
    height: int
    format: str


class Recipe(Shape):
    source: str | None = Field(description="Who wrote it: safelight, a1111, or null when the picture tells nothing.")
    infotext: str | None
    request: dict[str, Any] = Field(description="What can be sent as a job, as far as it is known.")
    unknown: dict[str, str] = Field(description="Settings that mean nothing here.")
    upload: str = Field(description="The picture itself, kept as an upload.")


class Checkpoint(Shape):
    name: str
    title: str
    family: str | None
    family_title: str | None
    size_bytes: int
    broken: str | None = Field(description="Why the file cannot be used, in one sentence.")
    native_size: tuple[int, int]
    recommended: dict[str, Any] = Field(description="What fields take that a job leaves out.")
    example_prompts: list[str]
    summary: str
    tasks: list[str]
    noise: str | None = Field(description="How noise and picture mix in it: schedulers name those that they can do.")
    schedules: list[str] = Field(description="The schedules that it can be sampled along.")
    latents: str = Field(description="Of checkpoints with the same word here one can take over from another; empty: it cannot.")
    most_clip_skip: int | None = Field(description="How many layers of its text encoder can be skipped; null: it has none of CLIP's.")
    idle: dict[str, str] = Field(description="Fields of a job that have no effect on it, and why; modifiers.NAME does not go with it.")
    loaded: bool


class Vae(Shape):
    name: str
    title: str
    broken: str | None
    size_bytes: int


class Upscaler(Shape):
    name: str
    title: str
    broken: str | None


class Models(Shape):
    default: str | None
    checkpoints: list[Checkpoint]
    vaes: list[Vae]
    upscalers: list[Upscaler]


class Scheduler(Shape):
    name: str
    title: str
    kind: Literal["sampler", "diffusers"]
    schedules: list[str]
    settings: list[str] = Field(description="The fields of a job that have an effect on it.")
    noise: list[str] = Field(description="The kinds of checkpoints that it can do.")
    most_guidance: float | None = Field(description="More guidance than this burns the picture; null: it takes any.")
    own_steps: bool = Field(description="Whether it takes as many steps as it needs, whatever it is asked for.")


class Schedule(Shape):
    name: str
    title: str


class Schedulers(Shape):
    schedulers: list[Scheduler]
    schedules: list[Schedule]


class Coming(Shape):
    checkpoint: str
    state: Literal["waiting", "loading"]
    jobs: int = Field(description="How many jobs come first, while it waits.")


class Memory(Shape):
    loaded: list[str]
    memory_bytes: int | None = Field(description="What all that is loaded takes.")
    waiting_bytes: int = Field(description="Of that: what waits in main memory, from where it visits the device.")
    memory_plan: str = Field(description="Where the checkpoint that was used last lives, in a sentence.")
    load_errors: dict[str, str] = Field(description="Checkpoints that were asked for and could not be loaded, and why.")
    loads: list[Coming] = Field(description="Checkpoints that were asked for and are not in memory yet.")


class Health(Memory):
    status: str
    engine: Literal["starting", "ready", "restarting", "failed", "stopped"]
    device: str | None
    version: str
    restarts: int
    notices: list[str]
    message: str | None
