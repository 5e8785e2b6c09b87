"""Downloads of models: looked at first, then asked for, watched, cancelled, tried again."""

from fastapi import APIRouter

from . import model_shapes as shapes
from .deps import StudioDep
from .owner import OWNER_ONLY
from .replies import Reply

router = APIRouter(prefix="/downloads", tags=["models"], dependencies=[OWNER_ONLY])


@router.post("/look", response_model=shapes.Offer)
def look(studio: StudioDep, place: shapes.Place) -> Reply:
    """What there is to download at an address, and the room there is for it."""
    offer = studio.downloads.look(place.source)
    sizes = [remote.size for remote in offer.folder]
    folder = {"files": len(sizes), "size_bytes": None if None in sizes else sum(size or 0 for size in sizes)}
    return Reply(
        {
            "source": offer.source,
            "title": offer.title,
            "kind": offer.kind,
            "files": [{"path": each.path, "size_bytes": each.size, "sha256": each.sha256} for each in offer.files],
            "folder": folder if offer.folder else None,
            "unsafe": offer.unsafe,
            "free_bytes": studio.downloads.room(),
        }
    )


@router.post("", status_code=201, response_model=shapes.Download)
def add(studio: StudioDep, wanted: shapes.ToDownload) -> Reply:
    """Queues a download. Only .safetensors files are taken, and what belongs to a whole model: .json and .txt."""
    download = studio.downloads.add(wanted.source, wanted.file, wanted.kind, wanted.name)
    return Reply(download, 201, {"Location": f"downloads/{download['id']}"})


@router.get("", response_model=shapes.Downloads)
def listed(studio: StudioDep) -> Reply:
    return Reply({"downloads": studio.downloads.all()})


@router.get("/{download}", response_model=shapes.Download)
def one(studio: StudioDep, download: str) -> Reply:
    return Reply(studio.downloads.one(download))


@router.delete("/{download}", response_model=shapes.Download)
def cancel(studio: StudioDep, download: str) -> Reply:
    """Ends it and removes what has come; one that has ended is taken off the list."""
    return Reply(studio.downloads.cancel(download))


@router.post("/{download}/retry", response_model=shapes.Download)
def retry(studio: StudioDep, download: str) -> Reply:
    """Goes on with a failed or cancelled download from what is kept of it."""
    return Reply(studio.downloads.retry(download))
