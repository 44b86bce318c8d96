"""What the driver's errors mean for a call: nothing was written, or nobody knows."""

from __future__ import annotations

import ssl

import asyncpg

from durable_async.errors import BackendError, BackendUnavailableError, ConfigurationError

DRIVER_ERRORS = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a statement, or an attempt to connect, may raise."""

_SERVER_STATES = frozenset({"08", "28", "53", "57", "58"})
_COLLISIONS = frozenset({"40001", "40P01"})
_GAVE_UP = frozenset({"55P03", "57014"})
_NOT_THERE = frozenset({"3F000", "42501", "42703", "42883", "42P01"})
_ANOTHER_SESSION = frozenset({"26000", "42P05"})
"""A prepared statement is missing, or there already: somebody handed sessions around, and the next connection notices."""


class RolledBackError(BackendUnavailableError):
    """Raised when the server rolled a statement back for what others did: nothing was written, and it may be run again.

    Attributes:
        is_collision: Whether it met another transaction, so that the next attempt has good prospects at once.
    """

    def __init__(self, message: str, *, is_collision: bool) -> None:
        self.is_collision = is_collision
        super().__init__(message)


def is_unknown(failure: Exception) -> bool:
    """Tell whether the connection cannot be used any more, and nobody knows what became of the statement."""
    return isinstance(failure, BackendUnavailableError) and not isinstance(failure, RolledBackError)


def sqlstate(error: asyncpg.PostgresError) -> str:
    """Return the server's code of an error, or nothing."""
    return str(getattr(error, "sqlstate", None) or "")


def is_conflict(failure: Exception, constraint: str) -> bool:
    """Tell whether a row was there already, by the name of the constraint that says so."""
    cause = failure.__cause__
    if not isinstance(cause, asyncpg.UniqueViolationError):
        return False
    return getattr(cause, "constraint_name", None) == constraint


def is_turned_away(failure: Exception) -> bool:
    """Tell whether the server answered, and will not let us in however often we come: a wrong password, no such role or database."""
    cause = failure.__cause__
    state = sqlstate(cause) if isinstance(cause, asyncpg.PostgresError) else ""
    return state[:2] == "28" or state == "3D000"


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
    if isinstance(error, ssl.SSLCertVerificationError):
        return BackendUnavailableError(
            f"{description} shows a certificate that is not trusted: {_text(error)}"
        )
    if isinstance(error, TimeoutError):
        return BackendUnavailableError(f"{description} does not answer in time")
    return BackendUnavailableError(f"{description} does not answer: {_text(error)}")


def _translate_state(error: asyncpg.PostgresError, description: str) -> Exception:
    state = sqlstate(error)
    if state in _COLLISIONS or state in _GAVE_UP:
        return RolledBackError(
            f"{description} rolled back: {_text(error)}", is_collision=state in _COLLISIONS
        )
    if not state or state[:2] in _SERVER_STATES or _is_fatal(error) or state in _ANOTHER_SESSION:
        return BackendUnavailableError(f"{description} is not available: {_text(error)}")
    if state[:2] == "25":
        return BackendUnavailableError(f"{description} does not accept writes: {_text(error)}")
    if state in _NOT_THERE:
        # Nobody's own fault: no turn is to be parked for it, and it may pass, as after a grant.
        return RolledBackError(
            f"{description} lacks something, or denies it: {_text(error)};"
            " `durable-async migrate` prepares the schema and prints what to grant",
            is_collision=False,
        )
    return BackendError(f"{description} refused: {_text(error)}")


def _is_fatal(error: asyncpg.PostgresError) -> bool:
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return severity in ("FATAL", "PANIC")


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
