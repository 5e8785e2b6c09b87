"""A small Hugging Face Hub and file server on a free port, with everything that goes wrong on the way to a file."""

import hashlib
import json
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.jobs.parts import until

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def weights(tensors: dict[str, tuple[int, ...]] | None = None, fill: int = 7) -> bytes:
    """A sound safetensors file of F32 tensors of these shapes; without any, one that is told for a LoRA."""
    shapes = tensors or {
        "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 8),
        "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (8, 4),
    }
    header: dict[str, Any] = {}
    place = 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes((fill + index * 31) % 251 for index in range(place))


@dataclass
class Elsewhere:
    """`files` by path. What is asked is written down; the rest says how to misbehave."""

    files: dict[str, bytes] = field(default_factory=dict)
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)  # further ones, by path
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)  # answered first, one after another, by path
    breaks: dict[str, list[int]] = field(default_factory=dict)  # by path: bytes after which the connection is lost
    changes: dict[str, bytes] = field(default_factory=dict)  # by path: what the file becomes at the first break
    wrong_hashes: bool = False
    ranges: bool = True
    held: threading.Event = field(default_factory=threading.Event)  # files in `slow` stop halfway until it is set
    slow: set[str] = field(default_factory=set)
    reached: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    @property
    def plain(self) -> str:
        """The same server under a name that is not the hub's."""
        return self.address.replace("127.0.0.1", "localhost")

    def reset(self) -> None:
        """As good as new, at the same address."""
        self.held.set()
        for each in fields(self):
            if each.name != "address":
                setattr(self, each.name, each.default if each.default is not MISSING else each.default_factory())

    def ranges_asked(self, path: str) -> list[str | None]:
        return [headers.get("range") for asked, headers in self.asked if asked == path]

    # -- routes -------------------------------------------------------------------------------------------------------

    async def repo(self, request: Request) -> Response:
        name = request.path_params["repo"]
        self.asked.append((request.url.path, dict(request.headers)))
        if name not in self.repos:
            return JSONResponse({"error": "Repository not found"}, 404)
        siblings = []
        for path, data in self.repos[name].items():
            sibling: dict[str, Any] = {"rfilename": path, "size": len(data)}
            if path.endswith((".safetensors", ".bin", ".ckpt")):
                digest = "0" * 64 if self.wrong_hashes else hashlib.sha256(data).hexdigest()
                sibling["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            siblings.append(sibling)
        return JSONResponse({"id": name, "sha": COMMIT, "siblings": siblings, "tags": ["lora"] if "lora" in name else []})

    async def hub_file(self, request: Request) -> Response:
        repo, path = request.path_params["repo"], request.path_params["path"]
        assert request.path_params["commit"] == COMMIT
        return await self._file(request, self.repos.get(repo, {}).get(path))

    async def file(self, request: Request) -> Response:
        return await self._file(request, self.files.get(request.url.path.removeprefix("/")))

    async def _file(self, request: Request, data: bytes | None) -> Response:
        path = request.url.path
        self.asked.append((path, dict(request.headers)))
        if target := self.redirects.get(path):
            return RedirectResponse(target, 302)
        if statuses := self.statuses.get(path):
            return Response(status_code=statuses.pop(0))
        if data is None:
            return Response(status_code=404)
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        start, status = 0, 200
        headers = {"ETag": tag, "Content-Type": "application/octet-stream"}
        asked = request.headers.get("range")
        if asked and self.ranges and request.headers.get("if-range", tag) == tag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        headers["Content-Length"] = str(len(data) - start)
        headers |= self.headers.get(path, {})
        headers = {name: value for name, value in headers.items() if value}
        return StreamingResponse(self._body(path, data, start), status, headers)

    async def _body(self, path: str, data: bytes, start: int) -> AsyncIterator[bytes]:
        breaks = self.breaks.get(path)
        end = start + breaks.pop(0) if breaks else len(data)
        half = (start + end) // 2
        yield data[start:half]
        if path in self.slow:
            self.reached.set()
            await anyio.to_thread.run_sync(self.held.wait, 20)
        yield data[half:end]
        if end < len(data):
            self.files[path.removeprefix("/")] = self.changes.pop(path, data)
            raise ConnectionError("cut off on purpose")


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    it = Elsewhere()
    app = Starlette(
        routes=[
            Route("/api/models/{repo:path}/revision/{revision}", it.repo),
            Route("/{repo:path}/resolve/{commit}/{path:path}", it.hub_file),
            Route("/{path:path}", it.file),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    it.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield it
    finally:
        it.held.set()
        server.should_exit = True
        thread.join(10)
