"""A request becomes stages: what to encode, how to denoise, what to do with the result. Values only; the engine runs them.

A picture takes one pass of denoising or several (a refiner, a second pass at a larger size). A `Denoise` is told what the
last `EncodePrompt` before it for the same model says, and starts from the last `EncodePicture`, or from the pass before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .components import Components
from .errors import InvalidRequest
from .guidance import Variant
from .names import SAMPLER_DEFAULTS, SamplerSettings, needs_negative
from .prompts.tree import Emphasis, Syntax
from .request import Img2Img, Img2Vid, Inpaint, Request, Upscale

KNOWN_IN_LATENTS = "latents"
KNOWN_IN_CHANNELS = "channels"
EDITED_IN_CHANNELS = "edited"

Start = Literal["noise", "picture", "latents", "continued"]
"""Where a pass begins: from noise alone, from a picture with noise, from the latents of the pass before with fresh noise,
or where the pass before stopped."""


@dataclass(frozen=True)
class EncodePrompt:
    """`prompts` has one for each text encoder, the last for those that follow; `negative_prompts` likewise.

    `syntax` is the language they are written in, `emphasis` how weights are applied; `steps` is how many the pass has, by
    which prompts change on the way, and `steps_before` how many the pass before had, if this is a second one. `width`, `height`
    and the aesthetic scores (about 1 to 10) are what some families tell the model. `model` is the checkpoint whose encoders
    are meant, "" for the job's own.
    """

    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    guided: bool
    clip_skip: int
    syntax: Syntax
    emphasis: Emphasis
    steps: int
    width: int
    height: int
    steps_before: int | None = None
    model: str = ""
    aesthetic_score: float = 6.0
    negative_aesthetic_score: float = 2.5


@dataclass(frozen=True)
class EncodePicture:
    """The picture that the request lays out, or the part of it that a round makes anew, brought to width × height."""

    width: int
    height: int


@dataclass(frozen=True)
class EnlargePicture:
    """The picture (a blob id) made `scale` times as large by an upscaler of pictures; what follows redraws it in tiles of
    width × height pixels, of which neighbours share `overlap`."""

    image: str
    upscaler: str
    scale: float
    width: int
    height: int
    overlap: int


@dataclass(frozen=True)
class OpenClip:
    """The picture (a blob id) that a clip begins with, brought to width × height with `noise_aug_strength` times unit noise laid
    over it, and what the model is told besides, in all `steps`: the clip's `fps` and how much moves in it. `guided` clips are
    weighed against nothing."""

    image: str
    width: int
    height: int
    fps: int
    motion_bucket_id: int
    noise_aug_strength: float
    guided: bool
    steps: int


@dataclass(frozen=True)
class Enlarge:
    """The latents so far, brought to width × height pixels by an upscaler: of latents, or of pictures, which decodes and encodes."""

    upscaler: str
    width: int
    height: int


@dataclass(frozen=True)
class Denoise:
    """Steps `first` (from 0) to `last` (exclusive) of a schedule of `steps`.

    `known` says how the part of the picture that is kept reaches the model: blended into the latents after every step,
    as extra input channels (inpainting checkpoints), or not at all (None); an editing checkpoint has the whole picture in
    channels, and is held to it by `image_guidance_scale`. `shape` is (channels, height, width) of the latents, of a clip behind its
    number of frames; its guidance rises evenly to the `last_guidance_scale` of its last frame. `model` is the
    checkpoint that denoises, "" for the job's own; `settings` are the sampler's. A pass that continues another takes over when
    the share `since` of the way from noise to picture is behind it, counted in the model's timesteps (diffusers'
    denoising_start), and the pass before ends there.

    `denoiser` is the component that denoises, "" for the family's first; `conditioned` is the name by which it is told the latents
    that another denoiser of the checkpoint made before it. `guiding` are variants of guidance, in their order. The noise laid over a
    picture is `noise_multiplier` times as strong.
    """

    scheduler: str
    schedule: str
    steps: int
    first: int
    last: int
    guidance_scale: float
    shape: tuple[int, ...]
    start: Start
    known: str | None = None
    model: str = ""
    settings: SamplerSettings = SAMPLER_DEFAULTS
    image_guidance_scale: float = 1.0
    since: float = 0.0
    last_guidance_scale: float | None = None
    noise_multiplier: float = 1.0
    denoiser: str = ""
    conditioned: str = ""
    guiding: tuple[Variant, ...] = ()

    @property
    def steps_run(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class Decode:
    """Latents to pixels, which are laid into the picture that they came from where only a part of it was made anew."""


Stage = EncodePrompt | EncodePicture | EnlargePicture | OpenClip | Enlarge | Denoise | Decode
Stages = tuple[Stage, ...]


def plan(request: Request, components: Components) -> Stages:
    """The stages of one picture that a checkpoint has a part in, in order. Raises `InvalidRequest` if it cannot do the task."""
    _check(request, components)
    if isinstance(request, Img2Vid):
        return _clip(request, components)
    scale = components.vae_scale_factor
    known = _known(components, request)
    # an editing checkpoint has the picture before it at every step, and starts from noise alone
    edits = known == EDITED_IN_CHANNELS
    steps_run = request.num_inference_steps if edits else request.steps_run
    prompt = EncodePrompt(
        prompts=(request.prompt, *filter(None, (request.prompt_2,))),
        negative_prompts=(request.negative_prompt, *filter(None, (request.negative_prompt_2,))),
        guided=request.guidance_scale > 1 or needs_negative(request.scheduler),
        clip_skip=request.clip_skip,
        syntax=request.prompt_syntax,
        emphasis=request.emphasis,
        steps=steps_run,
        width=request.width,
        height=request.height,
    )
    # diffusers' rule: inpainting at full strength starts from noise alone, img2img never does
    whole_way = isinstance(request, Inpaint) and request.strength == 1 and request.masked_content == "original"
    from_noise = edits or not isinstance(request, Img2Img) or whole_way
    denoise = Denoise(
        scheduler=request.scheduler,
        schedule=request.schedule,
        steps=request.num_inference_steps,
        first=request.num_inference_steps - steps_run,
        last=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        shape=(components.latent_channels, request.height // scale, request.width // scale),
        start="noise" if from_noise else "picture",
        known=known,
        settings=SamplerSettings.of(request),
        image_guidance_scale=request.image_guidance_scale if isinstance(request, Img2Img) else 1.0,
        noise_multiplier=request.noise_multiplier if isinstance(request, Img2Img) else 1.0,
    )
    if not isinstance(request, Img2Img):
        return prompt, denoise, Decode()
    if isinstance(request, Upscale):
        larger, decode = enlarging(request)
        return prompt, larger, denoise, decode
    picture = EncodePicture(request.width, request.height)
    return prompt, picture, denoise, Decode()


def enlarging(request: Upscale) -> Stages:
    """The stages of a picture that is made larger and not redrawn: those that need no checkpoint."""
    return EnlargePicture(request.image, request.upscaler, request.scale, request.width, request.height, request.overlap), Decode()


def _clip(request: Img2Vid, components: Components) -> Stages:
    scale = components.vae_scale_factor
    opening = OpenClip(
        image=request.image,
        width=request.width,
        height=request.height,
        fps=request.fps,
        motion_bucket_id=request.motion_bucket_id,
        noise_aug_strength=request.noise_aug_strength,
        guided=request.max_guidance_scale > 1,
        steps=request.num_inference_steps,
    )
    denoise = Denoise(
        scheduler=request.scheduler,
        schedule=request.schedule,
        steps=request.num_inference_steps,
        first=0,
        last=request.num_inference_steps,
        guidance_scale=request.min_guidance_scale,
        shape=(request.num_frames, components.latent_channels, request.height // scale, request.width // scale),
        start="noise",
        settings=SamplerSettings.of(request),
        last_guidance_scale=request.max_guidance_scale,
    )
    return opening, denoise, Decode()


def guided_by(stages: Stages, variant: Variant) -> Stages:
    """All passes with one more variant of guidance."""
    return tuple(replace(one, guiding=(*one.guiding, variant)) if isinstance(one, Denoise) else one for one in stages)


def models_of(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Checkpoints that the stages need besides the job's own."""
    named = (stage.model for stage in stages if isinstance(stage, (Denoise, EncodePrompt)))
    return tuple(dict.fromkeys(name for name in named if name))


