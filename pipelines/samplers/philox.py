"""The random numbers of NVIDIA's GPUs without one: Philox, counted and turned into normal numbers as CUDA's torch.randn does.

Paper: Parallel Random Numbers: As Easy as 1, 2, 3 (Salmon et al. 2011), https://doi.org/10.1145/2063384.2063405
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""What is added to the key after every round: the golden ratio and the root of 3, less 1, as fractions of 2**32."""

LOW, WORD = np.uint64(0xFFFFFFFF), np.uint64(32)
UNIT = float(np.float32(2.0**-32))
TURN = float(np.float32(2.0**-32 * np.float32(6.2831855)))
"""curand's constants are single precision; what follows from them is rounded at the end."""


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox4x32-10: four words of 32 bits for each counter, (4, n) unsigned 64-bit integers below 2**32 in and out."""
    first, second, third, fourth = counter
    low, high = key
    for _ in range(ROUNDS):
        even, odd = first * np.uint64(MULTIPLIERS[0]), third * np.uint64(MULTIPLIERS[1])
        first, second, third, fourth = (
            (odd >> WORD) ^ second ^ np.uint64(low),
            odd & LOW,
            (even >> WORD) ^ fourth ^ np.uint64(high),
            even & LOW,
        )
        low, high = (low + WEYL[0]) % 2**32, (high + WEYL[1]) % 2**32
    return np.stack([first, second, third, fourth])


class Philox:
    """Stands for a CUDA generator of the seed `seed` (from 0, below 2**64): every `normal` is the next torch.randn.

    As curand has it: the seed is the key, each number has a subsequence of its own, and each call goes one on. Equal but for
    rounding while a GPU has a thread for each number (about a hundred thousand); beyond, its number of processors has a say, which
    is left out here as in A1111. `torch` is a CPU generator of the same seed, for code that can draw from nothing else.
    """

    def __init__(self, seed: int) -> None:
        self.torch = torch.Generator().manual_seed(seed)
        self._seed = seed
        self._calls = 0

    def initial_seed(self) -> int:
        return self._seed

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Unit normal numbers, float32."""
        count = int(np.prod(shape))
        counter = np.zeros((4, count), dtype=np.uint64)
        counter[0] = self._calls
        counter[2] = np.arange(count)
        self._calls += 1
        words = philox(counter, (self._seed % 2**32, self._seed // 2**32))
        radius = np.sqrt(-2.0 * np.log(words[0] * UNIT + UNIT / 2))  # Box and Muller 1958
        normal = radius * np.sin(words[1] * TURN + TURN / 2)
        return torch.from_numpy(normal.astype(np.float32).reshape(tuple(shape)))


Numbers: TypeAlias = torch.Generator | Philox
"""Where random numbers come from, one after another from one seed."""


def normal(shape: Sequence[int], numbers: Numbers, dtype: torch.dtype = torch.float32) -> Tensor:
    """The next unit normal numbers, on the generator's device."""
    if isinstance(numbers, Philox):
        return numbers.normal(shape).to(dtype)
    return torch.randn(tuple(shape), generator=numbers, dtype=dtype, device=numbers.device)


def anew(numbers: Numbers, seed: int) -> Numbers:
    """Numbers of the same kind from another seed."""
    return Philox(seed) if isinstance(numbers, Philox) else torch.Generator(numbers.device).manual_seed(seed)


def in_torch(numbers: Numbers) -> torch.Generator:
    """What torch's and diffusers' own code can draw from."""
    return numbers.torch if isinstance(numbers, Philox) else numbers
