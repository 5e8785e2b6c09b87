"""What downloads are tested with: a web that takes this machine, and waiting for what becomes of them."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.downloads import Downloads
from jobs.fetching import Web
from tests.jobs.elsewhere import weights
from tests.jobs.parts import until


class NearWeb(Web):
    """Takes http from this machine too, where tests have their servers."""

    def _check_scheme(self, url: str) -> None:
        if urlsplit(url).hostname not in ("localhost", "127.0.0.1"):
            super()._check_scheme(url)


LORA = weights()
ENDED = ("finished", "failed", "cancelled")


def ended(downloads: Downloads, id: str) -> dict[str, Any]:
    return until(lambda: (one := downloads.one(id))["state"] in ENDED and one)


def leftovers(root: Path) -> list[Path]:
    return list((root / ".downloads").rglob("*")) if (root / ".downloads").exists() else []
