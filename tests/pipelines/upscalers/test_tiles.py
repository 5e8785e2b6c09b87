"""Windows cover a picture without a seam, grow smaller where memory runs out, and can be left at any one."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import BadNumbers, OutOfMemory
from pipelines.upscalers import inspect
from pipelines.upscalers.loading import Network, load
from pipelines.upscalers.tiles import OVERLAP, SMALLEST, Progress, Span, enlarge, fitting_tile, spans, weights
from tests.pipelines.upscalers.toys import compact, rrdb, saved
from tests.pipelines.upscalers.toys import weights as weights_of

CPU = torch.device("cpu")
MakeNetwork = Callable[[torch.nn.Module], Network]


@pytest.fixture
def network(tmp_path: Path) -> MakeNetwork:
    return lambda module: load(inspect(saved(tmp_path / "toy.safetensors", weights_of(module))), CPU, torch.float32)


def noise(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def drain(steps: object) -> tuple[torch.Tensor, list[Progress]]:
    seen = []
    try:
        while True:
            seen.append(next(steps))
    except StopIteration as end:
        return end.value, seen


@given(st.integers(1, 3000), st.integers(SMALLEST, 1024), st.sampled_from([1, 2, 4]))
def test_windows_cover_every_line_once(size: int, tile: int, align: int) -> None:
    found = spans(size, tile, align)
    assert found[0].start == 0 and found[-1].stop == size and not found[0].before and not found[-1].after
    assert all(0 < span.length <= tile and span.start % align == 0 for span in found)
    for one, other in pairwise(found):
        assert one.stop - other.start == one.after == other.before == OVERLAP
    assert all(one.stop <= other.start for one, other in zip(found, found[2:], strict=False))
    total = torch.zeros(size)
    for span in found:
        total[span.start : span.stop] += weights(span, 1)
    assert torch.allclose(total, torch.ones(size))


def test_a_quarter_of_what_is_shared_is_only_context() -> None:
    found = weights(Span(0, 100, 0, OVERLAP), 2)
    quarter = OVERLAP // 2
    assert len(found) == 200 and not found[-quarter:].any() and (found[: 200 - 3 * quarter] == 1).all()
    assert (found[200 - 3 * quarter : -quarter].diff() < 0).all()


@pytest.mark.parametrize("module", [compact(2), compact(2, channels=1), rrdb(1), rrdb(0), rrdb(2, shrink=4)])
@pytest.mark.parametrize("size", [(131, 230), (97, 96)])
def test_in_windows_it_is_the_same_picture(network: MakeNetwork, module: torch.nn.Module, size: tuple[int, int]) -> None:
    """Exactly where the network sees no further than the context; the dense one sees 20 pixels, but little of the far ones."""
    made, pixels = network(module), noise(*size)
    whole, _ = drain(enlarge(made, pixels, 10_000))
    tiled, seen = drain(enlarge(made, pixels, SMALLEST))
    assert whole.shape == (size[0] * made.scale, size[1] * made.scale, 3) and whole.dtype == torch.uint8
    assert seen == [Progress(index + 1, len(seen)) for index in range(len(seen))] and len(seen) >= 2
    difference = (whole.int() - tiled.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.01


def test_a_picture_without_windows_is_what_the_network_gives(network: MakeNetwork) -> None:
    module, pixels = compact(2), noise(20, 30)
    made, seen = drain(enlarge(network(module), pixels))
    with torch.no_grad():
        expected = module(pixels.permute(2, 0, 1)[None] / 255)[0]
    assert torch.equal(made, expected.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)) and seen == [Progress(1, 1)]


def test_a_network_for_grey_sees_each_colour_by_itself(network: MakeNetwork) -> None:
    made = network(compact(2, channels=1))
    pixels = noise(20, 20)
    pixels[..., 1] = pixels[..., 0]
    larger, _ = drain(enlarge(made, pixels))
    assert torch.equal(larger[..., 0], larger[..., 1]) and not torch.equal(larger[..., 0], larger[..., 2])


class Scarce:
    """Memory for no more than `side` × `side` pixels at once."""

    def __init__(self, made: Network, side: int) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.side = side
        made.module.register_forward_pre_hook(self.check)

    def check(self, module: object, args: tuple) -> None:
        self.seen.append(tuple(args[0].shape[2:]))
        if max(self.seen[-1]) > self.side:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_without_memory_the_windows_grow_smaller(network: MakeNetwork) -> None:
    pixels = noise(150, 400)
    whole, _ = drain(enlarge(network(compact(2)), pixels, 10_000))
    made = network(compact(2))
    scarce = Scarce(made, 110)
    larger, progress = drain(enlarge(made, pixels, 400))
    assert (whole.int() - larger.int()).abs().max() <= 1
    assert [max(shape) for shape in scarce.seen[:2]] == [400, 150] and max(scarce.seen[-1]) <= 100
    assert progress[-1].done == progress[-1].total == len(progress)


def test_without_memory_for_the_smallest_either_it_is_a_sentence(network: MakeNetwork) -> None:
    made = network(compact(2))
    scarce = Scarce(made, 0)
    with pytest.raises(OutOfMemory, match="not enough memory to enlarge this picture"):
        drain(enlarge(made, noise(300, 300), 192))
    assert len(scarce.seen) == 2


def test_another_error_is_not_taken_for_it(network: MakeNetwork) -> None:
    made = network(compact(2))
    made.module.register_forward_pre_hook(lambda module, args: (args[0][:, :2],))
    with pytest.raises(RuntimeError, match="channels"):
        drain(enlarge(made, noise(20, 20)))


def test_what_overflows_in_half_precision_is_run_again_in_single(network: MakeNetwork) -> None:
    made = network(compact(2)).on(CPU, torch.bfloat16)
    seen = []

    def overflow(module: object, args: tuple, output: torch.Tensor) -> torch.Tensor:
        seen.append(output.dtype)
        return output / 0 if output.dtype == torch.bfloat16 else output

    made.module.register_forward_hook(overflow)
    larger, _ = drain(enlarge(made, noise(20, 20)))
    assert larger.float().std() > 1 and seen == [torch.bfloat16, torch.float32]
    assert made.dtype == torch.bfloat16  # the shared module stays as it is


def test_invalid_numbers_in_single_precision_are_a_sentence(network: MakeNetwork) -> None:
    made = network(compact(2))
    made.module.body[0].bias += float("nan")
    with pytest.raises(BadNumbers, match=r"The upscaler toy\.safetensors gave invalid numbers"):
        drain(enlarge(made, noise(20, 20)))


def test_closing_ends_it_at_the_next_window(network: MakeNetwork) -> None:
    made = network(compact(2))
    scarce = Scarce(made, 10_000)
    steps = enlarge(made, noise(400, 400), SMALLEST)
    assert next(steps).total == 49
    steps.close()
    assert len(scarce.seen) == 1 and torch.is_grad_enabled()


def test_windows_fit_into_what_is_free(network: MakeNetwork) -> None:
    made = network(rrdb())
    each = 8 * 4 * 4**2 * 4  # 8 features, four of them at once in the larger picture, in float32
    assert fitting_tile(made, 2 * each * 150**2) == 150
    assert fitting_tile(made, 0) == SMALLEST and fitting_tile(made, 10**12) == 192
