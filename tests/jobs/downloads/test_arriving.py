"""Downloads from a local hub: resumed, checked, refused, cancelled, and carried over a restart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.downloads import Downloads
from jobs.fetching import FetchError, Web
from jobs.ledger import Ledger
from jobs.views import NotHere
from pipelines.errors import StorageError, StudioError
from tests.jobs.downloads.parts import LORA, NearWeb, ended, leftovers
from tests.jobs.elsewhere import Elsewhere, elsewhere, weights
from tests.jobs.parts import until


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
