"""Modules made from parts: built without weights, then given the file's own tensors, mapped and not copied where the dtype allows."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from diffusers import AutoencoderTiny, SD3Transformer2DModel
from safetensors import SafetensorError, safe_open
from torch.overrides import TorchFunctionMode
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from .errors import CheckpointError, OutOfMemory
from .families import Parted
from .families.parts import Part, Piece, architecture_of
from .headers import FLOATS, Stamp

SAFETENSORS_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
_CLIP_FIELDS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "hidden_act",
    "layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id", "use_attention_mask",
)  # fmt: skip
_CLIP_VISION_FIELDS = (
    "hidden_size", "intermediate_size", "projection_dim", "num_hidden_layers", "num_attention_heads", "num_channels", "image_size",
    "patch_size", "hidden_act", "layer_norm_eps",
)  # fmt: skip
_T5_FIELDS = (
    "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "relative_attention_num_buckets",
    "relative_attention_max_distance", "layer_norm_epsilon", "feed_forward_proj", "pad_token_id", "eos_token_id",
)  # fmt: skip


_DRAWN = frozenset({"kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_", "trunc_normal_", "uniform_", "normal_"})
"""By these names weights are given first values, as functions of `torch.nn.init` and as methods of tensors."""


class Stopped(Exception):
    """The module is not wanted any more."""


def load(part: Part, source: str, device: torch.device, dtype: torch.dtype, stopped: Callable[[], bool] = lambda: False) -> torch.nn.Module:
    """The component of `part` in evaluation mode on `device`, without gradients; `source` names the model in errors.

    Raises `CheckpointError` when a weight is missing, misshapen or not finite, or the files changed since they were
    listed; `OutOfMemory` when the device has no room; `Stopped` as soon as `stopped` says so.
    """
    module = _skeleton(part, source)
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in part.pieces]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(f"{source} is incomplete: its {part.component} lacks {missing[0]!r}{more}.")
    with _sentences(part, source):
        shapes = {name: tensor.shape for name, tensor in wanted.items()}
        placed: dict[Piece, torch.Tensor] = {}  # a tied weight is brought over once
        state = {}
        for name, tensor in _tensors(shapes, part, source):
            piece = part.pieces[name]
            if stopped():
                raise Stopped
            if piece not in placed:
                placed[piece] = tensor.to(device=device, dtype=_dtype(module, part, name, dtype))
            state[name] = placed[piece]
        _check_finite(state, part, source)
        module.load_state_dict(state, strict=True, assign=True)
        return module.to(device=device).eval().requires_grad_(False)  # what is left to move are small buffers


def _skeleton(part: Part, source: str) -> torch.nn.Module:
    """The module with parameters that have shapes and no memory."""
    make = resolve_name(architecture_of(part.architecture).make)
    try:
        with _WithoutMemory():
            return make(dict(part.config))
    except Exception as error:  # whatever a configuration from elsewhere makes a constructor raise
        raise CheckpointError(f"{source} has a {part.component} whose configuration cannot be used: {_first_line(error)}.") from None


class _WithoutMemory(TorchFunctionMode):
    """Weights are made on the meta device, on this thread only: accelerate's `init_empty_weights` does it for all threads,
    and so takes the weights from a module that another thread makes meanwhile. What is computed (buffers) stays real."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if function is torch.empty:
            return function(*args, **{**given, "device": "meta"})
        if getattr(function, "__name__", "") in _DRAWN:
            tensor = args[0] if args else given["tensor"]
            if tensor.is_meta:
                return tensor  # half of a constructor's time goes into first values that nobody will see
        return function(*args, **given)


def clip_text_model(config: dict[str, Any]) -> CLIPTextModel:
    """Only what describes the architecture is taken over: a configuration may also name code to fetch."""
    return CLIPTextModel(CLIPTextConfig(**{name: config[name] for name in _CLIP_FIELDS if name in config}))


def clip_text_model_with_projection(config: dict[str, Any]) -> CLIPTextModelWithProjection:
    """Its pooled state is that of the end token, which today's configurations name; older ones said 2 and took the highest id,
    which a textual inversion's word would steal."""
    known = {name: config[name] for name in (*_CLIP_FIELDS, "projection_dim") if name in config}
    if known.get("eos_token_id", 2) == 2:
        known["eos_token_id"] = known.get("vocab_size", 49_408) - 1
    return CLIPTextModelWithProjection(CLIPTextConfig(**known))


def clip_vision_model_with_projection(config: dict[str, Any]) -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**{name: config[name] for name in _CLIP_VISION_FIELDS if name in config}))


def t5_encoder(config: dict[str, Any]) -> T5EncoderModel:
    """A T5EncoderModel whose two names for its embedding mean one module."""
    model = T5EncoderModel(T5Config(**{name: config[name] for name in _T5_FIELDS if name in config}))
    model.encoder.embed_tokens = model.shared
    return model


def sd3_transformer(config: dict[str, Any]) -> SD3Transformer2DModel:
    """All that it computes of itself, the positions of 192² patches, is in its files too, and takes a second."""
    with torch.device("meta"):
        return SD3Transformer2DModel.from_config(config)


