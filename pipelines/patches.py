"""The modifiers in force: what all active jobs share, entered with the first of them and left with the last."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .modifiers import Around, Modifier

if TYPE_CHECKING:
    from .catalog import Catalog
    from .components import Components

log = logging.getLogger(__name__)


class Patches:
    """`around` is what is put around predictions, the innermost first; `notices` is what modifiers had to say to the user."""

    def __init__(self, blobs: Callable[[str], bytes]) -> None:
        self.around: list[Around] = []
        self.notices: list[str] = []
        self._blobs = blobs
        self._entered = ExitStack()

    def enter(self, modifier: Modifier, components: "Components", params: Any, catalog: "Catalog") -> None:
        """Raises `StudioError`; what was entered before is left by `close` all the same."""
        self.notices += self._entered.enter_context(modifier.modify(components, params, catalog)) or ()
        around = self._entered.enter_context(modifier.around(components, params, catalog, self._blobs))
        if around is not None:
            self.around.append(around)

    def close(self) -> None:
        """Leaves them all, the last entered first, also after one of them cannot be left cleanly."""
        self.around.clear()
        self.notices.clear()
        try:
            self._entered.close()
        except Exception:
            log.exception("A modifier could not be left cleanly")
