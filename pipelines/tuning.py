"""What the user asked for to have modules faster: blocks compiled, and VAEs in numbers of their own."""

import logging
from dataclasses import dataclass
from typing import Any

import torch

log = logging.getLogger(__name__)
_VARIANTS = 64  # of a block's code, by widths, lengths and modifiers; with more it runs as it is


@dataclass(frozen=True)
class Tuning:
    """`compiled` has the blocks that a denoiser repeats compiled on their first use, as diffusers' `compile_repeated_blocks`
    does it: a minute or two once for each kind of checkpoint, and pictures that differ in the last digits. `vae_dtype` is what VAEs
    are kept and computed in (None: as their checkpoints are). `backend` is torch.compile's.
    """

    compiled: bool = False
    vae_dtype: torch.dtype | None = None
    backend: str = "inductor"

    def dtype(self, component: str, dtype: torch.dtype) -> torch.dtype:
        """What a component is loaded in, of a checkpoint that is loaded in `dtype`."""
        return self.vae_dtype if component == "vae" and self.vae_dtype is not None else dtype

    def finish(self, module: Any) -> None:
        """A loaded module that stays on its device is made ready. Weights that change places later, such as a LoRA's, are
        seen by what was compiled before; a block that cannot be compiled runs as it is."""
        if not self.compiled or not getattr(module, "_repeated_blocks", None):
            return
        settings = torch._dynamo.config
        settings.recompile_limit, settings.suppress_errors = max(_VARIANTS, settings.recompile_limit), True
        module.compile_repeated_blocks(backend=self.backend)
        log.info("%s is compiled on its first use", type(module).__name__)


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether blocks of it are, or were to be."""
    return any(part._compiled_call_impl is not None for part in module.modules())


UNTUNED = Tuning()
