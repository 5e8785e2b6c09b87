"""What is told about models: read from files, noted by the user, hashed in the background."""

import hashlib
import io
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from jobs.annotations import Annotations
from jobs.hashing import ModelHasher
from jobs.ledger import Hashes, Ledger
from jobs.studio import Studio
from jobs.thumbnails import Thumbnails
from jobs.views import NotHere
from pipelines.errors import BadPicture, InvalidRequest, StudioError, UnknownName
from tests.jobs.elsewhere import weights
from tests.jobs.parts import draft, ended, until


def png(colour: str = "red", size: tuple[int, int] = (900, 300)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def lora(models: Path) -> Path:
    """Beside the checkpoint of all these tests; begun anew for each."""
    folder = models / "loras"
    for path in folder.glob("*") if folder.exists() else ():
        path.unlink()
    folder.mkdir(exist_ok=True)
    path = folder / "ink.safetensors"
    path.write_bytes(weights())
    return path


def test_what_is_there_is_told_with_its_sidecars(lora: Path, studio: Studio) -> None:
    lora.with_suffix(".preview.png").write_bytes(png())
    lora.with_suffix(".json").write_text(
        json.dumps({"description": "Fine lines.", "activation text": "ink, lines", "preferred weight": 0.7})
    )
    listed = studio.collection.listed()
    found = {(each["kind"], each["name"]): each for each in listed["models"]}
    assert {("checkpoint", "toy"), ("lora", "ink.safetensors")} <= set(found)
    assert {kind["name"]: kind["count"] for kind in listed["kinds"]}["lora"] == 1
    ink = found["lora", "ink.safetensors"]
    assert (ink["prompt"], ink["trigger_words"], ink["summary"]) == ("<lora:ink:0.7>", ["ink", "lines"], "Fine lines.")
    assert (ink["broken"], ink["path"], ink["size_bytes"]) == (None, str(lora), lora.stat().st_size)
    with Image.open(studio.collection.preview("lora", "ink.safetensors")) as small:
        assert (small.format, small.size) == ("JPEG", (512, 171))
    assert [each["name"] for each in studio.collection.listed("lora")["models"]] == ["ink.safetensors"]
    with pytest.raises(UnknownName, match="checkpoint, controlnet"):
        studio.collection.listed("nope")
    for kind, name in (("lora", "nope"), ("nope", "ink.safetensors"), ("lora", "../ink.safetensors")):
        with pytest.raises(StudioError):
            studio.collection.one(kind, name)
    with pytest.raises(NotHere):
        studio.collection.preview("checkpoint", "toy")


def test_a_broken_file_is_listed_with_its_reason(lora: Path, studio: Studio) -> None:
    lora.with_name("torn.safetensors").write_bytes(weights()[:-3])
    torn = studio.collection.one("lora", "torn.safetensors")
    assert "cut short" in torn["broken"]
    assert torn["sha256"] is None
    assert studio.collection.listed("lora")["hashing"] <= 1


def test_hashes_come_in_the_background_and_are_kept(lora: Path, studios: Callable[..., Studio]) -> None:
    data = lora.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    studio = studios()
    whole = until(lambda: studio.collection.one("lora", "ink.safetensors")["sha256"])
    assert whole == hashlib.sha256(data).hexdigest()
    ink = studio.collection.one("lora", "ink.safetensors")
    assert (ink["short_hash"], ink["autov3"]) == (whole[:10], hashlib.sha256(data[header:]).hexdigest()[:12])
    studio.stop()
    again = studios()
    assert again.collection.one("lora", "ink.safetensors")["sha256"] == whole
    lora.write_bytes(weights(fill=9))
    os.utime(lora, ns=(1, 1))
    changed = until(lambda: again.collection.one("lora", "ink.safetensors")["sha256"])
    assert changed == hashlib.sha256(weights(fill=9)).hexdigest()


def test_hashing_waits_while_pictures_develop(tmp_path: Path, lora: Path) -> None:
    busy = [True]
    ledger = Ledger(tmp_path / "models.sqlite")
    hasher = ModelHasher(ledger, lambda: busy[0])
    try:
        assert hasher.want([lora, tmp_path / "gone"]) == 1
        assert hasher.known(lora) is None
        busy[0] = False
        found = until(lambda: hasher.known(lora))
        assert found.sha256 == hashlib.sha256(lora.read_bytes()).hexdigest()
        assert hasher.want([lora]) == 0
    finally:
        hasher.stop()
        ledger.close()


def test_a_ledger_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "models.sqlite"
    path.write_bytes(b"no database at all" * 100)
    ledger = Ledger(path)
    odd = tmp_path / os.fsdecode(b"odd\xff.safetensors")
    ledger.keep_hashes(odd, 1, 2, Hashes("a" * 64, "b" * 64))
    assert ledger.hashes(odd, 1, 2) == Hashes("a" * 64, "b" * 64)
    assert ledger.hashes(odd, 1, 3) is None
    assert ledger.downloads() == []
    ledger.close()
    assert (tmp_path / "broken-models.sqlite").exists()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(*) FROM hashes").fetchone() == (1,)


def test_notes_lie_beside_the_model_and_nothing_else_is_touched(tmp_path: Path) -> None:
    model = tmp_path / "a.v1.safetensors"
    model.write_bytes(weights())
    model.with_suffix(".json").write_text('{"notes": "theirs"}')
    notes = Annotations(tmp_path / "kept")
    notes.change(model, notes="mine\n😀")
    assert notes.change(model, default_vae="x").notes == "mine\n😀"
    assert json.loads((tmp_path / "a.v1.safelight.json").read_text()) == {"notes": "mine\n😀", "default_vae": "x"}
    assert model.with_suffix(".json").read_text() == '{"notes": "theirs"}'
    notes.change(model, notes="", default_vae="")
    assert not (tmp_path / "a.v1.safelight.json").exists()
    with pytest.raises(InvalidRequest, match="20,000"):
        notes.change(model, notes="x" * 20_001)
    for damage in (b"[]", b"{", b'{"notes": 7}', b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "a.v1.safelight.json").write_bytes(damage)
        assert notes.read(model).notes == ""
    notes.set_preview(model, png())
    with Image.open(tmp_path / "a.v1.safelight.png") as small:
        assert small.size == (512, 171)
    notes.set_preview(model, None)
    assert notes.preview(model) is None
    with pytest.raises(BadPicture):
        notes.set_preview(model, b"no picture")


def test_in_a_folder_that_cannot_be_written_notes_lie_with_the_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "theirs" / "a.safetensors"
    model.parent.mkdir()
    model.write_bytes(weights())
    notes = Annotations(tmp_path / "kept")
    from jobs import annotations

    write = annotations.write_atomic

    def refuse(path: Path, data: bytes) -> None:
        if path.parent == model.parent:
            raise PermissionError(13, "Permission denied")
        write(path, data)

    monkeypatch.setattr(annotations, "write_atomic", refuse)
    notes.change(model, notes="kept elsewhere")
    notes.set_preview(model, png())
    assert notes.read(model).notes == "kept elsewhere"
    assert notes.preview(model).parent == tmp_path / "kept"
    assert [path.name for path in model.parent.iterdir()] == ["a.safetensors"]
    monkeypatch.undo()
    notes.change(model, notes="writable again")
    assert notes.read(model).notes == "writable again"
    assert not list((tmp_path / "kept").glob("*.json"))


def test_previews_that_are_no_pictures(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "small")
    wrong = tmp_path / "a.png"
    wrong.write_bytes(b"<svg onload=alert(1)>")
    with pytest.raises(BadPicture):
        thumbnails.of(wrong)
    with pytest.raises(BadPicture):
        thumbnails.of(tmp_path / "gone.png")
    wrong.write_bytes(png(size=(64, 64)))
    small = thumbnails.of(wrong)
    assert thumbnails.of(wrong) == small
    assert Image.open(small).size == (64, 64)


@pytest.fixture
def vae(models: Path) -> str:
    import shutil

    if not (models / "vae" / "own").exists():
        shutil.copytree(models / "checkpoints" / "toy" / "vae", models / "vae" / "own")
    return "own"


def test_a_checkpoint_brings_its_default_vae(studio: Studio, models: Path, vae: str) -> None:
    assert "vae" not in studio.models()["checkpoints"][0]["recommended"]
    try:
        assert studio.collection.annotate("checkpoint", "toy", {"default_vae": vae})["default_vae"] == vae
        assert studio.models()["checkpoints"][0]["recommended"]["vae"] == vae
        assert studio.submit(draft("x")).request["vae"] == vae
        assert studio.submit(draft("x", vae="automatic")).request["vae"] == "automatic"
        for kind, name, changes in (
            ("checkpoint", "toy", {"default_vae": "nope"}),
            ("checkpoint", "toy", {"notes": 7}),
            ("checkpoint", "toy", {"path": "/etc"}),
            ("vae", vae, {"default_vae": vae}),
        ):
            with pytest.raises(InvalidRequest):
                studio.collection.annotate(kind, name, changes)
    finally:
        studio.collection.annotate("checkpoint", "toy", {"default_vae": "automatic"})
    assert not list((models / "checkpoints").glob("*.safelight.json"))


def test_a_preview_from_a_picture_that_was_made(studio: Studio, models: Path) -> None:
    job = ended(studio, studio.submit(draft("x", seed=200)).id)
    model = studio.collection.set_preview("checkpoint", "toy", studio.picture(job.images[0]))
    try:
        assert model["own_preview"]
        with Image.open(studio.collection.preview("checkpoint", "toy")) as small:
            assert abs(small.convert("L").getpixel((3, 3)) - 200) < 4
    finally:
        assert not studio.collection.set_preview("checkpoint", "toy", None)["own_preview"]
    with pytest.raises(NotHere):
        studio.picture("nope")


def test_load_and_unload_reach_the_engine(studio: Studio) -> None:
    until(lambda: studio.health()["engine"] == "ready" and studio.health()["loaded"])
    studio.memory.unload("toy")
    until(lambda: studio.health()["loaded"] == [])
    with pytest.raises(InvalidRequest, match="not in memory"):
        studio.memory.unload("toy")
    studio.memory.load("toy")
    until(lambda: studio.health()["loaded"] == ["toy"])
    assert next(each for each in studio.collection.listed("checkpoint")["models"] if each["name"] == "toy")["loaded"]
    for checkpoint, chosen in (("nope", None), ("toy", "nope")):
        with pytest.raises(UnknownName):
            studio.memory.load(checkpoint, chosen)
    studio.stop()
    with pytest.raises(StudioError, match="not ready"):
        studio.memory.load("toy")


def test_what_a_loaded_checkpoint_holds_is_told(studio: Studio) -> None:
    until(lambda: studio.health()["loaded"])
    toy = studio.collection.one("checkpoint", "toy")
    assert toy["holds"] == [{"component": "unet", "bytes": 1, "waits": False, "shared": False}] and toy["memory_bytes"] == 1
    assert toy["memory_plan"] == "Everything is in main memory." and not toy["pickle"]


def test_a_checkpoint_that_cannot_be_loaded_is_told_until_it_is_asked_for_again(studios: Callable[..., Studio]) -> None:
    studio = studios(unreadable="Its VAE is damaged.")
    until(lambda: studio.health()["engine"] == "ready")
    assert studio.health()["load_errors"] == {}
    studio.memory.load("toy")
    until(lambda: studio.health()["load_errors"] == {"toy": "Its VAE is damaged."})
    before = studio.memory._asked["toy"]
    studio.memory.load("toy")
    assert studio.memory._asked["toy"] > before
    until(lambda: studio.health()["load_errors"] == {"toy": "Its VAE is damaged."})
