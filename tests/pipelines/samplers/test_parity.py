"""Every sampler and schedule on offer against its reference, and docs/samplers.md against what is measured."""

import pytest

from pipelines.errors import UnknownName
from pipelines.names import SCHEDULERS, SCHEDULES, resolve

from . import parity, parity_schedules
from .parity_page import PAGE, render
from .parity_words import ELSEWHERE, LOOSE, NOT_THE_SAME, REMARKS

AT_MOST = 1e-4


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ELSEWHERE])
def test_a_sampler_is_as_near_to_its_reference_as_it_is_said(name: str) -> None:
    row = next(row for row in parity.rows() if row.name == name)
    measured = [value for value in (row.exact, row.toy) if value is not None]
    assert measured, "nothing was measured"
    assert max(measured) <= LOOSE.get(name, (AT_MOST, ""))[0]
    if row.reference.startswith(("k-diffusion", "the formula")) and name not in (*LOOSE, *REMARKS):
        assert row.exact <= 1e-11


@pytest.mark.parametrize(("name", "reference", "difference"), parity_schedules.rows())
def test_a_schedule_is_its_formula(name: str, reference: str, difference: float) -> None:
    assert difference <= AT_MOST, reference
    assert name in SCHEDULES


def test_what_is_said_of_other_names_is_so() -> None:
    for program, name, taken, _ in NOT_THE_SAME:
        if taken is not None and " " not in name:
            assert resolve(name)[0] == taken, (program, name)
    with pytest.raises(UnknownName):
        resolve("sa_solver_pece")


def test_the_page_says_what_is_measured() -> None:
    written = "python -m tests.pipelines.samplers.parity writes it anew"
    assert PAGE.read_text(encoding="utf-8") == render(), written
