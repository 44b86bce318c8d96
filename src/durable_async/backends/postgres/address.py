"""Where a hub's database is: the URL, what of it is ours, and what of it may be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote_plus, urlsplit, urlunsplit

from durable_async.errors import ConfigurationError

SCHEMA = "durable_async"

_SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,47}")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:\[\]]*)(:[0-9]{0,5})?")
_PORT_MAX = 65_535

_ONLY_LIBPQ = frozenset(
    {
        "connect_timeout",
        "fallback_application_name",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "sslcompression",
        "sslsni",
    }
)
"""Harmless words of other drivers, which this one would send to the server, which would refuse them."""

_FILES = frozenset({"passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert"})

_SWITCH = MappingProxyType({"true": True, "false": False, "1": True, "0": False})


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_OWN_PARAMETERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "schema": str,
        "direct_dsn": str,
        "letters_max": _number,
        "clients_max": _number,
        "migrate": lambda text: _SWITCH[text.lower()],
    }
)
"""Options of `PostgresBackend` that a URL may carry, and how each is read."""


@dataclass(slots=True)
class Facts:
    """What was found out about one address so far.

    Attributes:
        is_pooled: Whether a pooler answered there last time, that may hand sessions around.
        settings_level: How many of the settings had to be left out.
    """

    is_pooled: bool = False
    settings_level: int = 0


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A hub in a schema in a database.

    Attributes:
        dsn: As asyncpg takes it; it may hold a password, so it is shown nowhere.
        schema: The schema that holds the tables.
        hub: Name of the task hub.
        direct_dsn: The same database without a pooler in between.
        connect_seconds: How long one attempt to connect may take.
        statement_seconds: How long the server works on one statement before it gives up.
    """

    dsn: str = field(repr=False)
    schema: str = SCHEMA
    hub: str = "default"
    direct_dsn: str | None = field(default=None, repr=False)
    connect_seconds: float = 10.0
    statement_seconds: float = 30.0
    _facts: dict[str, Facts] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _SCHEMA_NAME.fullmatch(self.schema):
            raise ConfigurationError(
                f"{self.schema!r} cannot be the name of a schema here: lower-case letters, digits and underscores, at most 48,"
                " not beginning with a digit or with pg_"
            )
        for dsn in (self.dsn, self.direct_dsn):
            if dsn is not None:
                _check(dsn)

    @property
    def addresses(self) -> list[str]:
        """The DSNs that are used; they may hold a password."""
        return [self.dsn] if self.direct_dsn is None else [self.dsn, self.direct_dsn]

    @property
    def place(self) -> str:
        """Hosts and database; never a password."""
        return _place(self.dsn)

    @property
    def description(self) -> str:
        """Server, database, schema and hub; never a password."""
        return f"postgres {self.place} (schema {self.schema!r}, hub {self.hub!r})"

    def facts(self, *, direct: bool) -> Facts:
        """Return what is known of the address."""
        return self._facts.setdefault(self.address(direct=direct), Facts())

    def address(self, *, direct: bool) -> str:
        """Return the DSN to use; it may hold a password."""
        return self.direct_dsn if direct and self.direct_dsn is not None else self.dsn


def parse_url(url: str) -> tuple[str, dict[str, Any]]:
    """Split a URL into a DSN that asyncpg takes and the options of `PostgresBackend` that it carries.

    Raises:
        ConfigurationError: An option is given twice, or its value makes no sense.
    """
    parts = _split(url)
    options: dict[str, Any] = {}
    kept: list[str] = []
    for piece in parts.query.split("&") if parts.query else ():
        name, _, value = piece.partition("=")
        if name not in _OWN_PARAMETERS:
            kept.append(piece)
        elif name in options:
            raise ConfigurationError(f"the URL gives {name!r} twice")
        else:
            options[name] = _read(name, unquote_plus(value))
    return urlunsplit(parts._replace(query="&".join(kept))), options


def options_of(url: str, keywords: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the DSN, and options from the URL and from keywords that are not ``None``.

    Raises:
        ConfigurationError: An option stands in both, or the URL makes no sense.
    """
    dsn, options = parse_url(url)
    for name, value in keywords.items():
        if value is None:
            continue
        if name in options:
            raise ConfigurationError(f"{name!r} is given in the URL and as a keyword")
        options[name] = value
    return dsn, options


def for_driver(dsn: str) -> tuple[str, dict[str, str]]:
    """Return the DSN without what the driver would misunderstand, and the parameters that it holds."""
    parts = _split(dsn)
    pieces = [
        piece
        for piece in parts.query.split("&")
        if piece and piece.partition("=")[0] not in _ONLY_LIBPQ
    ]
    query = "&".join(pieces)
    return urlunsplit(parts._replace(query=query)), dict(parse_qsl(query, keep_blank_values=True))


def has_several_hosts(dsn: str) -> bool:
    """Tell whether there is more than one server to choose from."""
    parts = _split(dsn)
    return "," in parts.netloc or "," in dict(parse_qsl(parts.query)).get("host", "")


def unprotected_hosts(dsn: str) -> list[str]:
    """Return the hosts in a DSN that are reached over a network without knowing that it is they who answer."""
    parts = _split(dsn)
    given = dict(parse_qsl(parts.query))
    if given.get("sslmode", os.environ.get("PGSSLMODE")) == "verify-full":
        return []
    netloc = parts.netloc.rpartition("@")[2] or given.get("host") or os.environ.get("PGHOST", "")
    hosts = [_HOST_AND_PORT.sub(r"\1", host, count=1) for host in netloc.split(",")]
    return [host for host in hosts if not _is_here(host)]


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine: a socket, or the loopback."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read(name: str, value: str) -> Any:
    try:
        if not value:
            raise ValueError  # noqa: TRY301 - refused like any other senseless value
        return _OWN_PARAMETERS[name](value)
    except (ValueError, KeyError):
        pass  # the value is not quoted: it may be an address with a password
    raise ConfigurationError(f"the URL needs one sensible value for {name!r}")


def _split(dsn: str) -> SplitResult:
    try:
        return urlsplit(dsn)
    except ValueError:
        pass  # whose words may quote the password
    raise ConfigurationError("the URL of the database cannot be read")


def _check(dsn: str) -> None:
    """Refuse what cannot be taken apart without doubt, for the wrong half of a password might be shown."""
    parts = _split(dsn)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError("a Postgres DSN begins with postgresql://")
    if dsn.count("@") > ("@" in parts.netloc):
        raise ConfigurationError("in a DSN, @ in a name or password is written %40")
    for name, value in parse_qsl(parts.query):
        if name in _FILES and value != "system" and not Path(value).is_file():
            raise ConfigurationError(f"{name} names a file that is not there: {value}")
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if parts.fragment or not all(_is_host_and_port(host) for host in hosts):
        raise ConfigurationError(
            "in a DSN, characters such as : / ? # in a name or password are written %3A and so on"
        )


def _is_host_and_port(text: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(text)
    return found is not None and int((found[2] or ":")[1:] or 0) <= _PORT_MAX


def _place(dsn: str) -> str:
    parts = _split(dsn)
    given = dict(parse_qsl(parts.query))
    hosts = parts.netloc.rpartition("@")[2] or given.get("host", "")
    database = parts.path.lstrip("/") or given.get("dbname") or given.get("database") or ""
    return f"{hosts}/{database}"