def _check(request: Request, components: Components) -> None:
    """Raises `InvalidRequest` for a task that the family cannot do, or a size that does not fit its latents."""
    family = components.family
    if request.ability and request.ability not in family.tasks:
        doing = " and ".join(family.tasks)
        raise InvalidRequest(f"checkpoint {components.checkpoint!r} ({family.title}) is made for {doing} only.", "checkpoint")
    multiple = components.size_multiple
    if request.width % multiple or request.height % multiple:
        raise InvalidRequest(
            f"width and height must be multiples of {multiple} for checkpoint {components.checkpoint!r}; "
            f"got {request.width}×{request.height}.",
            "width",
        )


def _known(components: Components, request: Request) -> str | None:
    """How the kept part reaches this denoiser; an inpainting one has channels for mask and masked latents and needs them
    filled, an editing one for the picture."""
    taken, latents = int(components.denoiser.config.in_channels), components.latent_channels
    masked = isinstance(request, Inpaint)
    if taken == latents:
        return KNOWN_IN_LATENTS if masked else None
    name = f"checkpoint {components.checkpoint!r}"
    if taken == 2 * latents:
        if masked or not isinstance(request, Img2Img):
            raise InvalidRequest(f"{name} is made for editing whole pictures (img2img) only.", "checkpoint")
        return EDITED_IN_CHANNELS
    if taken != 2 * latents + 1:
        raise InvalidRequest(f"{name} takes {taken} latent channels, which no task provides.", "checkpoint")
    if not masked:
        raise InvalidRequest(f"{name} is made for inpainting only.", "checkpoint")
    return KNOWN_IN_CHANNELS
