"""One file from the network to the disk: resumed where it broke off, checked against its size and hash, never larger than the room."""

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from huggingface_hub import constants, get_token

from pipelines.errors import InvalidRequest, StorageError, StudioError, printable, shortened

from .files import sentence
from .store import LEAST_FREE

_CHUNK = 2**20
_LOOK = 64 * 2**20  # bytes between two looks at the room on the disk
_MOST_REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
TIMEOUT = httpx.Timeout(30.0, connect=15.0)


@dataclass(frozen=True)
class Remote:
    """A file elsewhere. `path` is its place below the model's folder, with forward slashes; size in bytes and hash where known."""

    url: str
    path: str
    size: int | None = None
    sha256: str | None = None


class FetchError(StudioError):
    """The file cannot be had; trying again at once would not help."""


class NetworkError(FetchError):
    """The network or the other side failed; another try may go on from there."""


class Stopped(Exception):
    """The download was cancelled, or the program ends."""


@dataclass
class Web:
    """How files are asked for. `endpoint` is the Hub's address: `token` goes there only, and only there http will do, for a
    mirror of one's own. `free` tells the bytes that are free in a folder."""

    endpoint: str
    token: Callable[[], str | None] = lambda: None
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=TIMEOUT, headers={"User-Agent": "safelight"}))

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """The answer after redirects, unread. Raises FetchError with one sentence, NetworkError where another try may help."""
        host = _host(url)
        try:
            request = self.client.build_request("GET", url, headers={"Accept-Encoding": "identity", **(headers or {})})
            if same_origin(url, self.endpoint) and (token := self.token()):
                request.headers["Authorization"] = f"Bearer {token}"
            response = self._follow(request)
            try:
                _check_status(response, host)
                yield response
            finally:
                response.close()
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise NetworkError(_unreachable(error, host)) from None

    def _follow(self, request: httpx.Request) -> httpx.Response:
        for _ in range(_MOST_REDIRECTS + 1):
            self._check_scheme(str(request.url))
            response = self.client.send(request, stream=True)
            if response.next_request is None:
                return response
            request = response.next_request  # without the token where that is another host
            response.close()
        raise FetchError(f"{request.url.host} sends the download round in circles.")

    def _check_scheme(self, url: str) -> None:
        if urlsplit(url).scheme != "https" and not same_origin(url, self.endpoint):
            raise FetchError(f"Only https addresses are followed; got {printable(url)[:80]!r}.")

    def require_room(self, folder: Path, wanted: int, name: str) -> None:
        """Raises StorageError unless `wanted` more bytes fit, with some left for the rest of the system."""
        free = self.free(folder)
        if wanted + LEAST_FREE > free:
            raise StorageError(f"{name} needs {giga(wanted)} more, and {giga(free)} are free in {folder}; make room first.")


def the_hub() -> Web:
    """The Hugging Face Hub, or the mirror in HF_ENDPOINT, with the token in HF_TOKEN or of `hf auth login`."""
    return Web(constants.ENDPOINT, get_token)


def _host(url: str) -> str:
    """The host of an address that was given; raises InvalidRequest."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise InvalidRequest(f"source is no address: {shortened(url)}.", "source")
    return host


def same_origin(url: str, other: str) -> bool:
    return urlsplit(url)[:2] == urlsplit(other)[:2]


def giga(size: int) -> str:
    """Bytes in words that people compare."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size, 1) / 1e6:.1f} MB"


def _check_status(response: httpx.Response, host: str) -> None:
    status = response.status_code
    if status in (200, 206, 416):
        return
    if status in (401, 403):
        raise FetchError(
            f"{host} does not give this file to everyone ({status}): accept its licence there, "
            "and start Safelight with your access token in HF_TOKEN."
        )
    if status in (404, 410):
        raise FetchError(f"{host} has nothing at this address ({status}).")
    kind = NetworkError if status in _TRY_AGAIN else FetchError
    raise kind(f"{host} answered with an error ({status}).")


def _unreachable(error: Exception, host: str) -> str:
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return f"The address is not one that can be asked ({error})."
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return f"{host} cannot be reached; downloads need a network."
    return f"The connection to {host} was lost."


