"""Downloads of models: one at a time, in the order asked for, going on after breaks and restarts of the program."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipelines import library
from pipelines.errors import InvalidRequest, StorageError, StudioError, UnknownName, shortened

from . import hub
from .download import ENDED, Download, Progress, Transfer, as_json, free_place, place
from .fetching import Remote, Stopped, Web
from .filenames import safe_stem, safe_weights
from .files import sentence
from .hub import Offer
from .ledger import Ledger
from .views import NotHere

log = logging.getLogger("safelight.downloads")

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds between tries while the network is away
_MOST = 100  # that wait, and that are remembered
_LEAVE = 5.0  # seconds for the thread to end


class Downloads:
    """Thread-safe. `roots` are the folders of models; downloads go to the first. `web` is made at the first use; `placed` is told
    the path and the source of each model that has come."""

    def __init__(
        self,
        ledger: Ledger,
        roots: Sequence[Path],
        web: Callable[[], Web],
        placed: Callable[[Path, str], object] = lambda path, source: None,
        waits: Sequence[float] = WAITS,
    ) -> None:
        self._ledger = ledger
        self._root = Path(roots[0]) if roots else Path("models")
        self._make_web = web
        self._placed = placed
        self._waits = tuple(waits)
        self._web: Web | None = None
        self._changed = threading.Condition()
        self._all: dict[str, Download] = {}
        self._progress: dict[str, Progress] = {}
        self._stop_one = threading.Event()  # ends the download under way
        self._closing = False
        self._thread: threading.Thread | None = None

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Goes on with what an earlier run of the program left unfinished."""
        for record in self._ledger.downloads():
            with suppress(TypeError, KeyError):  # of another version of the program
                download = Download.of(record)
                self._all[download.id] = replace(download, state="queued") if download.state == "running" else download
        with self._changed:
            self._work()

    def stop(self) -> None:
        """Breaks off within a second or two; the next start goes on from there."""
        with self._changed:
            self._closing = True
            self._stop_one.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_LEAVE)

    @property
    def web(self) -> Web:
        with self._changed:
            self._web = self._web or self._make_web()
            return self._web

    # -- what is asked ------------------------------------------------------------------------------------------------

    def look(self, source: str) -> Offer:
        """What there is at an address. Raises InvalidRequest, FetchError."""
        return hub.look(hub.read(source, self.web.endpoint), self.web)

    def room(self) -> int:
        """Bytes free where downloads go."""
        try:
            return self.web.free(library.existing(self._root))
        except OSError as error:
            raise StorageError(f"{sentence(error, self._root)}.") from None

    def add(self, source: str, file: str | None = None, kind: str = library.AUTOMATIC, name: str | None = None) -> dict[str, Any]:
        """Queues a file of what is offered at `source` (or, without `file`, the whole model); `name` is what to call it here.
        Where `kind` is automatic, the weights tell.

        Raises InvalidRequest, FetchError, and StorageError when there is not the room.
        """
        if kind != library.AUTOMATIC and kind not in library.KINDS:
            raise UnknownName("kind", kind, (library.AUTOMATIC, *library.KINDS))
        download = self._planned(self.look(source), file, kind, name)
        if download.kind != library.AUTOMATIC:
            free_place(download, download.kind)
        if download.size is not None:
            self.web.require_room(library.existing(self._root), download.size, download.name)
        with self._changed:
            waiting = [each for each in self._all.values() if each.state not in ENDED]
            if len(waiting) >= _MOST:
                raise InvalidRequest(f"At most {_MOST} downloads may wait.", "source")
            if any((each.name, each.kind) == (download.name, download.kind) for each in waiting):
                raise InvalidRequest(f"{download.name} is being downloaded already.", "source")
            self._keep(download)
            self._work()
            return self._json(download)

    def _planned(self, offer: Offer, file: str | None, kind: str, name: str | None) -> Download:
        remotes = _chosen(offer, file)
        is_folder = file is None and bool(offer.folder)
        if is_folder:
            kind, called = offer.folder_kind, safe_stem(name or offer.title.rpartition("/")[2])
        else:
            given = (name or remotes[0].path).removesuffix(".safetensors")
            called = safe_weights(f"{given}.safetensors")
        return Download(secrets.token_hex(8), offer.source, kind, called, str(self._root), remotes, is_folder, created=time.time())

    def all(self) -> list[dict[str, Any]]:
        """Newest first, as JSON."""
        with self._changed:
            return [self._json(download) for download in reversed(self._all.values())]

    def one(self, id: str) -> dict[str, Any]:
        """Raises NotHere."""
        with self._changed:
            return self._json(self._find(id))

    def cancel(self, id: str) -> dict[str, Any]:
        """Ends a download and drops what has come of it; one that has ended is taken off the list."""
        with self._changed:
            download = self._find(id)
            if download.state in ENDED:
                self._forget(id)
            else:
                was, download = download.state, replace(download, state="cancelled")
                self._keep(download)
                if was == "running":
                    self._stop_one.set()  # its thread drops what has come
                    return self._json(download)
            download.drop()
            return self._json(download)

    def retry(self, id: str) -> dict[str, Any]:
        """Queues a failed or cancelled download again; it goes on from what is kept."""
        with self._changed:
            download = self._find(id)
            if download.state not in ("failed", "cancelled"):
                raise InvalidRequest(f"A download that is {download.state} cannot be tried again.", "id")
            self._keep(replace(download, state="queued", error=None))
            self._work()
            return self._json(self._all[id])

    def _find(self, id: str) -> Download:
        if id not in self._all:
            raise NotHere("download", id)
        return self._all[id]

    def _json(self, download: Download) -> dict[str, Any]:
        return as_json(download, self._progress.get(download.id))

    def _keep(self, download: Download) -> None:
        self._all[download.id] = download
        self._ledger.keep_download(download.id, asdict(download))
        ended = [id for id, each in self._all.items() if each.state in ENDED]
        for id in ended[: max(0, len(ended) - _MOST)]:
            self._forget(id)

    def _forget(self, id: str) -> None:
        download = self._all.pop(id)
        self._progress.pop(id, None)
        self._ledger.forget_download(id)
        if download.state != "cancelled":
            download.drop()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Wakes the thread, or makes it where there is something to do; the lock is held."""
        if self._thread is None and self._next() is not None:
            self._thread = threading.Thread(target=self._run, name="downloads", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._next() is not None)
                if self._closing or (download := self._next()) is None:
                    return
                self._stop_one.clear()
                download = replace(download, state="running")
                self._keep(download)
                progress = self._progress[download.id] = Progress(download.on_disk(), download.size)
            changes = self._transfer(download, progress)
            with self._changed:
                self._settle(download, changes)

    def _next(self) -> Download | None:
        return next((each for each in self._all.values() if each.state == "queued"), None)

    def _transfer(self, download: Download, progress: Progress) -> dict[str, Any]:
        """What becomes of it; nothing where it was stopped."""

        def noted(validator: str | None) -> None:
            with self._changed:
                if (known := self._all.get(download.id)) and known.state == "running":
                    self._keep(replace(known, validator=validator))

        try:
            digest = Transfer(download, self.web, self._stop_one, progress, self._waits, noted).run()
            kind, placed = place(download)
        except Stopped:
            return {}
        except StudioError as error:
            return {"state": "failed", "error": str(error)}
        except OSError as error:
            return {"state": "failed", "error": f"{sentence(error, Path(download.root))}; it can go on when that is mended."}
        except Exception:
            log.exception("Download of %s failed", download.name)
            return {"state": "failed", "error": "Something went wrong inside the studio; its log in the terminal says what."}
        with suppress(StudioError):  # it is there all the same
            self._placed(Path(download.root) / placed, download.source)
        return {"state": "finished", "kind": kind, "placed": placed, "sha256": digest, "error": None}

    def _settle(self, download: Download, changes: dict[str, Any]) -> None:
        known = self._all.get(download.id)
        self._progress.pop(download.id, None)
        if known is not None and changes and (known.state == "running" or changes["state"] == "finished"):
            self._keep(replace(known, **changes))
        elif known is None or known.state == "cancelled":
            download.drop()


def _chosen(offer: Offer, file: str | None) -> tuple[Remote, ...]:
    """The files to fetch: the named one, else the whole model, else the only one there is."""
    if file is None and offer.folder:
        return offer.folder
    named = {remote.path: remote for remote in offer.files}
    if file is None and len(named) == 1:
        return offer.files
    if file is None:
        raise InvalidRequest(f"file must say which one of: {', '.join(named)[:400]}.", "file")
    if file not in named:
        raise InvalidRequest(f"{offer.title} has no file {shortened(file)} that can be downloaded.", "file")
    return (named[file],)
