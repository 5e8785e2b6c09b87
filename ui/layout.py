"""The page's walls: what a tab is, and how its controls are grouped by how often they are used."""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gradio as gr

from pipelines.request import Request

from .controls import Form


@dataclass(frozen=True)
class Tab:
    """One tab: its title, the request it makes, and what it puts in the column.

    `build` is called inside the tab with the form to place controls of; most call `column`. Titles differ.
    """

    title: str
    request: type[Request]
    build: Callable[[Form], None]

    @property
    def name(self) -> str:
        """The title as it stands in ids."""
        return re.sub(r"\W+", "-", self.title.lower())


FOLDS = {
    "repaint": "Mask",
    "source": "From the picture",
    "tiles": "Tiles",
    "variation": "Variation",
    "words": "Prompt language",
    "clip": "Clip",
    "sampler": "Sampler",
    "noise": "Noise",
    "model": "Model",
}


def column(form: Form, source: Callable[[Form], None] | None = None) -> None:
    """The usual column: prompt, picture to start from if `source` shows one, shape, seed, then the folded groups; of a task that
    has no use for words, without them."""
    if form.has("prompt"):
        with gr.Column(elem_classes="sl-prompt", min_width=0):
            form.place("prompt")
            mount("prompt-tools", form, field="prompt")
        with fold(form, "negative", "Negative prompt"):
            form.place("negative")
            mount("prompt-tools", form, field="negative_prompt")
    if source is not None:
        source(form)
    with gr.Column(elem_classes="sl-shape", min_width=0):
        mount("shapes", form)
        with gr.Row(elem_classes="sl-pair"):
            form.place("size")
    with gr.Column(elem_classes="sl-front", min_width=0):
        form.place("front")
    with gr.Row(elem_classes="sl-seed"):
        form.place("seed")
        mount("seed-tools", form)
    for place, title in FOLDS.items():
        if not form.has(place):
            continue
        with fold(form, place, title):
            form.place(place)
            if place == "words":
                mount("many", form)
    for name, title in form.mounted():
        with fold(form, name, title):
            mount(name, form)
    if form.has_modifiers():
        with fold(form, "modifiers", "Modifiers"):
            form.place_modifiers()
    if form.places_left():
        with fold(form, "more", "More"):
            form.place_rest()


@contextmanager
def fold(form: Form, name: str, title: str) -> Iterator[None]:
    """A group that is folded until it is wanted.

    Not Gradio's accordion: that one draws its controls only when it is opened, and what somebody types into a control in the
    instant in which it is drawn is lost.
    """
    place = f"{form.name}-fold-{name}"
    attributes = f'type="button" aria-expanded="false" aria-controls="{place}-body" data-fold="{name}" data-tab="{form.name}"'
    head = f'<button class="sl-fold-head" {attributes}><span class="sl-fold-title">{html.escape(title)}</span></button>'
    with gr.Column(elem_id=place, elem_classes="sl-fold", min_width=0):
        gr.HTML(head, apply_default_css=False, elem_classes="sl-mount")
        with gr.Column(elem_id=f"{place}-body", elem_classes="sl-fold-body", min_width=0):
            yield


def mount(place: str, form: Form | None = None, *, tag: str = "div", **data: str) -> None:
    """A place that the page's script fills; it finds `data` in the element's data attributes."""
    known = {"mount": place, **({"tab": form.name} if form else {}), **data}
    attributes = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in known.items())
    gr.HTML(f"<{tag} {attributes}></{tag}>", apply_default_css=False, elem_classes=f"sl-mount sl-mount-{place}")
