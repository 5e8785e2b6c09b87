"""The door: which requests reach a route, held against a real Gradio server."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from ui.environment import prepare

prepare(Path(tempfile.gettempdir()) / "safelight-tests")

import anyio  # noqa: E402
import gradio as gr  # noqa: E402
import httpx  # noqa: E402
import pytest  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from ui.address import claim, door_for  # noqa: E402
from ui.door import Door  # noqa: E402
from ui.guard import Guard  # noqa: E402

KEY = "0123456789abcdef0123456789abcdef"
MB = 2**20


def launched(key: str | None) -> Iterator[httpx.Client]:
    with gr.Blocks(analytics_enabled=False) as demo:
        box = gr.Textbox()
        gr.Button().click(lambda: "ok", None, box, api_name="x")
    port = claim("127.0.0.1", 0)
    door = door_for("127.0.0.1", port, key)
    demo.launch(
        server_name="127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        app_kwargs={"middleware": [Middleware(Guard, door=door)], "openapi_url": None},
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    demo.close(verbose=False)


@pytest.fixture(scope="module")
def open_door() -> Iterator[httpx.Client]:
    yield from launched(None)


@pytest.fixture(scope="module")
def locked() -> Iterator[httpx.Client]:
    yield from launched(KEY)


def own(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def begun(client: httpx.Client, path: str, headers: dict[str, str]) -> httpx.Response:
    """The answer to a stream that would go on for ever, as far as its first bytes."""
    with client.stream("GET", path, headers=headers) as answer:
        if answer.status_code != 200:
            answer.read()
        return answer


# The eleven probes of a stranger's web page, and what a friend sends.
HEADERS = {
    "a program": ({}, True),
    "our page": ({"Origin": "OWN", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
    "typed into the address bar": ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, True),
    "another site": ({"Origin": "http://evil.example"}, False),
    "a sandboxed frame": ({"Origin": "null"}, False),
    "another port of this machine": ({"Origin": "http://localhost:3000"}, False),
    "our other name": ({"Origin": "http://localhost:PORT"}, False),
    "a name that begins like ours": ({"Origin": "OWN.evil.example"}, False),
    "two origins": ({"Origin": "OWN, http://evil.example"}, False),
    "nonsense": ({"Origin": "http://[evil"}, False),
    "an image on another site": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, False),
    "a page on another port": ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, False),
    "a rebound name": ({"Host": "evil.example"}, False),
    "a rebound name that agrees with itself": ({"Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"}, False),
    "a name with our name in it": ({"Host": "127.0.0.1.evil.example"}, False),
    "an address that is not ours": ({"Host": "192.0.2.7:PORT"}, False),
    "another spelling of our name": ({"Host": "LOCALHOST:PORT"}, True),
    "our name in the new world": ({"Host": "[::1]:PORT", "Origin": "http://[::1]:PORT"}, True),
}


@pytest.mark.parametrize("who", HEADERS)
@pytest.mark.parametrize("what", ["config", "event", "stream"])
def test_who_reaches_gradios_own_routes(open_door: httpx.Client, who: str, what: str) -> None:
    given, welcome = HEADERS[who]
    port = str(open_door.base_url.port)
    headers = {name: value.replace("OWN", own(open_door)).replace("PORT", port) for name, value in given.items()}
    ask = {
        "config": lambda: open_door.get("/config", headers=headers),
        "event": lambda: open_door.post("/gradio_api/call/x", json={"data": []}, headers=headers),
        "stream": lambda: begun(open_door, "/gradio_api/heartbeat/x", headers),
    }
    answer = ask[what]()
    assert (answer.status_code != 403) == welcome, answer.text
    if welcome:
        assert answer.status_code in (200, 404)
    else:
        assert set(answer.json()) == {"error", "field"}


@pytest.mark.parametrize("who", HEADERS)
def test_nobody_uploads_to_gradio(open_door: httpx.Client, who: str) -> None:
    given, welcome = HEADERS[who]
    port = str(open_door.base_url.port)
    headers = {name: value.replace("OWN", own(open_door)).replace("PORT", port) for name, value in given.items()}
    for path in ("/gradio_api/upload", "/gradio_api/upload/", "/gradio_api/upload?upload_id=a"):
        answer = open_door.post(path, files={"files": ("a.png", b"x" * 99)}, headers=headers)
        assert answer.status_code == 403
        assert (answer.json()["error"] == "Uploads go to /api/v1/uploads.") == welcome


@pytest.mark.parametrize(
    "path", ["/" + "a" * 1001, "/static/" + "a" * 256, "/gradio_api/file=" + "a/" * 500, "/a/%F0%9F%A6%8A" + "b" * 252]
)
def test_addresses_longer_than_any_of_ours_reach_nothing(open_door: httpx.Client, path: str) -> None:
    answer = open_door.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "There is nothing at this address.", "field": None}


def test_a_link_on_another_site_may_open_the_page_but_nothing_else(open_door: httpx.Client) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert open_door.get("/", headers=link).status_code == 200
    assert open_door.get("/config", headers=link).status_code == 403
    assert open_door.post("/", headers=link).status_code == 403
    assert open_door.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"}).status_code == 403


def test_people_get_a_page_and_nothing_of_the_request_is_markup(open_door: httpx.Client) -> None:
    answer = open_door.get("/", headers={"Host": "<b>evil</b>", "Accept": "text/html,*/*"})
    assert answer.status_code in (400, 403)  # 400: refused by the HTTP parser already
    answer = open_door.get("/", headers={"Host": "evil.example", "Accept": "text/html,*/*"})
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "evil.example" in answer.text
    assert "<b>" not in answer.text


def test_every_answer_says_what_browsers_must_not_do_with_it(open_door: httpx.Client) -> None:
    for path in ("/", "/config", "/nothing", "/gradio_api/info"):
        headers = open_door.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy


def chunks(size: int) -> Iterator[bytes]:
    yield b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    for _ in range(size // MB):
        yield bytes(MB)


def test_a_body_over_the_cap_is_refused_with_and_without_a_length(open_door: httpx.Client) -> None:
    path = "/gradio_api/call/x"
    form = {"Content-Type": "multipart/form-data; boundary=cut"}
    for answer in (
        open_door.post(path, content=bytes(65 * MB), headers=form),
        open_door.post(path, content=chunks(66 * MB), headers=form),
    ):
        assert answer.status_code == 413
        assert answer.json() == {"error": "The request is larger than 64 MB, the most that is taken.", "field": None}
    assert open_door.get("/config").status_code == 200


def test_without_the_key_only_the_plain_page_is_shown(locked: httpx.Client) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/heartbeat/x", "/theme.css", "/?key=", "/?key=wrong", "/?key=" + KEY[:-1]):
        assert locked.get(path).status_code == 403, path
    answer = locked.get("/", headers={"Accept": "text/html"})
    assert "printed in the terminal" in answer.text
    assert locked.post("/gradio_api/upload", files={"files": b"x"}).status_code == 403
    assert locked.post(f"/gradio_api/upload?key={KEY}", files={"files": b"x"}).status_code == 403
    for header in (
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Cookie": f"safelight={KEY}"},
        {"Cookie": "=;"},
    ):
        assert locked.get("/config", headers=header).status_code == 403


def test_the_key_opens_by_link_once_and_then_by_cookie(locked: httpx.Client) -> None:
    with httpx.Client(base_url=own(locked)) as browser:
        answer = browser.get(f"/?key={KEY}&__theme=dark")
        assert answer.status_code == 303
        assert answer.headers["location"] == "./?__theme=dark"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert KEY not in cookie
        assert browser.get("/config").status_code == 200
        assert browser.get("/config", headers={"Origin": "http://evil.example"}).status_code == 403


def test_the_link_also_opens_from_a_message_on_another_site(locked: httpx.Client) -> None:
    """Browsers keep strict cookies from a redirect that another site began, so the page itself makes the next step."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = httpx.get(f"{own(locked)}/?key={KEY}", headers=link)
    assert answer.status_code == 200
    assert 'content="0;url=./"' in answer.text
    assert "set-cookie" in answer.headers


