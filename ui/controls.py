"""Fields to Gradio controls: one function for each kind of field. The only file that knows both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from gradio.components import Component
from pydantic.fields import FieldInfo

from pipelines.modifiers import Modifier
from pipelines.request import Request

Choices = Mapping[str, Sequence[tuple[str, str]]]
"""What a field may be chosen from: (title, value) pairs by the field's name."""

EMPTY_CHOICE = "The same"  # for a field that is empty where it follows another
SLIDER_END = 4096  # a wider range has too many values for a slider: it gets a number box


class Form:
    """The controls of one tab's requests, placed group by group.

    `name` is the tab's; `start` are first values that differ from the fields' defaults. `controls` are in order of
    placing; a modifier's are called `modifiers.<name>` (is it on) and `modifiers.<name>.<parameter>`. Fields whose place
    is `picture` have no control: the page sends their blob; nor have those of `recipe`, which only tell how a picture was made.
    """

    def __init__(
        self, name: str, request: type[Request], choices: Choices, modifiers: Mapping[str, Modifier], start: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.request = request
        self.controls: dict[str, Component] = {}
        self._places: dict[str, str] = {}  # by control: where it stands, which is also the name of its fold
        self._lists: dict[str, dict[str, Any]] = {}  # by control: the list it shares with others, and whether it may be empty
        self._unset: dict[str, dict[str, Any]] = {}  # by control: the number that stands for none, and the word for it
        self._choices = choices
        self._modifiers = (
            {} if "modifiers" in request.unused else {name: each for name, each in modifiers.items() if _goes_with(each, request)}
        )
        self._start = start

    def place(self, *places: str) -> None:
        """Render here every field of these places, in the order of their declaration."""
        for name, field in self.request.model_fields.items():
            if place_of(field) in places and name not in self.controls and name not in self.request.unused:
                self._add(name, field, place_of(field))

    def place_rest(self) -> None:
        """Render every field that no place took, so that a new parameter is never lost."""
        self.place(*self.places_left())

    def places_left(self) -> list[str]:
        """The places that still hold a field without a control."""
        special = {"", "picture", "modifiers", "recipe"}
        taken = {*self.controls, *self.request.unused}
        left = (place_of(field) for name, field in self.request.model_fields.items() if name not in taken)
        return list(dict.fromkeys(place for place in left if place not in special))

    def place_modifiers(self) -> None:
        """A switch for each modifier, and under it the controls of its parameters."""
        for name, modifier in self._modifiers.items():
            if not modifier.shown:
                continue
            key = f"modifiers.{name}"
            switch = gr.Checkbox(False, label=modifier.title, elem_id=self.element(key), elem_classes="sl-switch")
            self.controls[key] = switch
            self._places[key] = "modifiers"
            with gr.Column(elem_classes="sl-params", min_width=0, elem_id=f"{self.element(key)}-params"):
                for field_name, field in modifier.Params.model_fields.items():
                    self._add(f"{key}.{field_name}", field, "modifiers")

    def mounted(self) -> list[tuple[str, str]]:
        """(name, title) of the modifiers whose settings the page's script shows."""
        return [(name, modifier.title) for name, modifier in self._modifiers.items() if modifier.mounted]

    def has_modifiers(self) -> bool:
        return any(modifier.shown for modifier in self._modifiers.values())

    def has(self, place: str) -> bool:
        """Whether there is still a field to be shown at this place."""
        return place in self.places_left()

    def element(self, key: str) -> str:
        """The id of a control's element in the page."""
        return f"{self.name}-{key.replace('.', '-')}"

    def describe(self) -> dict[str, Any]:
        """What the page's script must know: the controls in order, with their first values."""
        return {
            "task": self.request.model_fields["task"].default,
            "keys": list(self.controls),
            "titles": {key: control.label for key, control in self.controls.items()},
            "defaults": {key: control.value for key, control in self.controls.items()},
            "elements": {key: self.element(key) for key in self.controls},
            "places": {key: self._places[key] for key in self.controls},
            "lists": self._lists,
            "unset": self._unset,
            "texts": [key for key, control in self.controls.items() if isinstance(control, gr.Textbox)],
            "takesPicture": self.request.takes_picture,
            "takesMask": self.request.takes_mask,
            "fitsPicture": self.request.fits_picture,
            "moves": self.request.moves,
        }

    def _add(self, key: str, field: FieldInfo, place: str) -> None:
        name = key.rpartition(".")[2]
        value = self._start.get(key, None if field.is_required() else field.get_default(call_default_factory=True))
        shared = shared_list(field)
        choices = self._choices.get(shared or key)
        if shared:
            empty = str(field.json_schema_extra.get("empty", EMPTY_CHOICE)) if field.default == "" else None
            self._lists[key] = {"from": shared, "empty": empty}
            choices = [*([(empty, "")] if empty else []), *(choices or [])]
        if isinstance(field.json_schema_extra, dict) and "unset" in field.json_schema_extra:
            self._unset[key] = {"value": field.json_schema_extra["unset"], "word": field.json_schema_extra["word"]}
        self.controls[key] = component(name, field, value, choices, elem_id=self.element(key))
        self._places[key] = place


def _goes_with(modifier: Modifier, request: type[Request]) -> bool:
    return modifier.tasks is None or request.model_fields["task"].default in modifier.tasks


def place_of(field: FieldInfo) -> str:
    """Where a tab shows the field; a field with wording but without a place goes with `more`."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "place" in extra:
        return str(extra["place"])
    return "more" if field.title else ""


def shared_list(field: FieldInfo) -> str | None:
    """The list that a field says it is chosen from, such as "checkpoints"; its name among the choices."""
    extra = field.json_schema_extra
    return str(extra["choices"]) if isinstance(extra, dict) and "choices" in extra else None


def component(name: str, field: FieldInfo, value: Any, choices: Sequence[tuple[str, str]] | None = None, **more: Any) -> Component:
    """The control that suits a field: a list if it has choices, else by its type; `TypeError` if none is known."""
    words = {"label": field.title or name.replace("_", " ").capitalize(), "info": field.description, "interactive": True, **more}
    if get_origin(field.annotation) is Literal:
        titles = field.json_schema_extra.get("titles", {}) if isinstance(field.json_schema_extra, dict) else {}
        choices = [(titles.get(each, str(each).replace("_", " ").capitalize()), each) for each in get_args(field.annotation)]
    if choices is not None:
        return choice(value, choices, words)
    kind = KINDS.get(field.annotation)
    if kind is None:
        raise TypeError(f"no control is known for {name}, a {field.annotation}")
    return kind(field, value, words)


def choice(value: Any, choices: Sequence[tuple[str, str]], words: Mapping[str, Any]) -> Component:
    known = {each for _, each in choices}
    listed = [*choices] if value in known or not value else [*choices, (str(value), value)]
    return gr.Dropdown(listed, value=value if value in known else value or None, filterable=len(listed) > 12, **words)


def text(field: FieldInfo, value: Any, words: Mapping[str, Any]) -> Component:
    """The help sentence stands in the empty box, so that what one writes most has the room."""
    return gr.Textbox(
        value,
        lines=3,
        max_lines=9,
        placeholder=words["info"],
        html_attributes=gr.InputHTMLAttributes(spellcheck=False),
        **{**words, "info": None},
    )


def number(field: FieldInfo, value: Any, words: Mapping[str, Any]) -> Component:
    """A slider where both ends are near, else a number box; whole numbers stay whole."""
    limits = bounds(field)
    whole = field.annotation is int
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    if low is not None and high is not None and high <= SLIDER_END:
        step = limits.get("multiple_of", 1 if whole else 0.01 if high - low <= 5 else 0.1)
        least = low + step if "gt" in limits else low
        return gr.Slider(least, high, value, step=step, precision=0 if whole else 2, buttons=[], **words)
    return gr.Number(value, precision=0 if whole else None, **words)


def switch(field: FieldInfo, value: Any, words: Mapping[str, Any]) -> Component:
    return gr.Checkbox(bool(value), elem_classes="sl-switch", **words)


def bounds(field: FieldInfo) -> dict[str, float]:
    """The field's `ge`, `gt`, `le`, `lt` and `multiple_of`, those that it has."""
    names = ("ge", "gt", "le", "lt", "multiple_of")
    return {name: getattr(rule, name) for rule in field.metadata for name in names if getattr(rule, name, None) is not None}


KINDS: Mapping[Any, Callable[[FieldInfo, Any, Mapping[str, Any]], Component]] = {str: text, int: number, float: number, bool: switch}