def tiny_decoder(config: dict[str, Any]) -> AutoencoderTiny:
    """An AutoencoderTiny that can only decode."""
    known = signature(AutoencoderTiny.__init__).parameters  # it saves more than it takes, and then warns of what it saved
    model = AutoencoderTiny(**{name: value for name, value in config.items() if name in known})
    model.encoder = torch.nn.Identity()
    return model


def _tensors(shapes: Mapping[str, torch.Size], part: Part, source: str) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, mapped tensor) of each weight in `shapes`, in the shape that the module wants it."""
    by_file: dict[Stamp, list[str]] = {}
    for name in shapes:
        by_file.setdefault(part.pieces[name].stamp, []).append(name)
    for stamp, names in by_file.items():
        if Stamp.of(stamp.path) != stamp:  # a file cut short after mapping would end the process
            raise CheckpointError(f"{stamp.path.name} has changed while it was being read; try again.")
        with safe_open(stamp.path, framework="pt", device="cpu") as file:
            for name in names:
                piece = part.pieces[name]
                tensor = _cut(file.get_tensor(piece.name), piece)
                if piece.info.dtype not in FLOATS or _squeezed(tensor.shape) != _squeezed(shapes[name]):
                    found, needed = tuple(tensor.shape), tuple(shapes[name])
                    raise CheckpointError(f"{source} has a {part.component} weight {name!r} of shape {found}, where {needed} is needed.")
                yield name, tensor.reshape(shapes[name])


def _squeezed(shape: torch.Size) -> tuple[int, ...]:
    """Without the 1 × 1 at the end: what is linear here may be a convolution of one pixel there."""
    return tuple(shape[:2]) if tuple(shape[2:]) == (1, 1) else tuple(shape)


def _cut(tensor: torch.Tensor, piece: Piece) -> torch.Tensor:
    if piece.form == "swap":
        return torch.cat(tensor.chunk(2)[::-1])
    if piece.form == "transposed":
        return tensor.T.contiguous()
    return tensor if piece.third is None else tensor.chunk(3)[piece.third]


def _dtype(module: torch.nn.Module, part: Part, name: str, dtype: torch.dtype) -> torch.dtype:
    """Some layers overflow in float16, and their classes say which (T5's `wo`); of a whole VAE its file says it (SDXL's), and of
    other components their families, with the dtype that they are loaded in instead."""
    kept = getattr(module, "_keep_in_fp32_modules", None) or ()
    upcast = part.config.get("force_upcast")
    if dtype == torch.float16 and isinstance(upcast, str):
        return getattr(torch, upcast)
    overflows = upcast is True or any(word in kept for word in name.split("."))
    return torch.float32 if dtype == torch.float16 and overflows else dtype


def _check_finite(state: Mapping[str, torch.Tensor], part: Part, source: str) -> None:
    """Reads every weight once, which brings mapped ones into memory too."""
    for name, tensor in state.items():
        if not _finite(tensor):
            raise CheckpointError(
                f"{source} is damaged: weight {name!r} of its {part.component} is not finite in {str(tensor.dtype).removeprefix('torch.')}."
            )


def _finite(tensor: torch.Tensor) -> bool:
    """Whether there is neither NaN nor infinity, by what is fastest: extremes on a CPU, where sums of half-precision numbers take
    fifteen times as long, else a sum, which Apple's devices can do too; one that overflows is looked at closely."""
    if tensor.device.type == "cpu" and tensor.numel():
        return all(torch.isfinite(end) for end in tensor.aminmax())
    return bool(torch.isfinite(tensor.sum(dtype=torch.float32)) or torch.isfinite(tensor).all())


def scheduler_config(parted: Parted, path: Path) -> dict[str, Any]:
    """The checkpoint's scheduler configuration; for a single file the family's, with the prediction type that is told
    by a `v_pred` tensor, by the `.yaml` beside the file, or by the spread of the tensor that its family names. A `ztsnr`
    tensor tells that it was trained down to no signal at all, where its sampling then has to begin."""
    if parted.header is None:
        return dict(parted.scheduler_config)
    v_prediction = "v_pred" in parted.header.tensors or _says_v_prediction(path.with_suffix(".yaml"))
    mark = parted.v_prediction_mark
    if mark and mark[0] in parted.header.tensors and not v_prediction:
        with safe_open(path, framework="pt", device="cpu") as file:
            v_prediction = file.get_tensor(mark[0]).float().std(correction=0).item() > mark[1]
    told = {"prediction_type": "v_prediction"} if v_prediction else {}
    if "ztsnr" in parted.header.tensors:
        told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return {**parted.scheduler_config, **told}


def _says_v_prediction(path: Path) -> bool:
    try:
        return path.stat().st_size < 2**16 and bool(
            re.search(r"""parameterization:\s*["']?v["']?\s*$""", path.read_text("utf-8", "replace"), re.M)
        )
    except OSError:
        return False


@contextmanager
def _sentences(part: Part, source: str) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
            raise OutOfMemory(f"There is not enough memory to load the {part.component} of {source}.") from None
        raise CheckpointError(f"The {part.component} of {source} cannot be read: {_first_line(error)}.") from None
    except MemoryError:
        raise OutOfMemory(f"There is not enough memory to load the {part.component} of {source}.") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
