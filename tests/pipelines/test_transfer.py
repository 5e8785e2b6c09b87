"""What leaves the device arrives as it was, in its own order in memory; on CUDA in pinned memory."""

import numpy as np
import pytest
import torch

from pipelines.decode import to_picture, to_pictures
from pipelines.transfer import to_main

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"))]


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_arrive_as_they_were(device: str) -> None:
    there = torch.arange(24.0, device=device).reshape(2, 3, 4).permute(2, 0, 1)
    here = to_main(there)
    assert here.device.type == "cpu" and torch.equal(here, there.cpu()) and here.stride() == there.stride()
    assert here.is_pinned() == (device == "cuda")


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_of_a_batch_are_those_of_each(device: str) -> None:
    pixels = torch.rand(3, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2
    found = to_pictures(pixels.to(device))
    for picture, each in zip(found, pixels, strict=True):
        expected = (each / 2 + 0.5).clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
        assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), expected)
        assert picture.tobytes() == to_picture(each[None]).tobytes()