def test_programs_bring_the_key_in_a_header(locked: httpx.Client) -> None:
    assert locked.get("/config", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert locked.get("/config", headers={"Authorization": f"bearer {KEY}", "Origin": "null"}).status_code == 403


def test_the_door_by_address() -> None:
    assert door_for("127.0.0.1", 7860, environ={}) == Door(frozenset({"localhost", "127.0.0.1", "[::1]"}), cookie="safelight-7860")
    assert door_for("::1", 1, environ={}).key is None
    everywhere = door_for("0.0.0.0", 1, environ={})
    assert len(everywhere.key or "") == 32
    assert everywhere.knows("192.168.1.20:7860")
    assert everywhere.knows("[fe80::1]:7860")
    assert not everywhere.knows("evil.example")
    assert not everywhere.knows("[::evil]")
    named = door_for("studio.lan", 1, environ={})
    assert named.knows("studio.lan:7860")
    assert named.key
    space = door_for("0.0.0.0", 7860, environ={"SPACE_HOST": "me-studio.hf.space"})
    assert space.key is None
    assert space.knows("me-studio.hf.space")
    assert "frame-ancestors https://huggingface.co" in space.policy
    assert "frame-ancestors 'none'" in everywhere.policy


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"host": "localhost:7860"}, True),
        ({"host": "localhost:7860", "origin": "http://localhost:7860"}, True),
        ({"host": "localhost:7860", "origin": "http://evil.example"}, False),
        ({"host": "localhost:7860", "origin": "null"}, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),
        ({"host": "localhost:7860", "sec-fetch-site": "cross-site"}, False),
    ],
)
def test_websockets_pass_the_same_door(headers: dict[str, str], accepted: bool) -> None:
    sent: list[str] = []

    async def app(scope: dict, receive: object, send: object) -> None:
        sent.append("app")

    async def send(message: dict) -> None:
        sent.append(message["type"])

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    anyio.run(Guard(app, Door()), {"type": "websocket", "path": "/ws", "headers": raw}, receive, send)
    assert sent == (["app"] if accepted else ["websocket.close"])
