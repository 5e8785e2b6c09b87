"""All that an extension can do. Each hook is called once, at start, and returns values.

Write a module with functions of these names marked `@hookimpl`. It is imported in the page process too, so it imports
torch only where it runs. A hook is added here when two real extensions need it.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

from pipelines.families import Family
from pipelines.modifiers import Modifier
from pipelines.names import SchedulerSpec

if TYPE_CHECKING:  # the engine's process loads extensions too, and has no use for Gradio
    from ui.layout import Tab

hookspec = pluggy.HookspecMarker("safelight")
hookimpl = pluggy.HookimplMarker("safelight")


@hookspec
def families() -> Mapping[str, Family]:
    """Model families to recognise, by name."""


@hookspec
def schedulers() -> Mapping[str, SchedulerSpec]:
    """Schedulers to offer, by name."""


@hookspec
def modifiers() -> Iterable[Modifier]:
    """What a request may switch on besides its own fields."""


@hookspec
def tabs() -> Iterable["Tab"]:
    """Tabs to add to the page after the built-in ones."""
