"""Starting noise: NVIDIA's numbers by published values, variations and other sizes by A1111's arithmetic, and pictures made of them."""

import math

import numpy as np
import pytest
import torch

from pipelines.errors import InvalidRequest
from pipelines.events import Failed
from pipelines.noise import Draws, Starting, laid_into, numbers_of, slerp
from pipelines.parameters import SEEDS
from pipelines.samplers.noise import brownian, independent
from pipelines.samplers.philox import Philox, philox
from tests.pipelines.engines import Shelf, engine, latents, of, request, run, toy

SHAPE = (4, 8, 8)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(toy=toy(tmp_path_factory.mktemp("toy")))


def made(shelf, **fields):
    return latents(run(engine(shelf), request(num_inference_steps=3, **fields)))


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # the known answers that come with the authors' Random123
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_authors_known_answers(counter, key, words):
    found = philox(np.array(counter, dtype=np.uint64)[:, None], key)[:, 0]
    assert " ".join(f"{int(word):08x}" for word in found) == words


def test_numbers_are_those_of_cuda():
    """What torch.randn((3, 4), device="cuda") gives after manual_seed(0), as A1111 and many others have published."""
    known = [-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564]
    known += [-0.62285122, -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497]
    torch.testing.assert_close(Philox(0).normal((3, 4)).flatten(), torch.tensor(known), atol=1e-6, rtol=0)


def test_every_call_goes_on_and_every_seed_is_another():
    numbers = Philox(5)
    first, then = numbers.normal((1, *SHAPE)), numbers.normal((1, *SHAPE))
    assert torch.equal(first, Philox(5).normal((1, *SHAPE))) and not torch.equal(first, then)
    assert torch.equal(first.flatten()[:10], Philox(5).normal((10,)))
    assert not torch.equal(first, Philox(5 + SEEDS).normal((1, *SHAPE)))
    many = Philox(1).normal((400, 400))
    assert abs(float(many.mean())) < 0.01 and abs(float(many.std()) - 1) < 0.01


def test_a_variation_goes_along_the_arc_of_each_column():
    low, high = (torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    turned = slerp(0.3, low, high)
    for channel, column in ((0, 0), (3, 5)):
        a, b = (each[0, channel, :, column].double().numpy() for each in (low, high))
        angle = math.acos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        expected = (math.sin(0.7 * angle) * a + math.sin(0.3 * angle) * b) / math.sin(angle)
        np.testing.assert_allclose(turned[0, channel, :, column].numpy(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(slerp(1.0, low, high), high)
    torch.testing.assert_close(slerp(0.3, low, low), low)
    torch.testing.assert_close(slerp(0.25, low, low * 2), 0.25 * low + 0.75 * (low * 2))  # A1111's other way round


@pytest.mark.parametrize(("size", "part"), [((8, 8), (4, 6)), ((8, 8), (12, 4)), ((8, 8), (11, 9)), ((7, 9), (8, 8))])
def test_another_size_is_laid_into_the_middle(size, part):
    whole, noise = torch.zeros(1, 4, *size), torch.arange(part[0] * part[1]).view(1, 1, *part).float() + 1
    laid = laid_into(whole, noise.expand(1, 4, -1, -1))[0, 0]
    (height, width), (down, across) = size, part
    dy, dx = (height - down) // 2, (width - across) // 2
    for y in range(height):
        for x in range(width):
            from_y, from_x = y - dy, x - dx
            there = 0 <= from_y < down and 0 <= from_x < across
            # of a part that is larger by an odd number, A1111 leaves the last line
            there = there and (dy >= 0 or y < down + 2 * dy) and (dx >= 0 or x < across + 2 * dx)
            assert laid[y, x] == (noise[0, 0, from_y, from_x] if there else 0)


def test_the_stream_goes_on_as_after_one_noise_whatever_is_made_of_it():
    plain = Draws(Starting(), 5)
    plain.starting(SHAPE)
    then = torch.randn(3, generator=plain.torch)
    for how in (Starting(variation=0.5), Starting(laid_out_for=(4, 6)), Starting(variation=0.5, laid_out_for=(12, 8))):
        draws = Draws(how, 5, 6)
        assert draws.starting(SHAPE).shape == (1, *SHAPE)
        assert torch.equal(torch.randn(3, generator=draws.torch), then)


def test_who_draws():
    for source in ("cpu", "gpu"):  # on a machine without CUDA
        assert torch.equal(Draws(Starting(source), 5).starting(SHAPE), torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(5)))
    assert torch.equal(Draws(Starting("nv"), 5).starting(SHAPE), Philox(5).normal((1, *SHAPE)))
    x = torch.zeros(1, *SHAPE)
    numbers = numbers_of("nv", 5, "cpu")
    assert torch.equal(independent(x, numbers)(2.0, 1.0), Philox(5).normal(x.shape))
    paths = [brownian(x, [10.0, 1.0, 0.0], 5, kind) for kind in (None, torch.Generator(), numbers)]
    cpu, same, nv = (path(10.0, 3.0) for path in paths)
    assert torch.equal(cpu, same) and not torch.allclose(cpu, nv, atol=0.1)
    assert torch.equal(paths[0](10.0, 3.0), cpu)  # nothing is left behind


def test_the_source_reaches_the_picture(shelf):
    pictures = {name: made(shelf, scheduler="euler_a", noise_source=name)[0] for name in ("cpu", "gpu", "nv")}
    assert torch.equal(pictures["cpu"], pictures["gpu"]) and not torch.allclose(pictures["cpu"], pictures["nv"], atol=0.1)


def test_a_variation_of_strength_1_is_the_other_seeds_picture(shelf):
    varied = {strength: made(shelf, variation_seed=9, variation_strength=strength)[0] for strength in (0.0, 0.3, 1.0)}
    torch.testing.assert_close(varied[1.0], made(shelf, seed=9)[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(varied[0.0], made(shelf)[0])
    far = [float((varied[0.3] - varied[other]).pow(2).mean()) for other in (0.0, 1.0)]
    assert 0 < far[0] < far[1]


def test_with_a_variation_the_variation_seed_counts_up(shelf):
    batch = made(shelf, num_images_per_prompt=2, variation_seed=9, variation_strength=0.4)
    for index in range(2):
        alone = made(shelf, variation_seed=9 + index, variation_strength=0.4)[0]
        torch.testing.assert_close(batch[index], alone, atol=1e-4, rtol=1e-4)
    varied = request(num_images_per_prompt=2, variation_seed=9, variation_strength=0.4)
    assert (varied.of_picture(1).seed, varied.of_picture(1).variation_seed) == (7, 10)
    assert (request().of_picture(1).seed, request().of_picture(1).variation_seed) == (8, -1)


def test_seeds_are_decided_where_they_are_needed():
    assert request(seed=-1).with_seed().variation_seed == -1
    decided = request(seed=-1, variation_strength=0.1).with_seed()
    assert decided.seed >= 0 and decided.variation_seed >= 0 and decided.with_seed() == decided
    with pytest.raises(ValueError, match="variation_seed must leave room for 2 pictures"):
        request(num_images_per_prompt=2, variation_seed=SEEDS - 1, variation_strength=0.1)


def test_a_size_of_one_side_is_told(shelf):
    (failed,) = of(run(engine(shelf), request(seed_resize_from_width=64)), Failed)
    assert failed.message == "seed_resize_from_width and seed_resize_from_height go together; got 64 and 0."
    with pytest.raises(InvalidRequest):
        Starting.of(request(seed_resize_from_height=64), 8)
    assert Starting.of(request(seed_resize_from_width=64, seed_resize_from_height=128), 8).laid_out_for == (16, 8)
