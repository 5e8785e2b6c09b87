"""k-diffusion's sampling functions, without the training half of the package and its many dependencies.

pip install --no-deps k-diffusion==0.1.1.post1
"""

import functools
import importlib
import importlib.util
import sys
from types import ModuleType
from unittest import mock

import torch


def _append_dims(x: torch.Tensor, dims: int) -> torch.Tensor:
    return x[(...,) + (None,) * (dims - x.ndim)]


@functools.cache
def sampling() -> ModuleType:
    """The module `k_diffusion.sampling`; its package's own __init__ would import torchvision, wandb and more."""
    found = importlib.util.find_spec("k_diffusion")
    assert found is not None, "the oracle is missing: pip install --no-deps k-diffusion==0.1.1.post1"
    package, utils, torchdiffeq = ModuleType("k_diffusion"), ModuleType("k_diffusion.utils"), ModuleType("torchdiffeq")
    package.__path__ = list(found.submodule_search_locations)
    package.utils = utils
    utils.append_dims = _append_dims
    torchdiffeq.odeint = None  # for likelihoods, which no sampler uses
    with mock.patch.dict(sys.modules, {"k_diffusion": package, "k_diffusion.utils": utils, "torchdiffeq": torchdiffeq}):
        return importlib.import_module("k_diffusion.sampling")
