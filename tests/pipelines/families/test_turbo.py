"""Few-step checkpoints told by their names, with settings that a request accepts."""

import pytest

from pipelines.families import turbo
from pipelines.names import SCHEDULERS, find
from pipelines.request import Txt2Img


@pytest.mark.parametrize(
    ("name", "scheduler", "steps"),
    [
        ("sd_xl_turbo_1.0_fp16.safetensors", "euler_a", 4),
        ("sdxl-turbo", "euler_a", 4),
        ("sd-turbo", "euler_a", 4),
        ("sdxl_lightning_8step.safetensors", "euler", 8),
        ("realvisxlV40_v40LightningBakedvae.safetensors", "euler", 4),
        ("Hyper-SDXL-1step.safetensors", "tcd", 1),
        ("DreamShaper8_LCM.safetensors", "lcm", 6),
        ("sdxl-dmd2-4step.safetensors", "lcm", 4),
        ("DreamShaperXL_Turbo_v2.safetensors", "dpmpp_sde", 8),
    ],
)
def test_names(name: str, scheduler: str, steps: int) -> None:
    told = turbo.recommended(name, {})
    assert (told["scheduler"], told["num_inference_steps"]) == (scheduler, steps)


@pytest.mark.parametrize("name", ["sd_xl_base_1.0.safetensors", "hyperrealism_v3", "dalcmix", "v1-5-pruned-1000steps", "sd21.safetensors"])
def test_others_are_left_alone(name: str) -> None:
    assert turbo.recommended(name, {"_class_name": "EulerDiscreteScheduler"}) == {}


def test_a_scheduler_of_their_own_tells_too() -> None:
    assert turbo.recommended("my-model", {"_class_name": "LCMScheduler"})["scheduler"] == "lcm"


def test_all_of_it_can_be_asked_for() -> None:
    for kind in turbo.DISTILLED:
        asked = Txt2Img(**kind.recommended)
        find(SCHEDULERS, asked.scheduler).check(asked.scheduler, asked.schedule, "diffusion")
