"""Where the hub's database is, how a connection to it is made, and what its errors mean.

Connections carry their settings from the start, in the start-up message. A pooler that refuses them gets none, and one that hands the
server's sessions around is noticed, so that nothing that belongs to a session is relied upon.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit, urlunsplit

import asyncpg

from durable_async.errors import BackendError, BackendUnavailableError, ConfigurationError

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_NAME_BYTES_MAX = 63
_SERVER_VERSION_MIN = 140_000

_OWN_PARAMETERS = frozenset({"schema"})
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

_SERVER_NOTICES_LOSS = MappingProxyType(
    {
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
        "client_connection_check_interval": "2000",
    }
)
"""Lets the server notice a client that vanished, and drop its locks. Not on every platform."""

_SOCKET_OPTIONS = (
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPINTVL", 2),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 10_000),
)
"""Lets this side notice a server that vanished, without a limit on statements of one that lives. Not on every platform."""

DRIVER_ERRORS = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a statement, or an attempt to connect, may raise."""

_REFUSED_SETTINGS = frozenset({"08P01", "22023", "42501", "42704"})
_SERVER_STATES = frozenset({"08", "28", "53", "57", "58"})
_COLLISIONS = frozenset({"40001", "40P01"})
_GAVE_UP = frozenset({"55P03", "57014"})
_NOT_THERE = frozenset({"3F000", "42501", "42703", "42883", "42P01"})


class RolledBackError(BackendUnavailableError):
    """Raised when the server rolled a statement back for what others did: nothing was written, and it may be run again.

    Attributes:
        is_collision: Whether it met another transaction, so that the next attempt has good prospects at once.
    """

    def __init__(self, message: str, *, is_collision: bool) -> None:
        self.is_collision = is_collision
        super().__init__(message)


