"""Hosts: a page of another site can have its own name resolve to this server, and is its own site then; only the name that it asks for gives it away."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from durable_async.errors import ConfigurationError, shown

from .messages import Call
from .problems import ProblemError

_ANY_BELOW = "*."


def allowed_names(allowed_hosts: Collection[str] | None) -> tuple[str, ...] | None:
    """Return the names that are answered to, as `refuse_other_hosts` compares them; ``None`` for any.

    Raises:
        ConfigurationError: One is no name.
    """
    if allowed_hosts is None:
        return None
    if isinstance(allowed_hosts, str):
        raise ConfigurationError(
            f"allowed_hosts must be a list of names, not {shown(allowed_hosts)}"
        )
    return tuple(map(_allowed_name, allowed_hosts))


def refuse_other_hosts(call: Call, names: tuple[str, ...] | None) -> None:
    """Refuse what was sent to another name than those of the server; ports do not count.

    Raises:
        ProblemError: 400; nothing was done.
    """
    if names is None:
        return
    host = _name(call.headers.get("host", ""))
    if host is None or not any(_fits(host, name) for name in names):
        raise ProblemError(
            400, "host-not-allowed", "this server does not answer to the host of the request"
        )


def _allowed_name(given: str) -> str:
    below = given.startswith(_ANY_BELOW)
    bare = given.removeprefix(_ANY_BELOW)
    name = _name(f"[{bare}]" if bare.count(":") > 1 and not bare.startswith("[") else bare)
    if name is None or "*" in name or _has_port(bare):
        raise ConfigurationError(
            f"allowed_hosts: {shown(given)} is no name such as localhost, 127.0.0.1, [::1] or *.shop.example"
        )
    return f"{_ANY_BELOW}{name}" if below else name


def _has_port(name: str) -> bool:
    return name.count(":") == 1 or "]:" in name


def _name(host: str) -> str | None:
    """Return the name in a ``Host``, in lower case, without its port; ``None`` if there is none."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.netloc != host or "@" in host:
            return None
        return (parts.hostname or "").removesuffix(".") or None
    except ValueError:
        return None


def _fits(host: str, name: str) -> bool:
    return host.endswith(name[1:]) if name.startswith(_ANY_BELOW) else host == name
