"""Variants of guidance: diffusers' pipelines where it has them, the rows that are asked, and the same picture in any company."""

from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPAGPipeline, StableDiffusionPipeline

from extensions import loader
from pipelines.events import Failed
from pipelines.guidance import Answers, Interval, Threshold
from pipelines.perturbed import Identity, layers_of, perturbing
from tests.pipelines.engines import Shelf, components, engine, latents, of, request, run
from tests.toys import toy_components

MODIFIERS = loader.load().modifiers
NAMES = ("guidance_rescale", "guidance_interval", "pag", "dynamic_thresholding")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return toy_components(tmp_path_factory.mktemp("toy"))


def ours(parts, *requests, **options):
    events = run(engine(Shelf(toy=components(parts)), modifiers=MODIFIERS, **options), *requests)
    return [latents(events, str(job))[0] for job in range(len(requests))]


def asked(**fields):
    return request(**{"scheduler": "ddim", "negative_prompt": "dog", **fields})


def theirs(parts, wanted, cls=StableDiffusionPipeline, layers=None, **told):
    pipeline = cls(**parts, **({} if layers is None else {"pag_applied_layers": layers}))
    pipeline.set_progress_bar_config(disable=True)
    before = dict(parts["unet"].attn_processors)
    try:
        return pipeline(
            wanted.prompt, negative_prompt=wanted.negative_prompt, width=64, height=64, num_inference_steps=wanted.num_inference_steps,
            guidance_scale=wanted.guidance_scale, generator=torch.Generator().manual_seed(wanted.seed), output_type="latent", **told,
        ).images  # fmt: skip
    finally:
        parts["unet"].set_attn_processor(before)


def rows_of(parts, wanted):
    """How many rows each forward pass of the denoiser had."""
    counted = []
    hook = parts["unet"].register_forward_pre_hook(lambda _, given: counted.append(len(given[0])))
    try:
        ours(parts, wanted)
    finally:
        hook.remove()
    return counted


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_rescale_is_diffusers_to_the_bit(parts, share):
    wanted = asked(guidance_scale=12.0, modifiers={"guidance_rescale": {"guidance_rescale": share}})
    assert torch.equal(ours(parts, wanted)[0], theirs(parts, wanted, guidance_rescale=share))


@pytest.mark.parametrize("told", [{"pag_scale": 3.0}, {"pag_scale": 2.0, "pag_adaptive_scale": 0.004}])
@pytest.mark.parametrize("scale", [5.0, 1.0])
@pytest.mark.parametrize("part", ["mid", "up"])
def test_perturbed_attention_is_diffusers_to_the_bit(parts, told, scale, part):
    wanted = asked(guidance_scale=scale, modifiers={"pag": {**told, "pag_applied_layers": part}})
    layers = [{"mid": "mid_block", "up": "up_blocks"}[part]]
    assert torch.equal(ours(parts, wanted)[0], theirs(parts, wanted, StableDiffusionPAGPipeline, layers, **told))
    assert rows_of(parts, wanted) == [3 if scale > 1 else 2] * 4


def test_perturbed_attention_and_rescale_together_are_diffusers(parts):
    wanted = asked(modifiers={"guidance_rescale": {"guidance_rescale": 0.5}, "pag": {"pag_scale": 3.0}})
    expected = theirs(parts, wanted, StableDiffusionPAGPipeline, ["mid_block"], pag_scale=3.0, guidance_rescale=0.5)
    assert torch.equal(ours(parts, wanted)[0], expected)


def test_no_attention_stays_perturbed(parts):
    before = dict(parts["unet"].attn_processors)
    with pytest.raises(RuntimeError, match="in between"), perturbing(parts["unet"], "all", [False, True]):
        assert sum(isinstance(each, Identity) for each in parts["unet"].attn_processors.values()) == len(layers_of(parts["unet"], "all"))
        raise RuntimeError("in between")
    assert parts["unet"].attn_processors == before


def test_a_checkpoint_without_such_attention_is_told(parts):
    wanted = asked(modifiers={"pag": {"pag_applied_layers": "mid"}})
    toy = components(parts)
    bare = replace(toy, modules={**toy.modules, "unet": BareUNet(parts["unet"])})
    (failed,) = of(run(engine(Shelf(toy=bare), modifiers=MODIFIERS), wanted), Failed)
    assert failed.message == "pag perturbs the self-attention of UNets, and this checkpoint has none in the part 'mid'."


