"""The page as a whole: bar, column of tabs, stage, and the wires between controls and script.

No handler here makes pictures or even asks the server for something: every event is a piece of JavaScript that hands
control values to the page's script (ui/static) or takes values from it. The script is a client of the HTTP API like
any other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from .controls import Choices, Form
from .layout import Tab, mount
from .tabs import TABS

if TYPE_CHECKING:
    from jobs.studio import Studio

READY = "while (!window.safelight?.form) await new Promise(r => setTimeout(r, 20));"


def build(studio: "Studio", tabs: Sequence[Tab] = ()) -> gr.Blocks:
    """The page over a studio: the built-in tabs, then `tabs` of extensions."""
    models, schedulers = studio.models(), studio.schedulers()
    choices = choices_of(models, schedulers)
    forms: list[Form] = []
    with gr.Blocks(title="Safelight", fill_width=True, analytics_enabled=False) as blocks:
        mount("bar", tag="header")
        with gr.Row(elem_id="sl-room"):
            with gr.Column(elem_id="sl-column", min_width=0):
                with gr.Tabs(elem_id="sl-tabs"):
                    for tab in (*TABS, *tabs):
                        form = Form(tab.name, tab.request, choices, studio.modifiers, first_values(models, tab.request.moves))
                        with gr.Tab(tab.title, id=form.name, elem_id=f"{form.name}-tab"):
                            tab.build(form)
                        forms.append(form)
                mount("dock")
            with gr.Column(elem_id="sl-stage", min_width=0):
                mount("stage")
        for form in forms:
            wire(form)
        mount("fields", fields=described(forms, schedulers))
        restore(blocks, forms)
    return blocks


def first_values(models: Mapping[str, Any], moves: bool = False) -> dict[str, Any]:
    """What the controls show before anything was chosen: the default checkpoint and what it recommends; of a tab that makes clips
    the first checkpoint that can."""
    fitting = [each for each in models["checkpoints"] if not each["broken"] and ("img2vid" in each["tasks"]) == moves]
    chosen = next((each for each in fitting if each["name"] == models["default"]), fitting[0] if fitting else None)
    return {"checkpoint": ""} if chosen is None else {**chosen["recommended"], "checkpoint": chosen["name"]}


def choices_of(models: Mapping[str, Any], schedulers: Mapping[str, Any]) -> Choices:
    """The lists to choose from at the time of building; the page's script refreshes them."""
    lists = {**schedulers, **{kind: models[kind] for kind in ("checkpoints", "vaes", "upscalers")}}
    shared = {kind: [(each["title"] or each["name"], each["name"]) for each in listed] for kind, listed in lists.items()}
    own = {"scheduler": shared["schedulers"], "schedule": shared["schedules"], "checkpoint": shared["checkpoints"]}
    own["continuing"] = shared["checkpoints"]
    return {**shared, **own, "vae": [("Automatic", "automatic"), *shared["vaes"]]}


def described(forms: Sequence[Form], schedulers: Mapping[str, Any]) -> str:
    """The JSON from which the script knows tabs and controls, in the order in which events carry their values."""
    return json.dumps({"tabs": {form.name: form.describe() for form in forms}, "schedulers": schedulers})


def wire(form: Form) -> None:
    """The events of a tab: values out on demand, values in on demand, and every change told to the script."""
    controls = [*form.controls.values()]
    name = json.dumps(form.name)
    quiet: dict[str, Any] = {"fn": None, "trigger_mode": "multiple", "api_visibility": "private"}
    pack = gr.Button(visible="hidden", elem_id=f"{form.name}-pack")
    pack.click(inputs=controls, js=f"(...values) => safelight.form.packed({name}, values)", **quiet)
    fill = gr.Button(visible="hidden", elem_id=f"{form.name}-fill")
    filled = fill.click(outputs=controls, js=f"() => safelight.form.pending({name})", **quiet)
    filled.then(inputs=controls, js=f"(...values) => safelight.form.filled({name}, values)", **quiet)
    told = f"(...values) => window.safelight?.form?.changed({name}, values) ?? []"
    gr.on([control.change for control in controls], inputs=controls, js=told, **quiet)
    if checkpoint := form.controls.get("checkpoint"):
        checkpoint.input(inputs=checkpoint, js=f"value => safelight.form.chosen({name}, value)", **quiet)


def restore(blocks: gr.Blocks, forms: Sequence[Form]) -> None:
    """At load the script gives every control, also of tabs not yet drawn, the value it had."""
    everything = [control for form in forms for control in form.controls.values()]
    given = blocks.load(None, None, everything, js=f"async () => {{ {READY} return safelight.form.restored(); }}", api_visibility="private")
    given.then(fn=None, js="() => safelight.form.settled()", api_visibility="private")
