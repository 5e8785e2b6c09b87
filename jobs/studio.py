"""The studio as the page and the API see it: submit, watch, steer, and find what was made."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import media, pictures, recipe
from pipelines.errors import StorageError, StudioError
from pipelines.modifiers import Modifier
from pipelines.names import SchedulerSpec
from pipelines.request import Request

from . import contact, listing
from .bell import Bell
from .board import Board
from .collection import Collection
from .controlling import Controlling
from .conversions import Conversions
from .downloads import Downloads
from .drawings import Drawings
from .fetching import Web, the_hub
from .intake import Intake
from .ledger import Ledger
from .live_mode import LiveMode
from .lock import FileLock
from .memory import ModelMemory
from .mending import open_journal
from .messages import ToWorker, WorkerConfig
from .prompting import Prompting
from .rows import PictureRow
from .store import Store
from .supervisor import Limits, Supervisor
from .thumbnails import Thumbnails
from .views import BlobView, Frame, Gone, ImageView, JobView, NotHere

if TYPE_CHECKING:
    from pipelines.catalog import Catalog

__all__ = ["BlobView", "Frame", "Gone", "ImageView", "JobView", "NotHere", "Studio", "WorkerConfig"]


class Studio:
    """Thread-safe. `start` makes the folders and the journal and lets the engine come up behind the page's back."""

    def __init__(
        self,
        folder: Path,
        catalog: "Catalog",
        schedulers: Mapping[str, SchedulerSpec],
        modifiers: Mapping[str, Modifier],
        worker: WorkerConfig,
        *,
        in_process: bool = False,
        version: str = "",
        notices: Sequence[str] = (),
        limits: Limits | None = None,
        web: Callable[[], Web] = the_hub,
    ) -> None:
        self._store = Store(Path(folder).absolute())
        self._catalog = catalog
        self._schedulers = schedulers
        self._worker = worker
        self._in_process = in_process
        self._version = version
        self._notices = tuple(notices)  # what the program could not bring along, for the page to show
        self._limits = limits
        self._bell = Bell()
        self._thumbnails = Thumbnails(self._store.inner / "thumbnails")
        self.modifiers = modifiers  # the page derives controls from their parameters
        self._intake = Intake(catalog, schedulers, modifiers, self._store.blobs.read)
        self.prompting = Prompting(catalog, self._store.folder)
        self._drawings = Drawings(self._order)
        self.control = Controlling(catalog, self._store, self._drawings.make)
        self._lock = FileLock(self._store.inner / "studio.lock")
        self._notice: str | None = None  # what start-up had to mend
        self._running = False
        self._ledger = Ledger(self._store.inner / "models.sqlite")
        self.collection = Collection(catalog, self._ledger, self._store.inner, self._status, self._is_busy)
        self.memory = ModelMemory(catalog, self._status, self._order, self.collection.default_vaes, self._restarts, self._at_work)
        self.conversions = Conversions(self.collection.path, self._ledger.keep_conversion)
        self.downloads = Downloads(self._ledger, catalog.roots, web, placed=self.collection.note_source)

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns at once; raises StorageError when the outputs folder cannot be used or another studio uses it."""
        self._store.prepare()
        if not self._lock.acquire():
            raise StorageError(f"Another Safelight (process {self._lock.holder()}) is using the outputs folder {self._store.folder}.")
        try:
            journal, self._notice = open_journal(self._store)
            self._board = Board(journal, self._store, self._bell)
            self._board.recover()
            self._store.sweep_latents({row.id for row in journal.in_states("queued", "paused", "failed")})
        except BaseException:
            self._lock.release()
            raise
        told = (self._store.folder, self._in_process, self._limits, self._drawings)
        self._supervisor = Supervisor(self._board, self._bell, self._worker, *told)
        self.live = LiveMode(self._board, self._request, self._supervisor.wake, self.image)
        self._supervisor.start()
        self._running = True
        self.downloads.start()

    def stop(self) -> None:
        """Takes no more jobs, gives the engine up to five seconds, and leaves the journal ready for the next start."""
        if not self._running:
            return
        self._running = False
        self._board.closing = True
        self.downloads.stop()
        self.collection.stop()
        self.conversions.stop()
        try:
            self._supervisor.stop()
            self._board.flush()
            self._board.journal.close()
            self._ledger.close()
        finally:
            self._lock.release()
            self._bell.ring()

    # -- jobs -------------------------------------------------------------------------------------------------------

    def submit(self, draft: Mapping[str, Any], owner: str = "studio") -> JobView:
        """Queues a job; what the draft leaves out is completed. Raises StudioError and then nothing is queued."""
        request = self._request(draft)
        self._store.check_room()
        self._store.keep_lent(request.model_dump(mode="json"))
        job = self._board.submit(request, owner, self._intake.remark(request))
        self._supervisor.wake()
        return self._board.view(job)

    def _request(self, draft: Mapping[str, Any]) -> Request:
        if not self._running:
            raise StudioError("The studio is closing and takes no more jobs.")
        return self.prompting.expanded(self._intake.request(self.collection.with_default_vae(draft)))

    def submit_many(self, draft: Mapping[str, Any], use_matrix: bool, lines: str, images: Sequence[str] = ()) -> list[JobView]:
        """Queues all the jobs that a draft stands for (see `Prompting.many`), or, if one cannot be, none."""
        drafts = self.prompting.many(draft, use_matrix, lines, images)
        for each in drafts:
            self.prompting.expanded(self._intake.request(each))
        return [self.submit(each) for each in drafts]

    def job(self, id: str) -> JobView:
        return self._board.view(id)

    def jobs(self, limit: int = 50, active_only: bool = False) -> list[JobView]:
        """Newest first."""
        return self._board.views(limit, active_only)

    def cancel(self, id: str) -> JobView:
        """Cancels a job that has not ended: at once when it waits, within a step when it runs."""
        return self._ask(id, self._board.cancel(id))

    def pause(self, id: str) -> JobView:
        return self._ask(id, self._board.pause(id))

    def resume(self, id: str) -> JobView:
        return self._ask(id, self._board.resume(id))

    def retry(self, id: str) -> JobView:
        """Queues a failed or cancelled job again; pictures it had saved are kept and not made again."""
        self._board.retry(id)
        return self._ask(id, None)

    def _ask(self, job: str, order: ToWorker | None) -> JobView:
        self._supervisor.wake(order)
        return self._board.view(job)

    # -- watching ---------------------------------------------------------------------------------------------------

    async def frame(self, job: str, after: int, timeout: float) -> Frame | None:
        """The newest frame that is not the one of step `after`, waiting up to `timeout` seconds; Gone when the job has ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            version = self._bell.version
            if (frame := self._board.frame(job, after)) or (left := deadline - loop.time()) <= 0:
                return frame
            await self._bell.wait(version, left, job)

    def events(self, job: str, after: int = 0) -> list[tuple[int, str, dict[str, Any]]]:
        """What the journal tells of a job behind event `after`: (event id, name, data)."""
        self._board.view(job)
        return self._board.journal.events(job, after)

    async def wait_change(self, version: int, timeout: float) -> int:
        """Waits until something has changed since `version`, at most `timeout` seconds; the version now."""
        return await self._bell.wait(version, timeout)

    # -- pictures ---------------------------------------------------------------------------------------------------

    def image(self, id: str) -> ImageView:
        row = self._board.journal.picture(id)
        if row is None:
            raise NotHere("picture", id)
        return self._image(row)

    def images(self, limit: int = 50, before: str | None = None) -> list[ImageView]:
        """Newest first, those made before the picture `before`; files that were deleted are left out."""
        number: int | None = None
        if before is not None:
            row = self._board.journal.picture(before)
            if row is None:
                raise NotHere("picture", before)
            number = row.number
        images = [self._image(row) for row in self._board.journal.pictures(limit, number)]
        return [image for image in images if image.path.is_file()]

    def _image(self, row: PictureRow) -> ImageView:
        return ImageView(row.id, row.job, self._store.folder / row.name, row.seed, row.width, row.height, row.created)

    def picture(self, id: str) -> bytes:
        """The file of a saved picture; raises NotHere."""
        try:
            return self.image(id).path.read_bytes()
        except OSError:
            raise NotHere("picture", id) from None

    def thumbnail(self, id: str) -> Path:
        """A small JPEG of a saved picture, of a clip its first frame; raises NotHere, BadPicture."""
        try:
            return self._thumbnails.of(self.image(id).path)
        except OSError:
            raise NotHere("picture", id) from None

    def grid(self, ids: Sequence[str]) -> bytes:
        """PNG of some pictures on one sheet, with the words in which their prompts differ; raises NotHere, InvalidRequest."""
        rows = [(self.image(id), pictures.open_rgb(media.still(self.picture(id)))) for id in ids[: contact.MOST + 1]]
        asked = [self._board.view(row.job).request for row, _ in rows]
        return contact.sheet([contact.Made(shown, str(one["prompt"]), row.seed) for (row, shown), one in zip(rows, asked, strict=True)])

    def put_blob(self, data: bytes) -> BlobView:
        """Checks and keeps an upload; raises BadPicture or StorageError."""
        info = pictures.check(data)
        return BlobView(self._store.keep_upload(data), info.width, info.height, info.format)

    def blob_path(self, id: str) -> Path:
        return self._store.blobs.path(id)

    @property
    def blobs(self) -> Path:
        """The folder of the uploads, for the engine (`jobs.store.BlobStore` reads it)."""
        return self._store.blobs.folder

    def recipe(self, data: bytes) -> dict[str, Any]:
        """How a picture or a clip was made, as far as it tells; the picture, or the clip's first, is kept as an upload."""
        kept = self.put_blob(media.still(data))
        found = recipe.from_picture(data)
        return {
            "source": found.source,
            "infotext": found.infotext,
            "request": dict(found.draft),
            "unknown": dict(found.unknown),
            "upload": kept.id,
        }

    # -- the engine -----------------------------------------------------------------------------------------------------

    def _order(self, order: ToWorker) -> None:
        if not self._running or self._supervisor.state.engine != "ready":
            raise StudioError("The engine is not ready; try again in a moment.")
        self._supervisor.wake(order)

    def _status(self) -> Mapping[str, Any]:
        return self._supervisor.state.status if self._running else {}

    def _restarts(self) -> int:
        return self._supervisor.state.restarts if self._running else 0

    def _at_work(self) -> int:
        """How many jobs run or wait."""
        return sum(view.state != "paused" for view in self.jobs(500, active_only=True))

    def _is_busy(self) -> bool:
        return self._running and self._board.working()

    # -- what there is ------------------------------------------------------------------------------------------------

    def models(self) -> dict[str, Any]:
        return listing.models(self._catalog, self._status().get("loaded", ()), self.collection.default_vaes(), self.modifiers)

    def schedulers(self) -> dict[str, Any]:
        return listing.schedulers(self._schedulers)

    def health(self) -> dict[str, Any]:
        state = self._supervisor.state
        return {
            "status": "ok",
            "engine": state.engine,
            "device": state.status.get("device"),
            **self.memory.told(),
            "version": self._version,
            "notices": list(self._notices),
            "restarts": state.restarts,
            "message": state.message or self._board.trouble or self._notice,
        }