class BareUNet(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.config, self.dtype = unet.config, unet.dtype


@pytest.mark.parametrize(
    ("begin", "end", "rows"),
    [(0.0, 1.0, [2] * 10), (0.2, 0.8, [1, 1, 1, 2, 2, 2, 2, 2, 1, 1]), (0.0, 0.3, [2, 2, 2, *[1] * 7]), (0.95, 1.0, [1] * 10)],
)
def test_where_guidance_is_off_the_negative_costs_nothing(parts, begin, end, rows):
    interval = {"guidance_interval": {"begin": begin, "end": end}}
    assert rows_of(parts, asked(num_inference_steps=10, modifiers=interval)) == rows


def test_an_interval_is_guidance_inside_and_none_outside(parts):
    whole, none, late = (
        ours(parts, asked(num_inference_steps=10, **fields))[0]
        for fields in (
            {"modifiers": {"guidance_interval": {"begin": 0.0, "end": 1.0}}},
            {"modifiers": {"guidance_interval": {"begin": 0.95, "end": 1.0}}},
            {"modifiers": {"guidance_interval": {"begin": 0.5, "end": 1.0}}},
        )
    )
    assert torch.equal(whole, ours(parts, asked(num_inference_steps=10))[0])
    torch.testing.assert_close(none, ours(parts, asked(num_inference_steps=10, guidance_scale=1.0))[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(late, whole, atol=1e-3) and not torch.allclose(late, none, atol=1e-3)


def test_several_prompts_without_a_negative_pull_from_the_first():
    first, other = torch.ones(1, 4, 2, 2), torch.full((1, 4, 2, 2), 3.0)
    answers = Answers((first, other), (1.0, 0.5), 7.0, torch.tensor(1.0), lambda output: output)
    assert answers.guided(7.0).eq(2).all()  # A1111: the first, and half of the way to the other


def test_an_interval_counts_over_both_passes_of_a_refiner(parts):
    toy = components(parts)
    shelf = Shelf(toy=toy, other=replace(toy, checkpoint="other"))
    counted = []
    hook = parts["unet"].register_forward_pre_hook(lambda _, given: counted.append(len(given[0])))
    refined = {"refiner": {"checkpoint": "other", "switch_at": 0.5}, "guidance_interval": {"begin": 0.0, "end": 0.8}}
    run(engine(shelf, modifiers=MODIFIERS), asked(num_inference_steps=10, modifiers=refined))
    hook.remove()
    assert counted == [2] * 8 + [1] * 2


def by_hand(guided, mimicked, percentile):
    """Dynamic Thresholding's "MEAN" and "AD", channel by channel, in numbers."""
    result = guided.clone()
    for channel in range(guided.shape[1]):
        wide, narrow = guided[0, channel].double(), mimicked[0, channel].double()
        wide, narrow = wide - wide.mean(), narrow - narrow.mean()
        reach, wanted = torch.quantile(wide.abs(), percentile), narrow.abs().max()
        most = max(reach, wanted)
        result[0, channel] = wide.clamp(-most, most) / most * wanted + guided[0, channel].double().mean()
    return result


@pytest.mark.parametrize("percentile", [1.0, 0.95])
def test_thresholding_gives_the_range_of_the_weaker_guidance(percentile):
    generator = torch.Generator().manual_seed(0)
    x, negative, positive = (torch.randn(1, 4, 16, 16, generator=generator) for _ in range(3))
    clean = {"noise": lambda output: x - 3.0 * output, "picture": lambda output: output}
    for estimate in clean.values():
        answers = Answers((positive,), (1.0,), 20.0, torch.tensor(500.0), estimate, negative)
        changed = Threshold(7.0, percentile).changed(answers.guided(20.0), answers)
        expected = by_hand(estimate(answers.guided(20.0)), estimate(answers.guided(7.0)), percentile)
        torch.testing.assert_close(estimate(changed), expected, atol=1e-4, rtol=1e-4)
    same = Threshold(20.0).changed(answers.guided(20.0), answers)
    torch.testing.assert_close(same, answers.guided(20.0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpmpp_2m", "unipc", "euler_a"])
def test_thresholding_calms_strong_guidance(parts, scheduler):
    strong, calm = (
        ours(parts, asked(scheduler=scheduler, guidance_scale=25.0, modifiers=modifiers))[0]
        for modifiers in ({}, {"dynamic_thresholding": {"mimic_scale": 4.0}})
    )
    assert torch.isfinite(calm).all() and calm.std() < strong.std()


def test_bounds_are_told(parts):
    (failed,) = of(
        run(engine(Shelf(toy=components(parts)), modifiers=MODIFIERS), asked(modifiers={"guidance_interval": {"begin": 0.9}})), Failed
    )
    assert "begin must be below end, 0.8; got 0.9" in failed.message
    assert Interval(0.0, 1.0).guides(0.0) and not Interval(0.1, 1.0).guides(0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_the_same_beside_strangers(parts, name):
    both = {name: {}}
    jobs = [asked(num_inference_steps=steps, seed=seed, modifiers=both, scheduler=sampler) for steps, seed, sampler in
            ((4, 1, "ddim"), (6, 2, "euler"), (5, 3, "heun"))]  # fmt: skip
    together = ours(parts, *jobs, max_batch=8)
    for job, made in zip(jobs, together, strict=True):
        alone = ours(parts, job)[0]
        assert (made - alone).abs().max() < 1e-3 * alone.std()
    singly = ours(parts, *jobs, max_batch=0)  # one row after another
    for made, other in zip(singly, together, strict=True):
        assert (made - other).abs().max() < 1e-3 * other.std()
