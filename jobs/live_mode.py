"""Live mode: jobs that follow what is painted and typed; each new one takes the place of the last, and some are kept."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pipelines import events as ev
from pipelines import pictures
from pipelines.errors import InvalidRequest, StorageError, StudioError
from pipelines.request import Request

from .board import Board
from .files import sentence
from .messages import ToWorker
from .proofs import Proof
from .store import SavedPicture, picture_id
from .views import BlobView, Gone, ImageView, JobView

OWNER = "studio"  # of what is kept
SPARED = 60.0  # seconds that an upload for a live job stays though no job names it (yet)


class LiveMode:
    """`complete` makes a request of a draft, `wake` gives an order to the engine or tells that there is something to do, `image`
    finds a picture of the gallery."""

    def __init__(
        self,
        board: Board,
        complete: Callable[[Mapping[str, Any]], Request],
        wake: Callable[[ToWorker | None], None],
        image: Callable[[str], ImageView],
    ) -> None:
        self._board = board
        self._complete = complete
        self._wake = wake
        self.image = image

    def put_blob(self, data: bytes) -> BlobView:
        """An upload for a live job, which is not kept longer than that; raises BadPicture or StorageError."""
        info = pictures.check(data)
        try:
            blob = self._board.store.blobs.lend(data)
        except OSError as error:
            raise StorageError(f"{sentence(error, self._board.store.folder)}; the picture was not taken.") from error
        return BlobView(blob, info.width, info.height, info.format)

    def submit(self, draft: Mapping[str, Any], session: str) -> JobView:
        """Asks for one picture in the place of what the session asked for before and has not got yet.

        It is in no list and on no disk. Raises StudioError, and then what was asked for before goes on.
        """
        request = self._complete(draft)
        if request.num_images_per_prompt != 1 or request.moves:
            raise InvalidRequest("A live job makes one picture: num_images_per_prompt is 1, and clips are not made live.")
        job = uuid.uuid4().hex
        for order in self._board.proofs.add(job, session, request):
            self._wake(order)
        self._wake(None)
        self._board.store.blobs.sweep_lent(self._board.proofs.blobs(), SPARED)
        return self._board.view(job)

    async def picture(self, job: str, timeout: float) -> ev.Decoded | None:
        """The picture once it is made; None after `timeout` seconds. Raises NotHere, StudioError with why there will be none,
        Gone when the job was cancelled."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            version = self._board.bell.version
            proof = self._board.proofs.find(job)
            if proof.ended:
                return self._result(proof)
            if (left := deadline - loop.time()) <= 0:
                return None
            await self._board.bell.wait(version, left, job)

    def _result(self, proof: Proof) -> ev.Decoded:
        if proof.row.error:
            raise StudioError(proof.row.error)
        if proof.made is None or proof.row.state != "finished":
            raise Gone("This job was cancelled.")
        return proof.made

    def keep(self, job: str) -> JobView:
        """Makes a usual job of a finished live one: in the lists and on the disk. One that is kept already stays so."""
        board = self._board
        if job not in board.proofs:
            return board.view(job)
        proof = board.proofs.find(job)
        made = proof.made
        if made is None or proof.row.state != "finished":
            raise InvalidRequest("Only a finished picture can be kept.")
        board.store.keep_lent(proof.row.request)
        with board.asked(job):
            if job in board.proofs:  # and was not kept by someone else meanwhile
                # From here on it is safe: a job that is queued and whose picture is not found is made again, to the same pixels.
                board.journal.add(job, OWNER, proof.row.request, proof.row.total)
                board.proofs.forget(job)
                self._settle(proof, made)
        self._wake(None)
        return board.view(job)

    def _settle(self, proof: Proof, made: ev.Decoded) -> None:
        store, journal, job = self._board.store, self._board.journal, proof.row.id
        try:
            name = store.save_picture(job, 0, made.seed, made.data, made.media_type)
        except OSError:  # it stays queued, and who makes it waits for room
            return
        journal.add_picture(job, SavedPicture(picture_id(name), name, job[:8], 0, made.seed, made.width, made.height, time.time()))
        journal.move(job, "finished", "finished", step=proof.row.total)
