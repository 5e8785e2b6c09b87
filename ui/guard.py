"""The door guard: an ASGI layer around every route, Gradio's own included.

A studio on localhost can be reached by every web page that its user visits. So each request must name us as its
host (DNS rebinding), must not come from another site (forged requests, hijacked websockets), may not be larger than
a picture, and must carry the access key when the studio is open to the network.
"""

from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .door import Door

PAGES = ("/", "/docs")  # what a link on another site may open
SELF_CHECK = (("GET", "/gradio_api/startup-events"), ("HEAD", "/"))  # asked by Gradio's launch, reveals nothing
GRADIO_UPLOAD = "/gradio_api/upload"
LONGEST_PATH = 1000  # characters; no address of ours comes near
LONGEST_NAME = 255  # bytes between two slashes; Gradio looks for files of such names, and systems take no longer ones
SAFE_METHODS = ("GET", "HEAD")
DRAIN_SECONDS = 10.0


class Guard:
    """The ASGI middleware; see the top of the file for what it lets through."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        answer = self._stop(scope, Headers(scope=scope))
        if scope["type"] == "websocket":
            if answer is not None:
                return await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
            return await self.app(scope, receive, send)
        send = self._with_headers(send)
        if answer is not None:
            if answer.status_code == 413:
                await _drain(receive, 4 * self.door.max_body)
            return await answer(scope, receive, send)
        await self._pass(scope, receive, send)

    def _stop(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that may not pass, or to one that brings the key; None when it may pass."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.door.knows(hosts[0]):
            shown = (hosts or [""])[0][:100]
            return refusal(
                headers, 403, f"This studio does not answer to the name {shown!r}; open it by the address it printed at its start."
            )
        if not _is_own(headers, hosts[0]) or not self._is_near(scope, headers):
            return refusal(headers, 403, "Requests from other web sites are refused.")
        if scope["type"] == "http":
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > self.door.max_body:
                return self._too_large(headers)
            if _is_too_long(scope["path"]):
                return refusal(headers, 404, "There is nothing at this address.")
            if scope["path"].rstrip("/").endswith(GRADIO_UPLOAD):  # behind a proxy's prefix too
                return refusal(headers, 403, "Uploads go to /api/v1/uploads.")
        if self.door.opens(headers) or (scope.get("method"), scope["path"]) in SELF_CHECK:
            return None
        return self._unlock(scope, headers)

    def _is_near(self, scope: Scope, headers: Headers) -> bool:
        """Not asked for by another site's page, unless that is a link to one of our pages."""
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return True
        kinds = ("document",) if self.door.framed_by == "'none'" else ("document", "iframe")
        is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") in kinds
        return is_link and scope.get("method") in SAFE_METHODS and scope["path"] in PAGES

    def _unlock(self, scope: Scope, headers: Headers) -> Response:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        given = query.pop("key", [""])[0]
        if scope.get("method") != "GET" or not self.door.is_key(given):
            return refusal(headers, 403, "This studio is locked: open the link with ?key= that it printed in the terminal at its start.")
        # Relative, so that it also holds behind a proxy's prefix and never leads to another host.
        clean = "./" + quote(scope["path"].rpartition("/")[2]) + (f"?{urlencode(query, doseq=True)}" if query else "")
        response: Response = RedirectResponse(clean, 303)
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            # A strict cookie does not travel along a redirect that another site began; a step of our own page does.
            link = escape(clean)
            response = HTMLResponse(
                f'<!doctype html><meta http-equiv="refresh" content="0;url={link}"><a href="{link}">Open the studio</a>'
            )
        response.set_cookie(self.door.cookie, self.door.cookie_value, httponly=True, samesite="strict", path="/", max_age=30 * 86400)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _too_large(self, headers: Headers) -> Response:
        return refusal(headers, 413, f"The request is larger than {self.door.max_body // 2**20} MB, the most that is taken.")

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, counting its body, which may come without a length."""
        seen = 0
        too_large = started = False

        async def counted() -> Message:
            nonlocal seen, too_large
            message = await receive()
            seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
            if seen > self.door.max_body:
                too_large = True
                raise HTTPException(413)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if too_large and not started:
                return  # whatever the route makes of its torn body, the answer is ours
            started = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except Exception:
            if not too_large:
                raise
        if too_large and not started:
            await _drain(receive, 4 * self.door.max_body)
            await self._too_large(Headers(scope=scope))(scope, receive, send)

    def _with_headers(self, send: Send) -> Send:
        defaults: Mapping[str, str] = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # `no-referrer` would make browsers send `Origin: null` to ourselves
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": self.door.policy,
        }

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in defaults.items():
                    headers.setdefault(name, value)
            await send(message)

        return dressed


def refusal(headers: Headers, status: int, sentence: str) -> Response:
    """The sentence as a plain page for people, as JSON for programs. Nothing of the request is echoed as markup."""
    if "text/html" not in headers.get("accept", ""):
        return JSONResponse({"error": sentence, "field": None}, status)
    style = "body{font:18px/1.6 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;background:#171412;color:#e8e0d4}"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Safelight</title>'
    return HTMLResponse(f"<!doctype html>{head}<style>{style}</style><h1>Safelight</h1><p>{escape(sentence)}</p>", status)


def _is_too_long(path: str) -> bool:
    return len(path) > LONGEST_PATH or any(len(name.encode("utf-8", "replace")) > LONGEST_NAME for name in path.split("/"))


def _is_own(headers: Headers, host: str) -> bool:
    """Whether the Origin, when there is one, is ourselves: same name and port. `null` never is."""
    origins = headers.getlist("origin")
    if not origins:
        return True
    try:
        origin = urlsplit(origins[0].lower())
    except ValueError:
        return False
    return (
        len(origins) == 1
        and origin.scheme in ("http", "https")
        and _without_default_port(origin.netloc) == _without_default_port(host.lower())
    )


def _without_default_port(netloc: str) -> str:
    return netloc.removesuffix(":80").removesuffix(":443")


async def _drain(receive: Receive, most: int) -> None:
    """Read and drop what the client still sends, for a while: a client that is cut off mid-body never sees the answer."""
    with anyio.move_on_after(DRAIN_SECONDS):
        while most > 0:
            message = await receive()
            most -= len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
