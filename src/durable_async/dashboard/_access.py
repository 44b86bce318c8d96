"""Who may come in: operators that the application knows, or, where nobody is asked, this machine alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from durable_async.errors import ConfigurationError, ValidationError

ROLES = ("view", "operate")


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who looks at the dashboard.

    Attributes:
        name: As the application knows them; it goes into the audit log.
        role: ``view`` to look at everything, payloads included, or ``operate`` to change things, too.
    """

    name: str
    role: Literal["view", "operate"] = "view"

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValidationError("role", f"must be 'view' or 'operate', not {self.role!r}")

    @property
    def may_operate(self) -> bool:
        """Whether they may change things."""
        return self.role == "operate"


Auth = Callable[[Request], Awaitable[Operator | None]]
"""Tells who asks, or ``None`` if nobody who may. It may raise Starlette's or FastAPI's ``HTTPException``, to ask for a password or to redirect."""

LOCAL = Operator("local", "operate")
"""Who sits at this machine."""

FORWARDED = ("forwarded", "true-client-ip", "via", "x-real-ip")
FORWARDED_PREFIXES = ("cf-", "x-forwarded-")
"""What a proxy adds: behind one, everybody seems to sit at this machine. One that adds nothing cannot be told."""


def door(auth: Auth | None, *, insecure_local: bool) -> Auth:
    """Return what lets operators in.

    Raises:
        ConfigurationError: Nobody said who may come in, or it was said in two ways.
    """
    if auth is None and not insecure_local:
        raise ConfigurationError(
            "a dashboard shows all that a hub holds, and can change it: pass auth=..., which tells who may come in,"
            " or insecure_local=True for whoever sits at this machine"
        )
    if auth is not None and insecure_local:
        raise ConfigurationError("pass auth=... or insecure_local=True, not both")
    return auth or _local_operator


async def _local_operator(request: Request) -> Operator | None:
    refusal = _why_not_local(request)
    if refusal is not None:
        raise HTTPException(403, f"This dashboard asks nobody who they are, and {refusal}.")
    return LOCAL


def _why_not_local(request: Request) -> str | None:
    """Tell why a request is not from a browser on this machine, that was asked for this machine.

    The name matters as well: a page from elsewhere can have its own name resolve to 127.0.0.1, and is then, to the browser, of one origin with
    whatever answers there.
    """
    if request.client is None or not _is_loopback(request.client.host):
        return "so it answers this machine alone"
    if not _is_loopback(_host_of(request)):
        return "so it answers only to localhost and 127.0.0.1"
    if any(name in FORWARDED or name.startswith(FORWARDED_PREFIXES) for name in request.headers):
        return "so it does not answer through a proxy"
    return None


def _host_of(request: Request) -> str:
    """Return the name that the browser asked for, without the port; nothing if there is not exactly one that can be read."""
    hosts = request.headers.getlist("host")
    if len(hosts) != 1:
        return ""
    try:
        parts = urlsplit(f"//{hosts[0]}")
        return parts.hostname or "" if parts.netloc == hosts[0] and not parts.username else ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
