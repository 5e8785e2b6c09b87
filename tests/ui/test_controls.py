"""Controls follow from fields: a field added to a request appears, with its wording and bounds, and nothing is lost."""

from typing import Literal

import gradio as gr
import pytest
from pydantic import BaseModel, Field

from pipelines.modifiers import Modifier
from pipelines.parameters import placed
from pipelines.request import TASKS, Request, Txt2Img
from ui.controls import Form, bounds, component

CHOICES = {
    "scheduler": [("Euler", "euler")],
    "schedule": [("Automatic", "automatic")],
    "checkpoint": [("Toy", "toy")],
    "checkpoints": [("Toy", "toy")],
    "vae": [],
}


class Params(BaseModel):
    after: str = Field("", title="After", description="Who follows.", json_schema_extra={"choices": "checkpoints", "empty": "Nobody"})
    amount: float = Field(0.5, ge=0, le=1, title="Amount", description="How much.")
    mode: Literal["soft", "hard_light"] = "soft"


class Tint(Modifier):
    name = "tint"
    title = "Tint"
    Params = Params


class WithTiling(Txt2Img):
    tiling: bool = placed(False, "size", "Tiling", "Edges meet.")
    churn: float = placed(0.0, "nowhere in particular", "Churn", "Noise put back.", ge=0, le=2)


def form(request: type[Request] = Txt2Img, modifiers: dict[str, Tint] | None = None, **start: object) -> Form:
    return Form("tab", request, CHOICES, modifiers or {}, start)


def built(made: Form) -> Form:
    with gr.Blocks():
        made.place_rest()
        made.place_modifiers()
    return made


@pytest.mark.parametrize("request_type", TASKS.values())
def test_every_field_but_pictures_gets_a_control_with_its_words(request_type: type[Request]) -> None:
    made = built(form(request_type))
    for name, field in request_type.model_fields.items():
        if name in ("task", "image", "mask_image", "template", "modifiers", *request_type.unused):
            assert name not in made.controls
            continue
        control = made.controls[name]
        assert control.label == field.title
        assert (control.info or control.placeholder) == field.description
        assert control.elem_id == f"tab-{name}"


def test_bounds_become_the_ends_of_the_slider() -> None:
    made = built(form())
    width, steps, guidance = (made.controls[name] for name in ("width", "num_inference_steps", "guidance_scale"))
    assert (width.minimum, width.maximum, width.step) == (64, 2048, 8)
    assert (steps.minimum, steps.maximum, steps.step, steps.precision) == (1, 150, 1, 0)
    assert (guidance.minimum, guidance.maximum) == (0, 30)
    assert isinstance(made.controls["seed"], gr.Number)


def test_an_open_end_is_not_offered() -> None:
    strength = built(form(TASKS["img2img"])).controls["strength"]
    assert 0 < strength.minimum <= strength.step
    assert strength.maximum == 1


def test_a_new_field_appears_where_it_is_placed_and_one_without_a_known_place_is_not_lost() -> None:
    made = form(WithTiling)
    with gr.Blocks():
        made.place("size")
        assert list(made.controls) == ["width", "height", "tiling"]
        made.place_rest()
    assert isinstance(made.controls["tiling"], gr.Checkbox)
    assert isinstance(made.controls["churn"], gr.Slider)
    assert made.places_left() == []


def test_first_values_come_from_the_start_and_then_from_the_field() -> None:
    made = built(form(Txt2Img, num_inference_steps=33, checkpoint="toy"))
    assert made.controls["num_inference_steps"].value == 33
    assert made.controls["checkpoint"].value == "toy"
    assert made.controls["guidance_scale"].value == Txt2Img.model_fields["guidance_scale"].default


def test_a_modifier_brings_a_switch_and_its_parameters() -> None:
    made = built(form(Txt2Img, {"tint": Tint()}))
    assert isinstance(made.controls["modifiers.tint"], gr.Checkbox)
    assert isinstance(made.controls["modifiers.tint.amount"], gr.Slider)
    mode = made.controls["modifiers.tint.mode"]
    assert isinstance(mode, gr.Dropdown)
    assert [value for _, value in mode.choices] == ["soft", "hard_light"]
    after = made.controls["modifiers.tint.after"]
    assert isinstance(after, gr.Dropdown) and after.choices == [("Nobody", ""), ("Toy", "toy")] and after.value == ""
    assert made.describe()["lists"] == {"modifiers.tint.after": {"from": "checkpoints", "empty": "Nobody"}}
    assert made.describe()["elements"]["modifiers.tint.mode"] == "tab-modifiers-tint-mode"


def test_a_value_that_is_not_on_offer_is_still_shown() -> None:
    control = built(form(Txt2Img, checkpoint="gone")).controls["checkpoint"]
    assert ("gone", "gone") in control.choices
    assert control.value == "gone"


def test_a_type_without_a_control_is_an_error_that_names_it() -> None:
    class Odd(BaseModel):
        table: dict[str, int] = {}

    with pytest.raises(TypeError, match="table"):
        component("table", Odd.model_fields["table"], {})


def test_bounds_reads_what_pydantic_keeps() -> None:
    assert bounds(Txt2Img.model_fields["seed"]) == {"ge": -1, "lt": 2**32}


def test_a_number_that_stands_for_none_and_values_with_names_are_told() -> None:
    made = built(form())
    described = made.describe()
    assert described["unset"]["seed"] == {"value": -1, "word": "new each time"}
    assert described["unset"]["sigma_max"] == {"value": 0, "word": "the model's own"}
    assert made.controls["noise_source"].choices == [("CPU", "cpu"), ("GPU", "gpu"), ("NV", "nv")]
    assert made.controls["timestep_spacing"].choices[0] == ("Automatic", "automatic")
