"""The names of tensors in LoRA-like files taken apart: which component, which module, what part of the change.

Trainers agree on little. kohya writes `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`, diffusers
`unet.mid_block.attentions.0.proj_in.lora_A.weight`, its older versions `...attn1.processor.to_q_lora.down.weight`. Modules
are therefore compared by their name with every dot written as `_`, which leaves the names of any one model distinct.
"""

import re
from typing import NamedTuple

DENOISER = "denoiser"
"""Stands for the component that a family denoises with: its UNet or transformer."""

# In this order: the first that a name begins with counts.
_PREFIXES = (
    ("lora_unet_", DENOISER),
    ("lora_transformer_", DENOISER),
    ("lycoris_", DENOISER),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te3_", "text_encoder_3"),
    ("lora_te_", "text_encoder"),
    ("unet.", DENOISER),
    ("transformer.", DENOISER),
    ("model.diffusion_model.", DENOISER),
    ("diffusion_model.", DENOISER),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("text_encoders.t5xxl.transformer.", "text_encoder_3"),
    ("text_encoder.", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder_3.", "text_encoder_3"),
    ("text_model.", "text_encoder"),
)
_WRAPPER = "base_model.model."  # peft's own

_SLOT = re.compile(
    r"""(?:
      [._]lora(?:_linear_layer|_layer)?\.(?P<old>down|up)\.weight
    | \.lora_(?P<plain>down|up|mid)(?:\.weight)?
    | \.lora_(?P<peft>[AB])(?:\.[^.]+)?\.weight
    | \.(?P<magnitude>lora_magnitude_vector)(?:\.[^.]+)*
    | (?:[._]lora(?:_linear_layer|_layer)?)?\.(?P<alpha>alpha)
    | \.(?P<own>dora_scale|hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2|diff|diff_b|w_norm|b_norm|on_input|weight)
    )$""",
    re.VERBOSE,
)
_SLOTS = {"A": "down", "B": "up", "lora_magnitude_vector": "magnitude"}


class TensorName(NamedTuple):
    """`module` has dots written as `_`; `dotted` is the same as the file has it. `slot` is what the tensor is for the change:
    "down", "up", "mid", "alpha", "dora_scale", "magnitude", "hada_w1_a", "lokr_w1", "diff", ..."""

    component: str
    module: str
    dotted: str
    slot: str


def split(name: str) -> TensorName | None:
    """What a tensor of this name is, or None where the name says nothing that is known here."""
    stem, slot = _slot(name.removeprefix(_WRAPPER))
    if not slot:
        return None
    prefix, component = next((known for known in _PREFIXES if stem.startswith(known[0])), ("", DENOISER))
    dotted = stem.removeprefix(prefix)
    return TensorName(component, flat(dotted), dotted, slot) if dotted else None


def _slot(name: str) -> tuple[str, str]:
    """The name before the slot, and the slot; ("", "") where there is none."""
    found = _SLOT.search(name)
    if not found:
        return "", ""
    text = found[found.lastgroup or 0]
    return name[: found.start()], _SLOTS.get(text, text)


def flat(module: str) -> str:
    """A module's name as it is compared: dots as `_`, without what older versions of the libraries put in between."""
    return module.replace(".processor.", ".").replace(".", "_").removeprefix("text_model_")