@dataclass(slots=True)
class _Facts:
    """What was found out about one address so far."""

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
    schema: str = "durable_async"
    hub: str = "default"
    direct_dsn: str | None = field(default=None, repr=False)
    connect_seconds: float = 10.0
    statement_seconds: float = 30.0
    _facts: dict[str, _Facts] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _SCHEMA_NAME.fullmatch(self.schema):
            raise ConfigurationError(
                f"{self.schema!r} cannot be the name of a schema here: lower-case letters, digits and underscores, at most 48,"
                " not beginning with a digit"
            )
        for dsn in (self.dsn, self.direct_dsn):
            if dsn is not None:
                _check(dsn)

    @property
    def description(self) -> str:
        """Server, database, schema and hub; never a password."""
        return f"postgres {_place(self.dsn)} (schema {self.schema!r}, hub {self.hub!r})"

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler was seen between here and the server, that may hand sessions around."""
        return self.facts(direct=False).is_pooled

    def facts(self, *, direct: bool) -> _Facts:
        """Return what is known of the address."""
        return self._facts.setdefault(self.address(direct=direct), _Facts())

    def address(self, *, direct: bool) -> str:
        """Return the DSN to use; it may hold a password."""
        return self.direct_dsn if direct and self.direct_dsn is not None else self.dsn


def parse_url(url: str) -> tuple[str, dict[str, Any]]:
    """Split a URL into a DSN that asyncpg takes and options of `PostgresBackend`.

    Raises:
        ConfigurationError: An option is given twice or is empty.
    """
    parts = _split(url)
    options: dict[str, Any] = {}
    kept: list[str] = []
    for piece in parts.query.split("&") if parts.query else ():
        name, _, value = piece.partition("=")
        if name not in _OWN_PARAMETERS:
            kept.append(piece)
            continue
        if name in options or not value:
            raise ConfigurationError(f"the URL needs one value for {name!r}")
        options[name] = unquote_plus(value)
    return urlunsplit(parts._replace(query="&".join(kept))), options


async def connect(
    target: PostgresTarget, role: str, *, direct: bool = False, statement_cache: bool = True
) -> asyncpg.Connection:
    """Connect for one purpose.

    Args:
        target: Where to.
        role: What for; the server shows it.
        direct: Past the pooler, if there is a way.
        statement_cache: Whether statements may stay prepared in the session; they never do behind a pooler.

    Raises:
        BackendUnavailableError: Nobody answers there, or we are not let in.
        ConfigurationError: The DSN makes no sense.
    """
    facts = target.facts(direct=direct)
    try:
        connection = await _connect_somehow(target, facts, role, direct, statement_cache)
        try:
            if not await _is_pooled(connection):
                return connection
        except BaseException:
            connection.terminate()
            raise
        if facts.is_pooled or not statement_cache:
            facts.is_pooled = True
            return connection
        facts.is_pooled = True
        connection.terminate()
        return await _connect_somehow(target, facts, role, direct, statement_cache)
    except DRIVER_ERRORS as error:
        raise translate(error, target.description) from error


def settings_for(target: PostgresTarget, role: str) -> dict[str, str]:
    """Return what a session is told when it begins."""
    name = f"durable_async/{target.hub}".encode()[: _NAME_BYTES_MAX - len(role) - 1]
    return {
        "application_name": f"{name.decode(errors='ignore')}/{role}",
        # A hint that a crash takes back harms nobody.
        "synchronous_commit": "off" if role == "ears" else "on",
        "default_transaction_isolation": "read committed",
        "statement_timeout": str(round(target.statement_seconds * 1000)),
        "lock_timeout": str(round(target.statement_seconds * 500)),
        "idle_in_transaction_session_timeout": "5000",
        "idle_session_timeout": "0",
        "client_min_messages": "warning",
        "jit": "off",
        **_SERVER_NOTICES_LOSS,
    }


async def inspect(connection: asyncpg.Connection) -> list[str]:
    """Look whether the server can keep promises, and return what an administrator should know.

    Raises:
        ConfigurationError: It cannot be used.
    """
    row = await connection.fetchrow(
        "select current_setting('server_version_num')::int as version, pg_is_in_recovery() as is_standby,"
        " current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,"
        " current_setting('full_page_writes') as full_page_writes, current_setting('autovacuum') as autovacuum,"
        " current_setting('synchronous_commit') as synchronous_commit,"
        " current_setting('transaction_isolation') as isolation,"
        " current_setting('transaction_read_only') as read_only"
    )
    _refuse(row)
    return [warning for warning, applies in _warnings(row) if applies]


def translate(error: BaseException, description: str) -> Exception:
    """Say what an error of the driver means for the call.

    Returns:
        `RolledBackError`: nothing was written, run it again. `BackendError`: nothing was written, and it is the call's own fault.
        `BackendUnavailableError`: anything else, so whether it took effect is unknown. `ConfigurationError`: the DSN.
    """
    if isinstance(error, BackendError | ConfigurationError):
        return error
    if isinstance(error, asyncpg.ClientConfigurationError):
        return ConfigurationError(f"{description}: the driver does not understand the DSN")
    if isinstance(error, asyncpg.PostgresError):
        return _translate_state(error, description)
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return BackendError(f"{description} cannot take a value: {error}")
    if isinstance(error, TimeoutError):
        return BackendUnavailableError(f"{description} does not answer in time")
    return BackendUnavailableError(f"{description} does not answer: {_text(error)}")


def _translate_state(error: asyncpg.PostgresError, description: str) -> Exception:
    state = _state(error)
    if state in _COLLISIONS or state in _GAVE_UP:
        return RolledBackError(
            f"{description} rolled back: {_text(error)}", is_collision=state in _COLLISIONS
        )
    if not state or state[:2] in _SERVER_STATES or _is_fatal(error):
        return BackendUnavailableError(f"{description} is not available: {_text(error)}")
    if state[:2] == "25":
        return BackendUnavailableError(f"{description} does not accept writes: {_text(error)}")
    if state in _NOT_THERE:
        return BackendError(
            f"{description} lacks something, or denies it: {_text(error)};"
            " `durable-async migrate` prepares the schema and prints what to grant"
        )
    return BackendError(f"{description} refused: {_text(error)}")


def _state(error: asyncpg.PostgresError) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _is_fatal(error: asyncpg.PostgresError) -> bool:
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return severity in ("FATAL", "PANIC")


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


# -- one connection


async def _connect_somehow(
    target: PostgresTarget, facts: _Facts, role: str, direct: bool, statement_cache: bool
) -> asyncpg.Connection:
    level = facts.settings_level
    while True:
        try:
            connection = await _connect_once(target, facts, role, direct, statement_cache, level)
        except asyncpg.PostgresError as error:
            if _state(error) not in _REFUSED_SETTINGS or level == _NO_SETTINGS:
                raise
            level += 1
        else:
            facts.settings_level = level
            return connection


_NO_SETTINGS = 3


def _settings_at(level: int, settings: Mapping[str, str]) -> dict[str, str]:
    """Fewer settings the higher the level: all, what every server knows, what every pooler knows, none."""
    if level == 0:
        return dict(settings)
    if level == 1:
        return {name: value for name, value in settings.items() if name not in _SERVER_NOTICES_LOSS}
    return {"application_name": settings["application_name"]} if level == 2 else {}


async def _connect_once(
    target: PostgresTarget,
    facts: _Facts,
    role: str,
    direct: bool,
    statement_cache: bool,
    level: int,
) -> asyncpg.Connection:
    address = target.address(direct=direct)
    dsn, given = _for_driver(address)
    settings = _settings_at(level, settings_for(target, role))
    try:
        connect_anywhere: Any = asyncpg.connect  # its annotations are narrower than it is
        connection = await connect_anywhere(
            dsn,
            timeout=target.connect_seconds,
            statement_cache_size=100 if statement_cache and not facts.is_pooled else 0,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            # What the DSN says itself wins.
            server_settings={name: value for name, value in settings.items() if name not in given},
            target_session_attrs=_session_attributes(address, given),
        )
    except asyncpg.ClientConfigurationError:
        raise ConfigurationError(f"{target.description}: {_UNREADABLE}") from None
    except ValueError:
        # The driver's own words may quote parts of a password.
        raise ConfigurationError(f"{target.description}: {_UNREADABLE}") from None
    _tune_socket(connection)
    return connection


_UNREADABLE = "the driver cannot read the DSN; characters such as @ : / ? # in names and passwords are written %40 and so on"


def _session_attributes(address: str, given: Mapping[str, str]) -> str | None:
    """Of several hosts the one that can write, unless the DSN says otherwise."""
    several = "," in urlsplit(address).netloc or "," in given.get("host", "")
    return "read-write" if several and "target_session_attrs" not in given else None


async def _is_pooled(connection: asyncpg.Connection) -> bool:
    # By the simple protocol, which prepares nothing in a session that may be shared.
    own = int(connection.get_server_pid())
    tag = await connection.execute(f"select where pg_backend_pid() = {own}", timeout=None)
    return not str(tag).endswith(" 1")


def _tune_socket(connection: asyncpg.Connection) -> None:
    transport: asyncio.BaseTransport | None = getattr(connection, "_transport", None)
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS:
        option: int | None = getattr(socket, name, None)
        if option is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)


# -- addresses


def _split(dsn: str) -> Any:
    try:
        return urlsplit(dsn)
    except ValueError:
        raise ConfigurationError("the URL of the database cannot be read") from None


def _check(dsn: str) -> None:
    parts = _split(dsn)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError("a Postgres DSN begins with postgresql://")
    if parts.netloc.count("@") > 1:
        raise ConfigurationError("in a DSN, @ in a name or password is written %40")


def _for_driver(dsn: str) -> tuple[str, dict[str, str]]:
    """Return the DSN without what the driver would misunderstand, and the parameters that it holds."""
    parts = _split(dsn)
    pieces = [
        piece
        for piece in parts.query.split("&")
        if piece and piece.partition("=")[0] not in _ONLY_LIBPQ
    ]
    query = "&".join(pieces)
    return urlunsplit(parts._replace(query=query)), dict(parse_qsl(query, keep_blank_values=True))


def _place(dsn: str) -> str:
    parts = _split(dsn)
    given = dict(parse_qsl(parts.query))
    hosts = parts.netloc.rpartition("@")[2] or given.get("host", "")
    database = parts.path.lstrip("/") or given.get("dbname") or given.get("database") or ""
    return f"{hosts}/{database}"


# -- the server


def _refuse(row: Any) -> None:
    if row["version"] < _SERVER_VERSION_MIN:
        raise ConfigurationError(
            f"Postgres {row['version'] // 10_000} is too old: durable_async needs 14 or newer"
        )
    if row["is_standby"]:
        raise ConfigurationError(
            "this server is a standby, and can only be read: connect to the primary, or give all hosts in the DSN"
        )
    if row["encoding"] != "UTF8":
        raise ConfigurationError(f"the database's encoding is {row['encoding']}, it must be UTF8")


def _warnings(row: Any) -> list[tuple[str, bool]]:
    return [
        (
            "fsync is off: a crash of the machine may lose or corrupt everything",
            row["fsync"] != "on",
        ),
        (
            "full_page_writes is off: a crash of the machine may corrupt everything",
            row["full_page_writes"] != "on",
        ),
        ("autovacuum is off: tables will grow and slow down", row["autovacuum"] != "on"),
        (
            "synchronous_commit is off: the last moments before a crash are lost although they were acknowledged",
            row["synchronous_commit"] == "off",
        ),
        (
            f"transactions are {row['isolation']} by default and this cannot be changed here; read committed is expected",
            row["isolation"] != "read committed",
        ),
        ("transactions are read-only by default", row["read_only"] == "on"),
    ]
