"""Noise, variations, overrides and variants of guidance in A1111's text: written and read under the names that other programs use."""

import pytest

from pipelines.infotext import SOFTWARE, parse, write
from pipelines.request import Txt2Img
from pipelines.request import parse as parse_request

FIRST = "fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"


def draft(text):
    return parse(text).draft


def there_and_back(request):
    text = write(request, request.seed)
    parsed = parse(text)
    assert parse_request(parsed.draft) == request and parsed.unknown == {"Version": SOFTWARE}
    return text


def test_a_variation_has_a1111s_names_and_places():
    varied = {"variation_seed": 9, "variation_strength": 0.3, "seed_resize_from_width": 512, "seed_resize_from_height": 768}
    text = there_and_back(Txt2Img(seed=1, checkpoint="fox", noise_source="nv", eta_noise_seed_delta=31337, **varied))
    assert "Variation seed: 9, Variation seed strength: 0.3, Seed resize from: 512x768, ENSD: 31337, RNG: NV" in text
    assert "Safelight: " not in text


def test_overrides_of_the_checkpoint():
    text = there_and_back(
        Txt2Img(seed=1, checkpoint="fox", timestep_spacing="trailing", prediction_type="v_prediction", rescale_betas_zero_snr=True)
    )
    assert "Timestep spacing: trailing, Prediction type: v_prediction, Noise Schedule: Zero Terminal SNR" in text
    assert "Safelight: " not in text


VARIANTS = {
    "guidance_rescale": ({"guidance_rescale": 0.5}, "CFG Rescale: 0.5"),
    "guidance_interval": ({"begin": 0.25, "end": 0.9}, "Skip Early CFG: 0.25, Guidance until: 0.9"),
    "pag": ({"pag_scale": 3.0}, "PAG Active: True, PAG Scale: 3"),
    "dynamic_thresholding": (
        {"mimic_scale": 6.0, "threshold_percentile": 0.98, "separate_feature_channels": True},
        "Dynamic thresholding enabled: True, Mimic scale: 6, Threshold percentile: 98, Separate Feature Channels: True",
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_guidance(name):
    settings, words = VARIANTS[name]
    text = there_and_back(Txt2Img(seed=1, checkpoint="fox", modifiers={name: settings}))
    assert words in text and "Safelight: " not in text


def test_what_the_names_cannot_say_follows():
    there_and_back(
        Txt2Img(seed=1, checkpoint="fox", modifiers={"pag": {"pag_scale": 2.0, "pag_applied_layers": "down"}, "guidance_rescale": {}})
    )


def test_a1111_begins_late_and_stays():
    assert draft(f"{FIRST}, Skip Early CFG: 0.1")["modifiers"] == {"guidance_interval": {"begin": 0.1, "end": 1.0}}
    assert draft(f"{FIRST}, PAG Active: False, PAG Scale: 3").get("modifiers") is None
    parsed = parse(f"{FIRST}, CFG Rescale: much, PAG Scale: 4")
    assert parsed.draft["modifiers"] == {"pag": {"pag_scale": 4.0}} and parsed.unknown == {"CFG Rescale": "much"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Version: v1.10.1", "nv"),  # a GPU drew, which A1111 leaves out
        ("Version: f2.0.1v1.10.1-previous-1", "nv"),
        ("RNG: CPU, Version: v1.10.1", "cpu"),
        ("RNG: GPU, Version: v1.10.1", "gpu"),
        ("RNG: NV", "nv"),
        ("Model: fox", "cpu"),
        ("RNG: Dice, Version: 3", "cpu"),
    ],
)
def test_who_drew_the_noise(said, meant):
    assert draft(f"{FIRST}, {said}").get("noise_source", "cpu") == meant


def test_unknown_values_are_kept_aside():
    parsed = parse(f"{FIRST}, RNG: Dice, Noise Schedule: Odd, Prediction type: w, Seed resize from: 511x9000, Variation seed strength: 2")
    assert parsed.unknown == {
        "RNG": "Dice", "Noise Schedule": "Odd", "Prediction type": "w", "Variation seed strength": "2",
        "Seed_resize_from_width": "511", "Seed_resize_from_height": "9000",
    }  # fmt: skip
