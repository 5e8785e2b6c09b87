"""Who may come in: the names that a request may call us by, the key it must bring, what browsers may do with answers."""

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

MAX_BODY = 64 * 2**20
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST = re.compile(r"^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::(\d{1,5}))?$")


@dataclass(frozen=True)
class Door:
    """Who may come in.

    `hosts` are the names that a request may call us by; with `any_address` every literal IP address is one too (a
    rebound name is never an address). `key` is asked of everyone when it is given. `framed_by` lists the CSP sources
    that may show the page in a frame.
    """

    hosts: frozenset[str] = LOOPBACK
    any_address: bool = False
    key: str | None = None
    cookie: str = "safelight"
    framed_by: str = "'none'"
    max_body: int = MAX_BODY

    def knows(self, host: str) -> bool:
        """`host` is the Host header's value."""
        match = HOST.match(host.lower())
        return bool(match) and (match[1] in self.hosts or (self.any_address and _is_address(match[1])))

    @property
    def cookie_value(self) -> str:
        """The cookie's value: derived, because cookies are shown to every other server of the same host name."""
        return hmac.new((self.key or "").encode(), b"safelight cookie", hashlib.sha256).hexdigest()

    def is_key(self, given: str) -> bool:
        return _same(given, self.key or "")

    def opens(self, headers: Headers) -> bool:
        """Whether the request carries the key, as a cookie or as `Authorization: Bearer`."""
        if self.key is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_key(given.strip()):
            return True
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self.cookie in cookies and _same(cookies[self.cookie].value, self.cookie_value)

    @property
    def policy(self) -> str:
        """The CSP: Gradio's page needs inline and generated code; nothing comes from, or goes to, another host."""
        return "; ".join(
            (
                "default-src 'self'",
                "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "media-src 'self' data: blob:",
                "font-src 'self' data:",
                "connect-src 'self' data: blob:",
                "worker-src 'self' blob:",
                "object-src 'none'",
                "base-uri 'self'",
                "form-action 'self'",
                f"frame-ancestors {self.framed_by}",
            )
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
