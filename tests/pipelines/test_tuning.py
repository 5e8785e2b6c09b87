"""Compiled blocks and VAEs in other numbers: the same pictures, whatever changes the weights meanwhile, and nothing held on to."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from extensions.builtin.lora import Lora
from extensions.builtin.perturbed_attention import PerturbedAttention
from pipelines import recipe
from pipelines.catalog import Catalog
from pipelines.events import Decoded
from pipelines.manager import PipelineManager
from pipelines.tuning import Tuning
from tests.pipelines.adapters import files
from tests.pipelines.engines import engine, latents, of, request, run
from tests.toys import save_toy

MODIFIERS = {each.name: each for each in (Lora(), PerturbedAttention())}
CAPTURED = Tuning(compiled=True, backend="eager")
"""Blocks are captured and called as compiled ones are, without the compiler."""


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toys")
    for seed, name in enumerate("ab"):
        save_toy(root / "checkpoints" / name, seed)
    return root


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    settings = torch._dynamo.config
    before = settings.recompile_limit, settings.suppress_errors
    yield
    settings.recompile_limit, settings.suppress_errors = before
    torch._dynamo.reset()


def made(manager: PipelineManager, **fields: object) -> torch.Tensor:
    return latents(run(engine(manager, modifiers=MODIFIERS, previews=False), request(**({"checkpoint": "a"} | fields))))[0]


def test_compiled_blocks_make_the_same_pictures(toys: Path) -> None:
    plain, compiled = (PipelineManager(Catalog([toys]), tuning=tuning) for tuning in (Tuning(), CAPTURED))
    asked = [{}, {"width": 128, "prompt": "a dog " * 60}, {"modifiers": {"pag": {"pag_scale": 2.0}}}, {"checkpoint": "b"}, {}]
    for fields in asked:
        torch.testing.assert_close(made(compiled, **fields), made(plain, **fields), rtol=1e-4, atol=1e-4)
    with compiled.acquire("a") as parts:
        blocks = [each for each in parts.denoiser.modules() if each._compiled_call_impl is not None]
        assert {type(each).__name__ for each in blocks} == {"BasicTransformerBlock"}


def test_the_recipe_says_how_it_was_computed(toys: Path) -> None:
    told = []
    for tuning in (Tuning(), Tuning(compiled=True, backend="eager", vae_dtype=torch.bfloat16)):
        events = run(engine(PipelineManager(Catalog([toys]), tuning=tuning), previews=False), request(checkpoint="a"))
        found = recipe.from_picture(of(events, Decoded)[0].data).recipe
        assert found is not None
        told.append((found.dtype, found.vae_dtype, found.compiled))
    assert told == [("float32", "float32", False), ("float32", "bfloat16", True)]


def test_a_lora_reaches_compiled_blocks_and_leaves_the_weights_as_they_were(toys: Path, tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    roots = [toys, tmp_path]
    plain, compiled = (PipelineManager(Catalog(roots), tuning=tuning) for tuning in (Tuning(), CAPTURED))
    with compiled.acquire("a") as parts:
        denoiser = parts.denoiser
        files.save(tmp_path / "loras" / "loud.safetensors", files.kohya({"lora_unet": denoiser}))
        before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in denoiser.state_dict().items()}
    alone = made(compiled)
    lora = {"prompt": "a cat <lora:loud:1>"}
    torch.testing.assert_close(made(compiled, **lora), made(plain, **lora), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(made(compiled, **lora), alone, atol=1e-2)
    assert torch.equal(made(compiled), alone)
    after = {name: (tensor.data_ptr(), tensor) for name, tensor in denoiser.state_dict().items()}
    assert all(before[name][0] == place and torch.equal(before[name][1], tensor) for name, (place, tensor) in after.items())


def test_what_was_compiled_goes_when_it_is_unloaded(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]), tuning=CAPTURED)
    made(manager)
    with manager.acquire("a") as parts:
        gone = [weakref.ref(parts.denoiser), weakref.ref(next(parts.denoiser.parameters()))]
    del parts
    manager.unload("a")
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_a_vae_in_numbers_of_its_own_gives_the_picture_to_a_level(toys: Path) -> None:
    plain, short = (PipelineManager(Catalog([toys]), tuning=tuning) for tuning in (Tuning(), Tuning(vae_dtype=torch.bfloat16)))
    with plain.acquire("a") as one, short.acquire("a") as other:
        assert next(other.vae.parameters()).dtype == torch.bfloat16 and next(other.denoiser.parameters()).dtype == torch.float32
        z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        wanted, found = one.vae.decode(z).sample, other.vae.decode(z.bfloat16()).sample
    assert (wanted.clamp(-1, 1) - found.float().clamp(-1, 1)).abs().mean() * 127.5 < 1
    assert torch.equal(made(plain), made(short))
