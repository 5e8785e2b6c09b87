"""Finds extensions and collects what they offer: built in, installed as packages, or dropped into this folder."""

import importlib
import importlib.metadata
import importlib.util
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from pipelines.families import FAMILIES, Family
from pipelines.modifiers import Modifier
from pipelines.names import SCHEDULERS, SchedulerSpec

from . import builtin, hookspecs

if TYPE_CHECKING:
    from ui.layout import Tab

GROUP = "safelight"  # the entry point group of installed extensions
FOLDER = Path(__file__).parent
Value = TypeVar("Value")
log = logging.getLogger(__name__)


class NoFolder(LookupError):
    """An extension is asked for that is not there: nobody's program broke."""


@dataclass(frozen=True)
class Extensions:
    """What the built-in rooms and all extensions offer together. `broken` says which were left out and why."""

    families: Mapping[str, Family]
    schedulers: Mapping[str, SchedulerSpec]
    modifiers: Mapping[str, Modifier]
    tabs: Sequence["Tab"]
    broken: Mapping[str, str]


def load(enabled: Sequence[str] = (), folder: Path = FOLDER) -> Extensions:
    """Load the built-in extensions, installed ones, and those folders of `folder` that are named in `enabled`.

    An extension that cannot be imported, offers what exists already or breaks in a hook is left out whole and reported.
    """
    offered: dict[str, Any] = {"families": dict(FAMILIES), "schedulers": dict(SCHEDULERS), "modifiers": {}, "tabs": []}
    broken: dict[str, str] = {}
    for name, module in _candidates(enabled, folder):
        try:
            offered = _joined(offered, _offer(name, module()))
        except NoFolder as error:
            broken[name] = f"Extension {name} was left out: {error}."
            log.warning("%s", broken[name])
        except Exception as error:  # whatever a stranger's module raises must not stop the studio
            log.warning("Extension %s was left out", name, exc_info=True)
            broken[name] = f"Extension {name} was left out: {type(error).__name__}: {error}"
    return Extensions(**offered, broken=broken)


def _candidates(enabled: Sequence[str], folder: Path) -> Iterable[tuple[str, Callable[[], ModuleType]]]:
    for info in pkgutil.iter_modules(builtin.__path__, f"{builtin.__name__}."):
        yield info.name, lambda name=info.name: importlib.import_module(name)
    for entry in importlib.metadata.entry_points(group=GROUP):
        yield entry.name, entry.load
    for name in enabled:
        yield name, lambda name=name: _dropped(name, folder)


def _dropped(name: str, folder: Path) -> ModuleType:
    file = folder / name / "__init__.py"
    if Path(name).name != name or name == "builtin" or not file.is_file():
        known = ", ".join(sorted(path.parent.name for path in folder.glob("*/__init__.py") if path.parent.name != "builtin"))
        raise NoFolder(f"there is no folder of that name with an __init__.py in {folder.name}/; there are: {known or 'none'}")
    spec = importlib.util.spec_from_file_location(f"extensions.{name}", file, submodule_search_locations=[str(file.parent)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _offer(name: str, module: ModuleType) -> dict[str, Any]:
    """What one module returns from its hooks; a manager of its own, so that one breaking leaves the others alone."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name)
    manager.check_pending()
    hook = manager.hook
    return {
        "families": _merged(hook.families()),
        "schedulers": _merged(hook.schedulers()),
        "modifiers": {modifier.name: modifier for offered in hook.modifiers() for modifier in offered},
        "tabs": [tab for offered in hook.tabs() for tab in offered],
    }


def _merged(parts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    for part in parts:
        merged.update(part)
    return merged


def _joined(there: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    for kind in ("families", "schedulers", "modifiers"):
        if taken := there[kind].keys() & new[kind].keys():
            raise ValueError(f"{kind} offered twice: {', '.join(sorted(taken))}")
    return {kind: there[kind] + new[kind] if kind == "tabs" else {**there[kind], **new[kind]} for kind in there}
