"""A request becomes stages: what to encode, how to denoise, what to do with the result. Values only; the engine runs them."""

from dataclasses import dataclass

from .components import Components
from .errors import InvalidRequest
from .request import Img2Img, Inpaint, Request

KNOWN_IN_LATENTS = "latents"
KNOWN_IN_CHANNELS = "channels"


@dataclass(frozen=True)
class EncodePrompt:
    """`negative_prompt` is None where guidance is off: then the prompt is predicted alone."""

    prompt: str
    negative_prompt: str | None
    clip_skip: int


@dataclass(frozen=True)
class EncodePicture:
    """The picture (a blob id) brought to width × height; `mask` (a blob id) says which part of it is to change."""

    image: str
    mask: str | None
    width: int
    height: int


@dataclass(frozen=True)
class Denoise:
    """The last `steps_run` (the part `strength`) of `steps` steps; from pure noise where `from_noise`, else from the noised picture.

    `known` says how the part of the picture that is kept reaches the model: blended into the latents after every step,
    as extra input channels (inpainting checkpoints), or not at all (None). `shape` is (channels, height, width) of the latents.
    """

    scheduler: str
    schedule: str
    steps: int
    steps_run: int
    strength: float
    guidance_scale: float
    shape: tuple[int, int, int]
    from_noise: bool
    known: str | None


@dataclass(frozen=True)
class Decode:
    """Latents to pixels; where `paste` the unmasked pixels of the source are put back, at the size of the source."""

    paste: bool


Stage = EncodePrompt | EncodePicture | Denoise | Decode


def plan(request: Request, components: Components) -> tuple[Stage, ...]:
    """The stages of one picture, in order. Raises `InvalidRequest` if the checkpoint cannot do the task."""
    guided = request.guidance_scale > 1
    prompt = EncodePrompt(request.prompt, request.negative_prompt if guided else None, request.clip_skip)
    scale = components.vae_scale_factor
    masked = isinstance(request, Inpaint)
    denoise = Denoise(
        scheduler=request.scheduler,
        schedule=request.schedule,
        steps=request.num_inference_steps,
        steps_run=request.steps_run,
        strength=request.strength if isinstance(request, Img2Img) else 1.0,
        guidance_scale=request.guidance_scale,
        shape=(components.latent_channels, request.height // scale, request.width // scale),
        # diffusers' rule: inpainting at full strength starts from noise alone, img2img never does
        from_noise=not isinstance(request, Img2Img) or (masked and request.strength == 1),
        known=_known(components, masked),
    )
    if not isinstance(request, Img2Img):
        return prompt, denoise, Decode(paste=False)
    picture = EncodePicture(request.image, request.mask_image if isinstance(request, Inpaint) else None, request.width, request.height)
    return prompt, picture, denoise, Decode(paste=masked)


def _known(components: Components, masked: bool) -> str | None:
    """How the kept part reaches this denoiser; an inpainting one has channels for mask and masked latents and needs them filled."""
    taken = int(components.denoiser.config.in_channels)
    latents = components.latent_channels
    if taken == latents:
        return KNOWN_IN_LATENTS if masked else None
    if taken != 2 * latents + 1:
        raise InvalidRequest(f"checkpoint {components.checkpoint!r} takes {taken} latent channels, which no task provides.", "checkpoint")
    if not masked:
        raise InvalidRequest(f"checkpoint {components.checkpoint!r} is made for inpainting only.", "checkpoint")
    return KNOWN_IN_CHANNELS
