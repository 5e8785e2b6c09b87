"""Files are written whole or not at all, found again by their names, and refused in one sentence where they cannot be written."""

import errno
import os
import sys
from pathlib import Path

import pytest

from jobs import files
from jobs.files import write_atomic
from jobs.lock import FileLock
from jobs.store import BlobStore, Store, picture_id
from jobs.views import NotHere
from pipelines.errors import StorageError

from .scripted import png

JOB = "0123456789abcdef" * 2


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "outputs")
    store.prepare()
    return store


@pytest.mark.parametrize("step", ("fsync", "replace"))
def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a" / "picture.png"
    write_atomic(path, b"old")
    monkeypatch.setattr(files.os, step, full)
    with pytest.raises(OSError):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]


def test_a_picture_is_found_again_by_its_name(store: Store):
    names = [store.save_picture(JOB, index, 40 + index, png(index, 16, 24)) for index in range(2)]
    store.save_picture("f" * 32, 0, 7, png(7))
    found = list(store.pictures(JOB))
    assert [(one.picture, one.seed, one.width, one.height, one.name) for one in found] == [
        (0, 40, 16, 24, names[0]),
        (1, 41, 16, 24, names[1]),
    ]
    assert [one.id for one in found] == [picture_id(name) for name in names]
    assert len(list(store.pictures())) == 3
    assert list(store.pictures(since=found[0].created + 200_000)) == []


def test_files_that_are_no_pictures_of_ours_are_passed_over(store: Store):
    name = store.save_picture(JOB, 0, 1, b"no png")
    (store.folder / name).with_name("holiday.png").write_bytes(png(1))
    assert list(store.pictures()) == []


def test_start_up_sweeps_what_crashes_left(store: Store):
    name = store.save_picture(JOB, 0, 1, png(1))
    parts = [(store.folder / name).with_name("x.png.12345678.part"), store.latents / "y.part", store.blobs.folder / "ab" / "z.part"]
    for part in parts:
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
    store.prepare()
    assert not any(part.exists() for part in parts)
    assert (store.folder / name).exists()


def test_an_upload_is_kept_once_under_its_hash(store: Store):
    first, again = store.keep_upload(b"bytes"), store.keep_upload(b"bytes")
    assert first == again
    assert store.blobs.path(first).relative_to(store.blobs.folder).as_posix() == f"{first[:2]}/{first}"
    assert BlobStore(store.blobs.folder).read(first) == b"bytes"


@pytest.mark.parametrize("blob", ("../../journal.sqlite", "", "ab", "A" * 64, "a" * 64, "a" * 64 + "\n"))
def test_other_names_are_no_uploads(store: Store, blob: str):
    with pytest.raises(NotHere):
        store.blobs.path(blob)


def test_latents_are_kept_until_dropped_or_no_longer_wanted(store: Store):
    store.keep_latents(JOB, 0, b"zero")
    store.keep_latents(JOB, 11, b"eleven")
    store.keep_latents("other", 0, b"other")
    store.sweep_latents({JOB})
    assert store.kept_latents(JOB) == {0: b"zero", 11: b"eleven"}
    assert store.kept_latents("other") == {}
    store.drop_latents(JOB, 0)
    store.drop_latents(JOB, 0)
    assert store.kept_latents(JOB) == {11: b"eleven"}


def test_little_room_is_one_sentence(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.check_room()
    monkeypatch.setattr(Store, "free_bytes", lambda self: 12_000_000)
    with pytest.raises(StorageError, match=r"Only 12 MB are free in the outputs folder .*outputs; new jobs need 200 MB\."):
        store.check_room()


def test_an_outputs_folder_that_is_a_file_or_gone_is_one_sentence(tmp_path: Path, store: Store):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="outputs folder"):
            Store(path).prepare()
    store.folder.rename(tmp_path / "moved")
    with pytest.raises(StorageError, match="no longer there"):
        store.check_room()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write")
def test_an_unwritable_outputs_folder_is_one_sentence():
    with pytest.raises(StorageError, match=r"/proc/safelight cannot be written .*--outputs\.$"):
        Store(Path("/proc/safelight")).prepare()


def test_a_lock_is_held_once_and_free_again_when_released(tmp_path: Path):
    path = tmp_path / "lock"
    path.write_text("99999999")  # left behind by a process that died
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert not second.acquire()
    assert second.holder() == str(os.getpid())
    first.release()
    assert second.acquire()
    second.release()
