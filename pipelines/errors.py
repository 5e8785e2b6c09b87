"""Every error a user may meet, each one clear sentence that names the field, the rule and the value.

* StudioError
  - InvalidRequest     a field breaks its rule
  - UnknownName        no checkpoint, scheduler, job... of that name
  - BadPicture         an uploaded or referenced picture cannot be used
  - CheckpointError    a model file is broken or of no known kind
  - OutOfMemory        the device has not enough memory, also after every fallback
  - BadNumbers         the model gave NaN or infinite values
  - StorageError       the disk is full or a folder cannot be written
"""

from collections.abc import Iterable


def shortened(value: object) -> str:
    """A value as it is written in Python, cut where that is long; the length told of a text is its own."""
    try:
        written = repr(value)
    except (RecursionError, ValueError):  # the latter for numbers of thousands of digits
        return "a value too large to be shown"
    if len(written) <= 60:
        return written
    return f"{written[:40]}… ({len(value if isinstance(value, str) else written):,} characters)"


def printable(text: str) -> str:
    """What files are called or say about themselves may hold line breaks, text direction marks and bytes that are no text;
    what is shown and sent as JSON may not."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


class StudioError(Exception):
    """Shown to the user as it reads. Anything else is a bug."""


class InvalidRequest(StudioError):
    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownName(InvalidRequest):
    """`kind` is also the field (`scheduler`, `checkpoint`, ...) unless `field` names it; the known names are listed."""

    def __init__(self, kind: str, name: object, known: Iterable[str], field: str | None = None) -> None:
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(f"There is no {kind} named {str(name)[:80]!r}; known: {listed}.", field or kind)


class BadPicture(InvalidRequest):
    pass


class CheckpointError(StudioError):
    """Its sentence names files and their content, so it is made printable."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class OutOfMemory(StudioError):
    pass


class BadNumbers(StudioError):
    pass


class StorageError(StudioError):
    pass
