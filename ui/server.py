"""Serves the page and the API beside it, behind one guard, and ends cleanly."""

import logging
import signal
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount

from pipelines.errors import StudioError

from .address import claim, door_for, in_url, links
from .api import PREFIX, build_api
from .api.owner import Managing
from .assets import Assets
from .docs import docs_routes
from .guard import Guard

if TYPE_CHECKING:
    from jobs.studio import Studio

STATIC = Path(__file__).parent / "static"
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that the system has
GRACE_SECONDS = 1  # for answers that are under way when the server stops; streams would go on for ever

LAUNCH: Mapping[str, Any] = {
    "prevent_thread_lock": True,
    "quiet": True,
    "share": False,
    "ssr_mode": False,
    "mcp_server": False,
    "run_history": False,
    "enable_monitoring": False,
    "show_error": False,
    "footer_links": [],
    "_frontend": False,  # all this leaves out is a look at its own page, after which a machine too busy to answer in 3 s ends the program
    "state_session_capacity": 200,
    "max_threads": 64,  # another number than 40 gives handlers threads of their own, apart from those that serve files
}


class Server:
    """A studio that is being served, until `stop`. `url` opens it; `key` is what its clients need, if anything."""

    def __init__(self, studio: "Studio", demo: gr.Blocks, addresses: list[str], key: str | None) -> None:
        self.studio = studio
        self.demo = demo
        self.addresses = addresses
        self.key = key
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        return self.addresses[0]

    def wait(self) -> None:
        """Serves until Ctrl+C, SIGTERM or the terminal's end, then stops; a second signal ends the program at once."""
        asked = threading.Event()

        def ask(number: int, frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            asked.set()

        for number in (getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)):
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` asks to outlive the terminal
                signal.signal(number, ask)
        while not asked.wait(0.5) and not self._stopped.is_set():
            pass  # in short waits: on Windows a longer one cannot be interrupted
        self.stop()

    def stop(self) -> None:
        """Ends the server, then the studio, within seconds; jobs stay in the journal. May be called twice."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        server = self.demo.server
        server.config.timeout_graceful_shutdown = GRACE_SECONDS
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would report every stream that is cut off
        self.demo.close(verbose=False)
        self.studio.stop()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def serve(
    studio: "Studio",
    demo: gr.Blocks,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    open_browser: bool = False,
    access_key: str | None = None,
    look: Mapping[str, Any] | None = None,
    managing: Managing = "here",
    quiet: bool = False,
) -> Server:
    """Serves `demo`, the API and its documentation; returns when they answer.

    `host` other than this machine itself asks visitors for a key (`access_key`, or a random one) that is part of the
    printed address. `managing` says who may download, load and annotate models: those at this machine ("here"), "everyone"
    or "nobody". `port` 0 takes any free one. `look` are further arguments of Gradio's `launch`: theme, head...
    `ui.environment.prepare` must have been called before Gradio was imported. Raises StudioError when the address
    cannot be used.
    """
    host = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")  # the name may stand for two addresses
    port = claim(host, port)
    door = door_for(host, port, access_key)
    app = {"routes": routes(studio, managing), "middleware": [Middleware(Guard, door=door)], "openapi_url": None}
    place = {"server_name": in_url(host), "server_port": port, "max_file_size": door.max_body}
    try:
        demo.launch(app_kwargs=app, **{**LAUNCH, **place, **(look or {})})
    except (OSError, httpx.TransportError) as error:  # the latter when Gradio does not reach itself, through a proxy for instance
        demo.close(verbose=False)
        raise StudioError(f"The studio cannot be served at {host}, port {port}: {error}.") from None
    server = Server(studio, demo, links(host, port, door), door.key)
    if not quiet:
        print("Safelight is open at " + "\n              and at ".join(server.addresses), flush=True)
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()  # some browsers keep the call waiting
    return server


def routes(studio: "Studio", managing: Managing = "here") -> list[BaseRoute]:
    """What is served beside Gradio's page: the API, its documentation, the files of the page."""
    api = build_api(studio, managing)
    return [Mount(PREFIX, api), *docs_routes(api, studio.modifiers), Mount("/safelight/static", Assets(STATIC))]