class Fetch:
    """One file on its way. `validator` is what the server named this version of the file by, kept to go on after a break."""

    def __init__(
        self,
        web: Web,
        remote: Remote,
        part: Path,
        stopped: threading.Event,
        progress: "Callable[[Fetch, int], None]" = lambda fetch, done: None,
        validator: str | None = None,
    ) -> None:
        self._web = web
        self._remote = remote
        self._part = part
        self._stopped = stopped
        self._progress = progress  # told the bytes that are on the disk
        self.validator = validator
        self.size = remote.size

    def run(self) -> str:
        """Fetches what is missing; the SHA-256 of the whole. Raises FetchError, StorageError, Stopped; what has come is kept
        unless it is wrong."""
        try:
            digest, have = self._begun()
            if self.size is None or have < self.size:
                digest = self._more(digest, have)
        except OSError as error:
            raise StorageError(f"{sentence(error, self._part.parent)}; the download can go on when that is mended.") from None
        found = digest.hexdigest()
        if self._remote.sha256 and found != self._remote.sha256.lower():
            self._part.unlink(missing_ok=True)
            name = self._part.name.removesuffix(".part")
            raise FetchError(f"{name} arrived damaged: its SHA-256 is {found[:12]}…, {self._remote.sha256[:12]}… was promised.")
        return found

    def _begun(self) -> "tuple[hashlib._Hash, int]":
        """What an earlier try left, hashed; nothing where it cannot be told to belong to the same file."""
        digest, have = hashlib.sha256(), 0
        self._part.parent.mkdir(parents=True, exist_ok=True)
        trusted = self.validator or self._remote.sha256
        if not trusted or not self._part.exists() or (self.size is not None and self._part.stat().st_size > self.size):
            self._part.unlink(missing_ok=True)
            return digest, 0
        with open(self._part, "rb") as file:
            while chunk := file.read(_CHUNK):
                self._check_stopped()
                digest.update(chunk)
                have += len(chunk)
                self._progress(self, have)
        return digest, have

    def _more(self, digest: "hashlib._Hash", have: int) -> "hashlib._Hash":
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and self.validator:
            headers["If-Range"] = self.validator
        with self._web.get(self._remote.url, headers) as response:
            if response.status_code == 416 or (response.status_code == 206 and not self._continues(response, have)):
                self._part.unlink(missing_ok=True)
                raise NetworkError(f"{response.url.host} has another version of this file now; it begins anew.")
            if response.status_code == 200:
                digest, have = hashlib.sha256(), 0
            self._accept(response, have)
            with open(self._part, "r+b" if have else "wb") as file:
                file.seek(have)
                self._take(response, file, digest, have)
                file.flush()
                os.fsync(file.fileno())
        return digest

    def _continues(self, response: httpx.Response, have: int) -> bool:
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        return bool(found) and int(found[1]) == have and self.size in (None, int(found[2]))

    def _accept(self, response: httpx.Response, have: int) -> None:
        """Checks what is about to come before any of it is written."""
        name = self._part.name.removesuffix(".part")
        if "text/html" in response.headers.get("content-type", "") and not name.endswith(".txt"):
            raise FetchError(f"{response.url.host} answers with a web page instead of {name}; it may ask for a login.")
        told = response.headers.get("content-length", "")
        whole = have + int(told) if told.isdecimal() and "content-encoding" not in response.headers else None
        if self._remote.size is not None and whole not in (None, self._remote.size):
            raise FetchError(f"{name} is {whole:,} bytes now, where {self._remote.size:,} were promised.")
        self.size = whole if whole is not None else self._remote.size
        self.validator = _validator(response)
        self._web.require_room(self._part.parent, (self.size or have) - have, name)

    def _take(self, response: httpx.Response, file: "os.PathLike[bytes] | object", digest: "hashlib._Hash", have: int) -> None:
        looked = have
        for chunk in response.iter_bytes():
            self._check_stopped()
            if self.size is not None and have + len(chunk) > self.size:
                raise FetchError(f"{response.url.host} sends more than the {self.size:,} bytes that it promised.")
            file.write(chunk)  # type: ignore[attr-defined]
            digest.update(chunk)
            have += len(chunk)
            self._progress(self, have)
            if self.size is None and have - looked > _LOOK:
                looked = have
                self._web.require_room(self._part.parent, _LOOK, self._part.name.removesuffix(".part"))
        if self.size is not None and have < self.size:
            raise NetworkError(f"The connection to {response.url.host} was lost.")

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise Stopped


def _validator(response: httpx.Response) -> str | None:
    """A strong ETag, else the date: what `If-Range` takes."""
    tag = response.headers.get("etag", "")
    if tag.startswith('"') and len(tag) < 300:
        return tag
    return response.headers.get("last-modified", "")[:60] or None
