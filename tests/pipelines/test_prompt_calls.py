"""When prompts change on the way: by steps, or by calls of the model for samplers that A1111 says take two of them a step."""

import pytest

from extensions import loader
from pipelines.names import SCHEDULERS
from tests.pipelines.engines import Shelf, components, engine, latents, request, run
from tests.toys import toy_components


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return toy_components(tmp_path_factory.mktemp("toy"))


def heard(parts, **fields):
    """What the denoiser was told in each call, a letter for each conditioning, in the order in which they first came."""
    seen, letters = [], []

    def listen(_, args, kwargs):
        states = kwargs["encoder_hidden_states"]
        index = next((at for at, one in enumerate(seen) if one.shape == states.shape and bool((one == states).all())), None)
        if index is None:
            seen.append(states.clone())
        letters.append("abc"[len(seen) - 1 if index is None else index])

    hook = parts["unet"].register_forward_pre_hook(listen, with_kwargs=True)
    try:
        latents(run(engine(Shelf(toy=components(parts)), modifiers=loader.load().modifiers), request(guidance_scale=1.0, **fields)))
    finally:
        hook.remove()
    return "".join(letters)


@pytest.mark.parametrize(
    ("scheduler", "when", "calls"),
    [
        ("euler", "3", "aaaabb"),
        ("euler", "0.5", "aaaabb"),
        ("heun", "3", "aaaabbbbbbb"),  # eleven calls of six steps: in A1111 the third is in the middle of the second step
        ("heun", "0.5", "aaaaaaabbbb"),
        ("dpm2_a", "4", "aaaaabbbbbb"),
        ("dpmpp_sde", "0.5", "aaaaaaabbbb"),
        ("dpm_fast", "3", "aaaabb"),
        ("seeds_2", "3", "aaaaaaaabbb"),  # A1111 has it not: steps
    ],
)
def test_prompts_change_as_in_a1111(parts, scheduler, when, calls):
    assert heard(parts, scheduler=scheduler, num_inference_steps=6, prompt=f"[cat:dog:{when}]") == calls


def test_a_second_pass_counts_its_own_sampler(parts):
    hires = {"hires": {"scale": 1.0, "strength": 1.0, "num_inference_steps": 4, "scheduler": "heun", "upscaler": "latent"}}
    told = heard(parts, scheduler="euler", num_inference_steps=4, prompt="[cat:dog:1.5]", modifiers=hires)
    assert told == "aaaa" + "aaaaabb"  # above 1 is the second pass


def test_a_refiner_goes_on_counting(parts):
    toy = components(parts)
    shelf = Shelf(toy=toy, other=toy)
    counted = []
    hook = parts["unet"].register_forward_pre_hook(
        lambda _, args, kwargs: counted.append(kwargs["encoder_hidden_states"]), with_kwargs=True
    )
    refined = {"refiner": {"checkpoint": "other", "switch_at": 0.5}}
    asked = request(scheduler="heun", guidance_scale=1.0, num_inference_steps=6, prompt="[cat:dog:0.75]", modifiers=refined)
    latents(run(engine(shelf, modifiers=loader.load().modifiers), asked))
    hook.remove()
    changed = [bool((one != counted[0]).any()) for one in counted]
    assert changed == [False] * 10 + [True]


def test_the_table_has_a1111s_samplers_of_second_order():
    twice = {name for name, spec in SCHEDULERS.items() if spec.calls == 2}
    assert twice == {"heun", "dpm2", "dpm2_a", "dpmpp_2s_a", "dpmpp_sde", "restart"}
