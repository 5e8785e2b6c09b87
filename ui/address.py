"""Where the studio listens: whether that can be, who may come in there, and what to print."""

import errno
import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from urllib.parse import quote

from pipelines.errors import StudioError

from .door import LOOPBACK, Door

HUGGING_FACE = "https://huggingface.co https://*.huggingface.co https://*.hf.space"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`, an address or a name without brackets."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def door_for(host: str, port: int, access_key: str | None = None, environ: Mapping[str, str] = os.environ) -> Door:
    """Who may come in at `host`: on this machine everyone on it; in a network who has the key; in a Space its visitors."""
    names = {*LOOPBACK, in_url(host).lower()}
    cookie = f"safelight-{port}"  # cookies are shared by all ports of a host
    if is_loopback(host):
        return Door(frozenset(names), key=access_key or None, cookie=cookie)
    if space := environ.get("SPACE_HOST"):
        names.update(name.strip().lower() for name in space.split(","))
        return Door(frozenset(names), True, access_key or None, cookie, HUGGING_FACE)
    own = socket.gethostname().lower()
    names.update((own, f"{own}.local"))
    return Door(frozenset(names), True, access_key or secrets.token_hex(16), cookie)


def claim(host: str, port: int) -> int:
    """The port to listen on (`port` 0 stands for any free one); raises StudioError when it cannot be had."""
    if not 0 <= port <= 65535:
        raise StudioError(f"--port must be between 1 and 65535; got {port}.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise StudioError(f"--host {host!r} is no address of this machine ({error}); try 127.0.0.1.") from None
    with socket.socket(family, kind) as probe:
        # On Windows "reuse" would let two servers share a port; elsewhere it only ignores connections that are fading out.
        option = socket.SO_EXCLUSIVEADDRUSE if sys.platform == "win32" else socket.SO_REUSEADDR
        probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise StudioError(_sentence(host, port, error)) from None
        return probe.getsockname()[1]


def _sentence(host: str, port: int, error: OSError) -> str:
    other = port + 1 if port < 65535 else port - 1
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use already, perhaps by another Safelight; choose another, for example --port {other}."
    if error.errno == errno.EACCES:
        other = 7860 if port < 1024 else other
        return f"Port {port} is reserved or takes an administrator's rights; choose another, for example --port {other}."
    return f"--host {host!r} is no address of this machine ({error.strerror}); try 127.0.0.1."


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def links(host: str, port: int, door: Door) -> list[str]:
    """The addresses to open the studio at: on this machine, and in the network when it is open to it."""
    hosts = {"0.0.0.0": ["127.0.0.1", _network_address()], "::": ["::1"]}.get(host, [host])
    query = f"?key={quote(door.key, safe='')}" if door.key else ""
    return [f"http://{in_url(each)}:{port}/{query}" for each in hosts if each]


def _network_address() -> str | None:
    """This machine's address in its network. Connecting a datagram socket sends nothing; 192.0.2.1 is nobody's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return None
