"""Downloads from a local hub: resumed, checked, refused, cancelled, and carried over a restart."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from jobs.downloads import Downloads
from jobs.fetching import FetchError, Web
from jobs.ledger import Ledger
from jobs.views import NotHere
from pipelines.errors import InvalidRequest, StorageError, StudioError
from tests.jobs.elsewhere import Elsewhere, elsewhere, weights
from tests.jobs.parts import until


class NearWeb(Web):
    """Takes http from this machine too, where tests have their servers."""

    def _check_scheme(self, url: str) -> None:
        if urlsplit(url).hostname not in ("localhost", "127.0.0.1"):
            super()._check_scheme(url)


LORA = weights()
ENDED = ("finished", "failed", "cancelled")


@pytest.fixture(scope="module")
def server() -> Iterator[Elsewhere]:
    with elsewhere() as it:
        yield it


@pytest.fixture
def there(server: Elsewhere) -> Elsewhere:
    server.reset()
    server.repos["artist/ink-lora"] = {"ink.safetensors": LORA, "README.md": b"#", "old.ckpt": b"pickle"}
    server.files["ink.safetensors"] = LORA
    return server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def make(there: Elsewhere, root: Path, tmp_path: Path) -> Iterator[Callable[..., Downloads]]:
    made: list[tuple[Downloads, Ledger]] = []

    def start(free: int = 10**12, **more: Any) -> Downloads:
        ledger = Ledger(tmp_path / "models.sqlite")
        web = NearWeb(there.address, lambda: "secret", free=lambda folder: free)
        downloads = Downloads(ledger, [root], lambda: web, waits=(0.01, 0.01), **more)
        downloads.start()
        made.append((downloads, ledger))
        return downloads

    yield start
    there.held.set()
    for downloads, ledger in made:
        downloads.stop()
        ledger.close()


def ended(downloads: Downloads, id: str) -> dict[str, Any]:
    return until(lambda: (one := downloads.one(id))["state"] in ENDED and one)


def leftovers(root: Path) -> list[Path]:
    return list((root / ".downloads").rglob("*")) if (root / ".downloads").exists() else []


def test_a_repository_is_looked_at_before_anything_comes(make: Callable[..., Downloads]) -> None:
    offer = make().look("artist/ink-lora")
    assert [(each.path, each.size) for each in offer.files] == [("ink.safetensors", len(LORA))]
    assert offer.files[0].sha256 == hashlib.sha256(LORA).hexdigest()
    assert (offer.kind, offer.unsafe, offer.folder) == ("lora", 1, ())


def test_a_file_finds_its_shelf_by_what_it_is(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    placed: list[tuple[Path, str]] = []
    downloads = make(placed=lambda path, source: placed.append((path, source)))
    asked = downloads.add("artist/ink-lora")
    done = ended(downloads, asked["id"])
    assert done["state"] == "finished", done
    assert (done["kind"], done["placed"]) == ("lora", "loras/ink.safetensors")
    assert done["bytes_done"] == done["bytes_total"] == len(LORA)
    assert done["sha256"] == hashlib.sha256(LORA).hexdigest()
    assert (root / "loras" / "ink.safetensors").read_bytes() == LORA
    assert not (root / ".downloads").exists()
    assert placed == [(root / "loras" / "ink.safetensors", f"{there.address}/artist/ink-lora")]
    assert all(headers.get("authorization") == "Bearer secret" for _, headers in there.asked)


def test_an_existing_shelf_in_another_programs_words_is_used(make: Callable[..., Downloads], root: Path) -> None:
    (root / "Lora").mkdir()
    downloads = make()
    done = ended(downloads, downloads.add("artist/ink-lora", kind="lora", name="My ink: v2?")["id"])
    assert done["placed"] == "Lora/My ink_ v2_.safetensors"


def test_the_connection_breaks_and_the_rest_follows(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    big = there.files["big.safetensors"] = weights({"lora_unet_x.lora_down.weight": (400, 300), "lora_unet_x.lora_up.weight": (300, 400)})
    there.breaks["/big.safetensors"] = [len(big)] + [100_000] * 3  # the look first
    downloads = make()
    done = ended(downloads, downloads.add(f"{there.plain}/big.safetensors")["id"])
    assert done["state"] == "finished", done
    assert (root / "loras" / "big.safetensors").read_bytes() == big
    asked = there.ranges_asked("/big.safetensors")
    assert asked[:2] == [None, None]
    assert [each for each in asked if each] == [f"bytes={100_000 * times}-" for times in (1, 2, 3)]


def test_a_server_without_ranges_begins_anew(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    there.ranges = False
    there.breaks["/ink.safetensors"] = [len(LORA), 50]
    downloads = make()
    assert ended(downloads, downloads.add(f"{there.plain}/ink.safetensors")["id"])["state"] == "finished"
    assert (root / "loras" / "ink.safetensors").read_bytes() == LORA


def test_a_file_that_changes_meanwhile_is_not_stitched_together(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    path = "/ink.safetensors"
    there.breaks[path] = [len(LORA), 300]  # the look first
    there.changes[path] = weights(fill=99)  # as soon as the connection breaks
    downloads = make()
    done = ended(downloads, downloads.add(f"{there.plain}{path}")["id"])
    assert (done["state"], done["error"]) == ("finished", None)
    assert (root / "loras" / "ink.safetensors").read_bytes() == weights(fill=99)


def test_a_restart_goes_on_where_it_was(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    path = "/artist/ink-lora/resolve/0123456789abcdef0123456789abcdef01234567/ink.safetensors"
    there.slow.add(path)
    first = make()
    asked = first.add("artist/ink-lora")
    waiting = first.add(f"{there.plain}/ink.safetensors", name="second", kind="lora")
    until(lambda: 0 < first.one(asked["id"])["bytes_done"] < len(LORA))
    first.stop()
    had = leftovers(root)
    assert any(part.name == "ink.safetensors.part" for part in had)
    there.slow.clear()
    there.held.set()
    second = make()
    assert ended(second, asked["id"])["state"] == "finished"
    assert ended(second, waiting["id"])["placed"] == "loras/second.safetensors"
    assert there.ranges_asked(path)[-1] == f"bytes={len(LORA) // 2}-"
    assert (root / "loras" / "ink.safetensors").read_bytes() == LORA


def test_what_arrives_damaged_is_thrown_away(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    there.wrong_hashes = True
    downloads = make()
    done = ended(downloads, downloads.add("artist/ink-lora")["id"])
    assert done["state"] == "failed"
    assert "SHA-256" in done["error"]
    assert not list(root.rglob("*.safetensors*"))
    there.wrong_hashes = False
    downloads.cancel(done["id"])
    assert ended(downloads, downloads.add("artist/ink-lora")["id"])["state"] == "finished"


def test_what_only_calls_itself_safetensors(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    there.files["fake.safetensors"] = b"PK\x03\x04 not what it says" * 40
    there.files["page.safetensors"] = b"<html>log in</html>"
    there.headers["/page.safetensors"] = {"Content-Type": "text/html; charset=utf-8"}
    downloads = make()
    done = ended(downloads, downloads.add(f"{there.plain}/fake.safetensors", kind="lora")["id"])
    assert done["state"] == "failed"
    assert "safetensors" in done["error"]
    with pytest.raises(FetchError, match="web page"):
        downloads.add(f"{there.plain}/page.safetensors")
    assert not (root / "loras").exists()


def test_no_room(make: Callable[..., Downloads], there: Elsewhere) -> None:
    with pytest.raises(StorageError, match="are free"):
        make(free=len(LORA)).add("artist/ink-lora")
    there.headers["/ink.safetensors"] = {"Content-Length": str(10**15)}
    with pytest.raises(StorageError, match=r"1000000\.0 GB"):
        make().add(f"{there.plain}/ink.safetensors")


def test_more_than_was_promised_stops(make: Callable[..., Downloads], there: Elsewhere) -> None:
    downloads = make()
    there.repos["artist/ink-lora"]["ink.safetensors"] = LORA
    offer = downloads.look("artist/ink-lora")
    there.repos["artist/ink-lora"]["ink.safetensors"] = LORA + b"more"
    downloads.look = lambda source: offer  # type: ignore[method-assign]
    done = ended(downloads, downloads.add("artist/ink-lora")["id"])
    assert "were promised" in done["error"]


@pytest.mark.parametrize(("status", "words"), [(404, "nothing at this address"), (401, "HF_TOKEN"), (403, "licence"), (418, "418")])
def test_refusals_are_sentences(make: Callable[..., Downloads], there: Elsewhere, status: int, words: str) -> None:
    there.statuses["/ink.safetensors"] = [status]
    with pytest.raises(FetchError, match=words):
        make().look(f"{there.plain}/ink.safetensors")


def test_a_server_that_stumbles_is_asked_again_and_one_that_stays_down_is_not(make: Callable[..., Downloads], there: Elsewhere) -> None:
    path = "/artist/ink-lora/resolve/0123456789abcdef0123456789abcdef01234567/ink.safetensors"
    there.statuses[path] = [503, 500]
    downloads = make()
    assert ended(downloads, downloads.add("artist/ink-lora")["id"])["state"] == "finished"
    there.statuses[path] = [503] * 9
    failed = ended(downloads, downloads.add("artist/ink-lora", name="again")["id"])
    assert (failed["state"], "503" in failed["error"]) == ("failed", True)
    there.statuses[path] = []
    downloads.retry(failed["id"])
    assert ended(downloads, failed["id"])["state"] == "finished"


def test_without_a_network_it_is_one_sentence(root: Path, tmp_path: Path) -> None:
    downloads = Downloads(Ledger(tmp_path / "l.sqlite"), [root], lambda: Web("http://127.0.0.1:1"))
    with pytest.raises(StudioError, match=r"^127\.0\.0\.1 cannot be reached; downloads need a network\.$"):
        downloads.look("artist/ink-lora")


def test_redirects_are_followed_to_safe_places_only(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    there.redirects["/moved.safetensors"] = f"{there.plain}/ink.safetensors"
    downloads = make()
    done = ended(downloads, downloads.add(f"{there.plain}/moved.safetensors")["id"])
    assert done["placed"] == "loras/moved.safetensors"
    there.redirects["/round.safetensors"] = "/round.safetensors"
    with pytest.raises(FetchError, match="round in circles"):
        downloads.look(f"{there.plain}/round.safetensors")
    for target in ("http://192.0.2.1/x.safetensors", "file:///etc/passwd", "ftp://127.0.0.1/x.safetensors"):
        there.redirects["/off.safetensors"] = target
        with pytest.raises(FetchError):
            downloads.look(f"{there.plain}/off.safetensors")


def test_a_token_stays_with_the_hub(there: Elsewhere) -> None:
    """Another host is asked without it, also when the hub sends us there."""
    with elsewhere() as other:
        other.files["ink.safetensors"] = LORA
        there.redirects["/ink.safetensors"] = f"{other.address}/ink.safetensors"
        web = NearWeb(there.address, lambda: "secret")
        with web.get(f"{there.address}/ink.safetensors") as response:
            assert response.read() == LORA
        with web.get(f"{other.address}/ink.safetensors"):
            pass
        assert "authorization" in there.asked[-1][1]
        assert all("authorization" not in headers for _, headers in other.asked)


@pytest.mark.parametrize(
    "source",
    ["", "   ", "a b", "../..", "org/../x", "http://192.0.2.1/x.safetensors", "ftp://h/x.safetensors", "https://[::1/x", "https:///x.safetensors",
     "artist/ink-lora/old.ckpt", "artist/ink-lora/nope.safetensors", "file:///etc/passwd", "x" * 3000, "org/na\x00me"],
)  # fmt: skip
def test_addresses_that_are_none(make: Callable[..., Downloads], source: str) -> None:
    with pytest.raises((InvalidRequest, FetchError)):
        make().look(source)


def test_files_that_can_run_code_are_never_offered(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.repos["bad/pickles"] = {"model.ckpt": b"x", "pytorch_model.bin": b"x", "run.py": b"x", "config.json": b"{}"}
    with pytest.raises(InvalidRequest, match="can run code"):
        make().look("bad/pickles")
    there.files["x.ckpt"] = b"x"
    with pytest.raises(InvalidRequest, match=r"Only \.safetensors"):
        make().look(f"{there.plain}/x.ckpt")


def test_a_whole_model_is_put_together_before_it_shows(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    parts = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "feature_extractor": [None, None]}
    index = json.dumps({"_class_name": "StableDiffusionPipeline", **parts, "safety_checker": ["x", "y"]}).encode()
    there.repos["lab/model"] = {
        "model_index.json": index,
        "whole.safetensors": LORA,
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": LORA,
        "unet/diffusion_pytorch_model.fp16.safetensors": LORA,
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/deep/er/still/more/x.safetensors": LORA,
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": LORA,
        "vae/../../escape.safetensors": LORA,
        "safety_checker/model.safetensors": LORA,
        "CON/x.json": b"{}",
    }
    downloads = make()
    offer = downloads.look("lab/model")
    assert [remote.path for remote in offer.files] == ["whole.safetensors"]
    done = ended(downloads, downloads.add("lab/model")["id"])
    assert done["state"] == "finished", done
    assert done["placed"] == "checkpoints/model"
    come = {path.relative_to(root / "checkpoints" / "model").as_posix() for path in (root / "checkpoints").rglob("*") if path.is_file()}
    assert come == {
        "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }  # fmt: skip
    assert not (root.parent / "escape.safetensors").exists()


def test_names_from_elsewhere_stay_in_their_folder(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    names = {
        "../../evil": "evil.safetensors",
        "..\\..\\evil2": "evil2.safetensors",
        "CON": "_CON.safetensors",
        "com1.x": "_com1.x.safetensors",
        "a" * 300: None,
        'q"u<o>t|e*': "q_u_o_t_e_.safetensors",
        "tab\tnew\nline": "tab_new_line.safetensors",
        " dots. . ": "dots.safetensors",
    }
    downloads = make()
    for name, called in names.items():
        done = ended(downloads, downloads.add("artist/ink-lora", name=name[:200], kind="lora")["id"])
        assert done["state"] == "finished", done
        found = root / str(done["placed"])
        assert found.parent == root / "loras"
        assert called is None or found.name == called
    for name in ("..", "...", "/", "", "///"):
        if name:
            with pytest.raises(InvalidRequest):
                downloads.add("artist/ink-lora", name=name, kind="lora")


def test_the_servers_own_name_for_a_file(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.files["api/download/123"] = LORA
    there.headers["/api/download/123"] = {"Content-Disposition": 'attachment; filename="../Nice Style.safetensors"'}
    downloads = make()
    asked = downloads.add(f"{there.plain}/api/download/123?token=secret")
    assert "secret" not in str(asked)
    assert ended(downloads, asked["id"])["placed"] == "loras/Nice Style.safetensors"


def test_a_name_that_is_taken_is_said_before(make: Callable[..., Downloads], root: Path) -> None:
    (root / "loras").mkdir()
    (root / "loras" / "ink.safetensors").write_bytes(b"mine")
    downloads = make()
    with pytest.raises(InvalidRequest, match="is taken"):
        downloads.add("artist/ink-lora", kind="lora")
    done = ended(downloads, downloads.add("artist/ink-lora")["id"])  # known only when it has come
    assert "is taken" in done["error"]
    assert (root / "loras" / "ink.safetensors").read_bytes() == b"mine"


def test_cancel_drops_what_has_come_and_the_next_begins(make: Callable[..., Downloads], root: Path, there: Elsewhere) -> None:
    path = "/ink.safetensors"
    downloads = make()
    first = downloads.add(f"{there.plain}{path}", kind="lora", name="first")
    ended(downloads, first["id"])
    there.slow.add("/artist/ink-lora/resolve/0123456789abcdef0123456789abcdef01234567/ink.safetensors")
    second = downloads.add("artist/ink-lora", kind="lora", name="second")
    third = downloads.add(f"{there.plain}{path}", kind="lora", name="third")
    fourth = downloads.add(f"{there.plain}{path}", kind="lora", name="fourth")
    assert there.reached.wait(10)
    assert downloads.cancel(fourth["id"])["state"] == "cancelled"
    assert downloads.cancel(second["id"])["state"] == "cancelled"
    there.held.set()
    assert ended(downloads, third["id"])["state"] == "finished"
    until(lambda: not leftovers(root))
    assert not (root / "loras" / "second.safetensors").exists()
    downloads.cancel(second["id"])
    with pytest.raises(NotHere):
        downloads.one(second["id"])
    assert [each["name"] for each in downloads.all()] == ["fourth.safetensors", "third.safetensors", "first.safetensors"]


def test_which_file_must_be_said_where_there_are_several(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.repos["artist/two"] = {"a.safetensors": LORA, "b.safetensors": LORA}
    downloads = make()
    with pytest.raises(InvalidRequest, match=r"a\.safetensors, b\.safetensors"):
        downloads.add("artist/two")
    with pytest.raises(InvalidRequest, match="no file"):
        downloads.add("artist/two", file="c.safetensors")
    with pytest.raises(InvalidRequest, match="kind"):
        downloads.add("artist/two", file="a.safetensors", kind="nope")
    assert ended(downloads, downloads.add("artist/two", file="b.safetensors")["id"])["name"] == "b.safetensors"
    assert ended(downloads, downloads.add(f"{there.address}/artist/two/blob/main/a.safetensors")["id"])["name"] == "a.safetensors"
    with pytest.raises(InvalidRequest, match="cannot be tried again"):
        downloads.retry(downloads.all()[0]["id"])


def test_lists_of_files_that_are_none(make: Callable[..., Downloads], there: Elsewhere) -> None:
    there.files["api/models/odd"] = b"[]"
    for body in ([], {"siblings": "x"}, {"siblings": [1, {"rfilename": 7}, {"rfilename": "a" * 500 + ".safetensors"}]}):
        there.repos["odd/one"] = {}
        downloads = make()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("jobs.hub._json", lambda web, url, body=body: body if isinstance(body, dict) else {})
            with pytest.raises(InvalidRequest, match="nothing to download"):
                downloads.look("odd/one")
