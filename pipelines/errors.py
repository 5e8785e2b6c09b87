"""Every error a user may meet, each one clear sentence that names the field, the rule and the value.

* StudioError
  - InvalidRequest     a field breaks its rule
  - UnknownName        no checkpoint, scheduler, job... of that name
  - BadPicture         an uploaded or referenced picture cannot be used
  - CheckpointError    a model file is broken or of no known kind
  - OutOfMemory        the device has not enough memory, also after every fallback
  - BadNumbers         the model gave NaN or infinite values
  - StorageError       the disk is full or a folder cannot be written
  - EngineLost         the engine process died more than once under a job
"""

from collections.abc import Iterable


class StudioError(Exception):
    """Shown to the user as it reads. Anything else is a bug."""


class InvalidRequest(StudioError):
    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownName(InvalidRequest):
    """`kind` is the field (`scheduler`, `checkpoint`, ...); the known names are listed."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(f"There is no {kind} named {str(name)[:80]!r}; known: {listed}.", kind)


class BadPicture(InvalidRequest):
    pass


class CheckpointError(StudioError):
    pass


class OutOfMemory(StudioError):
    pass


class BadNumbers(StudioError):
    pass


class StorageError(StudioError):
    pass


class EngineLost(StudioError):
    pass
