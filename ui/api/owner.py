"""Who may change what the studio has: a guest makes pictures, the owner also downloads, loads and annotates models."""

import ipaddress
from typing import Annotated, Literal

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

Managing = Literal["here", "everyone", "nobody"]
"""Who counts as the owner: whoever sits at the machine the studio runs on, everyone who may come in, or nobody."""

# What a proxy or tunnel adds: behind one, everybody seems to come from this machine.
_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip")
_SENTENCES = {
    "here": "Models are managed at the machine that the studio runs on; --manage everyone allows it to all who may come in.",
    "nobody": "This studio was started with --manage nobody, so its models cannot be changed.",
}


def is_owner(request: Request) -> bool:
    """Whether this request may manage models."""
    managing: Managing = request.app.state.managing
    if managing != "here":
        return managing == "everyone"
    return _is_loopback(request.client.host if request.client else "") and not any(name in request.headers for name in _PASSED_ON)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


async def _require_owner(request: Request) -> None:
    if not is_owner(request):
        raise HTTPException(403, _SENTENCES[request.app.state.managing])


async def _tell_owner(request: Request) -> bool:
    return is_owner(request)


OWNER_ONLY = Depends(_require_owner)
IsOwner = Annotated[bool, Depends(_tell_owner)]
