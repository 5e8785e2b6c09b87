"""The table of schedulers, and what other programs call them."""

import pytest

from pipelines.errors import InvalidRequest, UnknownName
from pipelines.names import AUTOMATIC, CLASSES, SCHEDULERS, SCHEDULES, SamplerSettings, resolve, resolve_schedule
from pipelines.request import Txt2Img
from pipelines.samplers import SAMPLERS

from .parity_words import A1111, A1111_SCHEDULES, COMFY, COMFY_SCHEDULES


def test_rows_stand_in_a1111s_order_under_its_titles():
    assert tuple(spec.title for spec in SCHEDULERS.values())[: len(A1111)] == A1111
    assert len({spec.title for spec in SCHEDULERS.values()}) == len(SCHEDULERS)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rows_name_what_there_is(name):
    spec = SCHEDULERS[name]
    assert (spec.sampler is None) != (spec.cls is None)
    assert spec.sampler is None or spec.sampler in SAMPLERS
    assert spec.automatic in SCHEDULES and set(spec.schedules) < set(SCHEDULES)
    assert set(spec.settings) <= set(SamplerSettings.__dataclass_fields__)
    assert 0 <= spec.eta <= 1
    assert resolve(name) == resolve(spec.title) == resolve(spec.title.upper()) == (name, None)


@pytest.mark.parametrize("name", [*A1111, *COMFY, *(f"{cls}Scheduler" for cls in CLASSES)])
def test_names_of_other_programs_are_understood(name):
    scheduler, schedule = resolve(name)
    assert scheduler in SCHEDULERS
    assert schedule is None or schedule in SCHEDULES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DPM++ 2M Karras", ("dpmpp_2m", "karras")),
        ("DPM++ 2M SDE Heun Exponential", ("dpmpp_2m_sde_heun", "exponential")),
        ("DPM++ SDE Karras", ("dpmpp_sde", "karras")),
        ("dpm++ 2s a karras", ("dpmpp_2s_a", "karras")),
        ("LMS Karras", ("lms", "karras")),
        ("DPM2 a Karras", ("dpm2_a", "karras")),
        ("dpmpp_2m_karras", ("dpmpp_2m", "karras")),
        ("dpmpp_2m_sde_gpu", ("dpmpp_2m_sde", None)),
        ("k_euler_a", ("euler_a", None)),
        ("k_dpmpp_2m_ka", ("dpmpp_2m", "karras")),
        ("k_dpm_2_a_ka", ("dpm2_a", "karras")),
        ("euler_k", ("euler", "karras")),
        ("sample_dpmpp_3m_sde", ("dpmpp_3m_sde", None)),
        ("Euler SGM Uniform", ("euler", "sgm_uniform")),
        ("Euler SGMUniform", ("euler", "sgm_uniform")),
        ("Euler Align Your Steps", ("euler", "align_your_steps")),
        ("  euler   A ", ("euler_a", None)),
        ("EulerAncestralDiscreteScheduler", ("euler_a", None)),
        ("euler_ancestral_cfg_pp", ("euler_a_cfg_pp", None)),
        ("DPM++ 2M CFG++ Karras", ("dpmpp_2m_cfg_pp", "karras")),
        ("UniPC", ("unipc", None)),
        ("plms", ("pndm", None)),
    ],
)
def test_joint_names_fall_into_scheduler_and_schedule(name, expected):
    assert resolve(name) == expected


@pytest.mark.parametrize("name", ["", " ", "Karras", "DPM++ 9M", "Euler a Nonsense", "sa_solver_pece", "k_", "Scheduler", "x" * 5000])
def test_names_of_nothing_are_an_error_that_lists_the_known(name):
    with pytest.raises(UnknownName, match=r"There is no scheduler named .*known: .*euler_a") as caught:
        resolve(name)
    assert caught.value.field == "scheduler"


def test_schedules_are_understood():
    for name, title in SCHEDULES.items():
        assert resolve_schedule(name) == resolve_schedule(title.upper()) == name or title == "DDIM"
    assert all(resolve_schedule(name) in SCHEDULES for name in (*A1111_SCHEDULES, *COMFY_SCHEDULES))
    assert [resolve_schedule(name) for name in ("Uniform", "ddim", "DDIM", "AYS", "sgm_uniform")] == [
        "normal", "ddim_uniform", "ddim_uniform", "align_your_steps", "sgm_uniform",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="There is no schedule named 'Laplace'"):
        resolve_schedule("Laplace")


def test_rows_of_extensions_are_found_and_missing_ones_are_not():
    rows = {"mine": SCHEDULERS["euler"], "other": SCHEDULERS["heun"]}
    assert resolve("MINE Karras", rows) == ("mine", "karras")
    with pytest.raises(UnknownName):
        resolve("PLMS", rows)


def test_a_row_says_what_does_not_go_with_it():
    with pytest.raises(InvalidRequest, match="schedule 'karras' does not go with scheduler 'ddim'; it takes: automatic"):
        SCHEDULERS["ddim"].check("ddim", "karras")
    with pytest.raises(UnknownName):
        SCHEDULERS["euler"].check("euler", "nonsense")
    SCHEDULERS["euler"].check("euler", AUTOMATIC, "flow")


def test_a_request_has_the_settings_and_their_bounds():
    assert SamplerSettings.of(Txt2Img()) == SamplerSettings()
    assert SamplerSettings.of(Txt2Img(eta=0.5, rho=3)).rho == 3
    for wrong in ({"eta": 1.5}, {"s_noise": -1}, {"sigma_min": 5, "sigma_max": 5}, {"rho": -7}, {"eta_noise_seed_delta": -1}):
        with pytest.raises(ValueError, match="|".join(wrong)):
            Txt2Img(**wrong)
