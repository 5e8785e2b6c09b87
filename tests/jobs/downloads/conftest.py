"""A local hub, a models folder, and downloads that are stopped when their test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.downloads import Downloads
from jobs.ledger import Ledger
from tests.jobs.downloads.parts import LORA, NearWeb
from tests.jobs.elsewhere import Elsewhere, elsewhere


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
