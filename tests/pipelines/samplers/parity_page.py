"""docs/samplers.md, made of what parity.py and parity_schedules.py measure."""

from pathlib import Path

from pipelines import names
from pipelines.names import SCHEDULERS, resolve_schedule

from . import parity, parity_schedules
from .parity_words import A1111_SCHEDULES, COMFY_SCHEDULES, LOOSE, NOT_THE_SAME, PAPERS, REMARKS

PAGE = Path(__file__).parents[3] / "docs" / "samplers.md"
BOUNDS = (1e-11, 1e-5, 1e-4, 1e-3, 1e-2)
"""Few enough that no machine's rounding leads from one to the next."""

SINGLE = 1e-6
"""What single precision may round, however equal two results were here."""

HEAD = """# Samplers and schedules

This page is written by a test (`python -m tests.pipelines.samplers.parity` writes it anew), which fails when a number or a name in
it is no longer true. Our samplers are small coroutines in `pipelines/samplers/`; for some names one adapter runs diffusers' class.

Each sampler takes the same noise and the same levels as its reference, 20 steps of them on every schedule that goes with it.
*Exact* is the largest relative difference (L2) of the final latents on a denoiser whose answer is known in closed form, in double
precision; *single* the same in single precision on a small Stable Diffusion with random weights, for diffusers' classes on the exact
denoiser. All bounds are checked at every run of the tests. Where k-diffusion has no such sampler, the reference is its paper's formula,
written out plainly in `tests/pipelines/samplers/formulas.py`: an independent reading, but not an independent program.
"""


def bound(value: float | None, least: float = 0.0, same_code: bool = False) -> str:
    """The order of magnitude, such as "≤ 1e-11"; 0 is "equal" only where the same code ran twice, as other machines may round.
    No bound is below `least`."""
    if value is None:
        return ""
    if value == 0 and same_code:
        return "equal"
    return f"≤ {next(bound for bound in BOUNDS if max(value, least) <= bound):.0e}".replace("e-0", "e-")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _paper(key: str) -> str:
    paper = PAPERS[key]
    return f"[{paper[0]}](https://arxiv.org/abs/{paper[1]})" if paper else "none"


def _sampler(row: parity.Row) -> tuple[str, ...]:
    spec = row.spec
    what = f"`{spec.cls.rpartition(':')[2]}`" if spec.cls else "own"
    comfy = ", ".join(f"`{name}`" for name in row.comfy)
    flow = "yes" if "flow" in spec.kinds else "no"
    calls = "as it needs" if row.name == "dpm_adaptive" else f"{row.calls:.0f}"
    paper = _paper(spec.sampler or spec.cls or "")
    return (
        f"{spec.title} (`{row.name}`)",
        row.a1111,
        comfy,
        what,
        paper,
        calls,
        row.fresh,
        flow,
        row.reference,
        bound(row.exact),
        bound(row.toy, SINGLE, bool(spec.cls)),
    )


def samplers() -> str:
    head = ("name", "A1111", "ComfyUI", "what", "paper", "calls a step", "fresh noise", "flow", "reference", "exact", "single")
    return table(head, [_sampler(row) for row in parity.rows()])


def schedules() -> str:
    rows = []
    for name, said, worst in parity_schedules.rows():
        a1111 = ", ".join(theirs for theirs in A1111_SCHEDULES if theirs != "Automatic" and resolve_schedule(theirs) == name)
        comfy = "beta" if name == "beta_timesteps" else ", ".join(t for t in COMFY_SCHEDULES if resolve_schedule(t) == name != "beta")
        flow = "yes" if name in names.FLOW_SCHEDULES else "no"
        rows.append((f"{names.SCHEDULES[name]} (`{name}`)", a1111, comfy and f"`{comfy}`", flow, said, bound(worst)))
    return table(("name", "A1111", "ComfyUI", "flow", "reference", "difference"), rows)


def others() -> str:
    rows = [(program, f"`{name}`" if "…" not in name and " " not in name else name, f"`{taken}`" if taken else "refused", why)
            for program, name, taken, why in NOT_THE_SAME]  # fmt: skip
    return table(("program", "name", "here", "why"), rows)


def remarks() -> str:
    loose = [f"- {SCHEDULERS[name].title}: {why}." for name, (_, why) in LOOSE.items()]
    return "\n".join([*loose, *(f"- {SCHEDULERS[name].title}: {why}." for name, why in REMARKS.items())]) + "\n"


def render() -> str:
    return f"""{HEAD}
## Samplers

{samplers()}
*equal* is equal to the last bit. Second-order samplers ask once less in the last step. *Brownian*: more steps refine the same picture.

What the numbers do not say:

{remarks()}
On flow checkpoints (Stable Diffusion 3) Euler and Heun are compared with diffusers' `FlowMatchEulerDiscreteScheduler` and
`FlowMatchHeunDiscreteScheduler`, DPM++ 2M and RES multistep with `DPMSolverMultistepScheduler` over flow levels
(`tests/pipelines/samplers/test_flow.py`, 1e-5); the others are held to their order and to the law of what they sample.

**CFG++** guides the clean estimate alone. Those samplers want a guidance of 1 to 2, and the job says so when it is far higher; DDIM CFG++
divides the guidance by 12.5, as A1111 does, and takes the usual numbers. With them the negative prompt counts at guidance 1, too.

## Schedules

The largest relative difference of a level, over 5, 10, 20 and 50 steps (Turbo: 5 and 10), on the noise levels of Stable Diffusion 1.

{schedules()}
diffusers interpolates sigma between the trained levels where k-diffusion, A1111 and we interpolate its logarithm.

## Not the same, or not here

{others()}"""
