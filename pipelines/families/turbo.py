"""Checkpoints distilled to a few steps: told by their names, since nothing in their weights tells, and what suits each kind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STEPS = re.compile(r"(?<![0-9.])([1-9]|1[0-6])[ _-]?steps?(?![a-z])")


@dataclass(frozen=True)
class Distilled:
    """`mark` is looked for in the name in lower case; `recommended` are fields of a request."""

    mark: str
    recommended: Mapping[str, Any]


def _few(scheduler: str, schedule: str, steps: int, guidance_scale: float = 1.0) -> dict[str, Any]:
    return {"scheduler": scheduler, "schedule": schedule, "num_inference_steps": steps, "guidance_scale": guidance_scale}


DISTILLED: tuple[Distilled, ...] = (  # asked in this order
    Distilled(r"(?<![a-z])sd[ _-]?(xl)?[ _-]?turbo", {**_few("euler_a", "simple", 4), "width": 512, "height": 512}),
    Distilled(r"lightning", _few("euler", "simple", 4)),
    Distilled(r"(?<![a-z])hyper([ _-]?sd|(?![a-z]))", _few("tcd", "automatic", 8)),  # not "hyperrealistic"
    Distilled(r"(?<![a-z])dmd2?(?![a-z])", _few("lcm", "simple", 4)),
    Distilled(r"(?<![a-z])lcm(?![a-z])", _few("lcm", "lcm", 6, 1.5)),
    Distilled(r"turbo", _few("dpmpp_sde", "karras", 8, 2.0)),  # merges of SDXL Turbo, at SDXL's own size
)
"""Papers: ADD (arXiv 2311.17042), SDXL-Lightning (2402.13929), Hyper-SD (2404.13686), DMD2 (2405.14867), LCM (2310.04378)."""

_BY_SCHEDULER = {"LCMScheduler": "lcm", "TCDScheduler": "hyper"}


def recommended(name: str, scheduler_config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a request that suit the checkpoint called `name`, where it is one of the few-step kind; else nothing.

    A number of steps in the name ("4step") counts. A folder's scheduler tells of the kinds that have their own.
    """
    plain = name.casefold()
    words = [plain, _BY_SCHEDULER.get(str(scheduler_config.get("_class_name")), "")]
    for kind in DISTILLED:
        if any(re.search(kind.mark, word) for word in words):
            told = _STEPS.search(plain)
            return {**kind.recommended, **({"num_inference_steps": int(told[1])} if told else {})}
    return {}
