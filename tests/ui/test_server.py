"""Starting and stopping: the address, the key, ports in use, signals, and that nothing leaves the machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import gradio as gr
import httpx
import pytest

from pipelines.errors import StudioError
from tests.ui.serving import make_studio, served
from ui import address
from ui.door import Door
from ui.environment import prepare
from ui.server import serve

ROOT = Path(__file__).parents[2]

# A program as app.py is one. `getaddrinfo` with a name is a question to the network.
PROGRAM = """
import socket, sys
real = socket.getaddrinfo
def watched(host, *rest, **more):
    if host not in (None, "localhost", "127.0.0.1", "::1", "0.0.0.0"):
        print("ASKED FOR", host, flush=True)
    return real(host, *rest, **more)
socket.getaddrinfo = watched
from pathlib import Path
from tests.ui.serving import make_studio
import gradio as gr
from ui.server import serve
if __name__ == "__main__":
    studio = make_studio(Path(sys.argv[1]))
    studio.start()
    with gr.Blocks() as demo:
        gr.Markdown("the page")
    serve(studio, demo, port=int(sys.argv[2])).wait()
    print("ended well", flush=True)
"""


def test_it_answers_at_the_printed_address_and_nothing_answers_after_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studio = make_studio(tmp_path)
    studio.start()
    with gr.Blocks(analytics_enabled=False) as demo:
        gr.Markdown("the page")
    server = serve(studio, demo, port=0)
    assert capsys.readouterr().out == f"Safelight is open at {server.url}\n"
    assert server.key is None
    assert httpx.get(server.url).status_code == 200
    server.stop()
    server.stop()
    with pytest.raises(httpx.TransportError):
        httpx.get(server.url)


def test_streams_that_are_open_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with served(tmp_path) as it:
        job = it.submit(prompt="hold:2")["id"]
        with it.client.stream("GET", f"/api/v1/jobs/{job}/events") as stream:
            next(stream.iter_bytes())
            began = time.monotonic()
            it.server.stop()
            assert time.monotonic() - began < 5


def test_open_to_the_network_it_asks_for_the_printed_key(tmp_path: Path) -> None:
    with served(tmp_path, host="0.0.0.0") as it:
        key = it.server.key
        assert len(key) == 32
        assert it.server.url == f"http://127.0.0.1:{it.client.base_url.port}/?key={key}"
        assert it.client.get("/api/v1/health").status_code == 403
        assert it.client.get("/api/v1/health", headers={"Authorization": f"Bearer {key}"}).json()["status"] == "ok"
        for link in it.server.addresses:  # also by the address in the network, as a phone does
            with httpx.Client(follow_redirects=True) as phone:
                page = phone.get(link, headers={"Accept": "text/html"})
                assert page.status_code == 200
                assert key not in str(page.url)
                assert phone.get(page.url.join("api/v1/health")).status_code == 200
                assert phone.post(page.url.join("api/v1/jobs"), json={}, headers={"Origin": "http://evil.example"}).status_code == 403


def test_a_key_may_be_given(tmp_path: Path) -> None:
    with served(tmp_path, access_key="open sesame") as it:
        assert it.client.get("/api/v1/health").status_code == 403
        assert it.client.get("/api/v1/health", headers={"Authorization": "Bearer open sesame"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_one_sentence_that_names_it(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StudioError, match=f"^Port {port} is in use already.*--port {port + 1}\\.$"):
            address.claim(host, port)


def test_the_links_by_address() -> None:
    assert address.links("127.0.0.1", 7860, Door()) == ["http://127.0.0.1:7860/"]
    assert address.links("::1", 1, Door()) == ["http://[::1]:1/"]
    assert address.links("::", 1, Door(key="k")) == ["http://[::1]:1/?key=k"]
    assert address.links("0.0.0.0", 1, Door(key="k"))[0] == "http://127.0.0.1:1/?key=k"


def test_it_can_be_served_on_the_newer_loopback(tmp_path: Path) -> None:
    try:
        address.claim("::1", 0)
    except StudioError:
        pytest.skip("no IPv6 here")
    with served(tmp_path, host="[::1]") as it:
        assert it.server.key is None
        assert it.client.get("/api/v1/health", headers={"Origin": it.server.url[:-1]}).status_code == 200


def test_an_address_of_another_machine_is_one_sentence() -> None:
    for host in ("192.0.2.1", "no such host", "300.1.1.1", "x" * 80):
        with pytest.raises(StudioError, match=r"^--host .* is no address of this machine .*; try 127\.0\.0\.1\.$"):
            address.claim(host, 0)
    with pytest.raises(StudioError, match=r"^--port must be between 1 and 65535; got 99999\.$"):
        address.claim("127.0.0.1", 99999)


def test_a_server_in_the_way_leaves_the_studio_as_it_was(tmp_path: Path) -> None:
    with served(tmp_path) as it, gr.Blocks(analytics_enabled=False) as demo:
        port = it.client.base_url.port
        with pytest.raises(StudioError, match=f"Port {port} is in use"):
            serve(it.studio, demo, port=port)
        assert it.client.get("/api/v1/health").status_code == 200


def test_the_environment_is_quiet_and_keeps_what_the_user_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"NO_PROXY": "intranet", "GRADIO_SHARE": "True"})
    prepare(tmp_path)
    prepare(tmp_path)
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / ".safelight" / "tmp")
    assert os.environ["NO_PROXY"] == "intranet,localhost,127.0.0.1,::1"
    assert "GRADIO_SHARE" not in os.environ


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between programs")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_nothing_asks_the_network(tmp_path: Path, number: signal.Signals) -> None:
    make_studio(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    port = address.claim("127.0.0.1", 0)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path), str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HTTP_PROXY": "http://127.0.0.1:1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as program:
        lines = [program.stdout.readline()]
        while "open at" not in lines[-1]:
            assert lines[-1], program.stderr.read()
            lines.append(program.stdout.readline())
        assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
        began = time.monotonic()
        program.send_signal(number)
        rest = program.stdout.readline()
        assert time.monotonic() - began < 20  # about half a second, if nothing else were running
        more, errors = program.communicate(timeout=60)
    assert program.returncode == 0, errors
    assert lines == [f"Safelight is open at http://127.0.0.1:{port}/\n"]
    assert (rest, more) == ("ended well\n", "")
    assert "Traceback" not in errors
