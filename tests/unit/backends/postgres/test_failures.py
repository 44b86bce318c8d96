"""An error of the driver says whether the call may be made again."""

from __future__ import annotations

import asyncpg
import pytest

from durable_async.backends.postgres.failures import RolledBackError, is_unknown, translate
from durable_async.errors import BackendError, BackendUnavailableError, ConfigurationError

HERE = "postgres host/db"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.SerializationError("x"), RolledBackError),
        (asyncpg.DeadlockDetectedError("x"), RolledBackError),
        (asyncpg.LockNotAvailableError("x"), RolledBackError),
        (asyncpg.QueryCanceledError("x"), RolledBackError),
        (asyncpg.AdminShutdownError("x"), BackendUnavailableError),
        (asyncpg.CrashShutdownError("x"), BackendUnavailableError),
        (asyncpg.CannotConnectNowError("x"), BackendUnavailableError),
        (asyncpg.TooManyConnectionsError("x"), BackendUnavailableError),
        (asyncpg.InvalidPasswordError("x"), BackendUnavailableError),
        (asyncpg.DiskFullError("x"), BackendUnavailableError),
        (asyncpg.ReadOnlySQLTransactionError("x"), BackendUnavailableError),
        (asyncpg.IdleInTransactionSessionTimeoutError("x"), BackendUnavailableError),
        (asyncpg.ConnectionDoesNotExistError("x"), BackendUnavailableError),
        (asyncpg.InvalidSQLStatementNameError("x"), BackendUnavailableError),
        (asyncpg.DuplicatePreparedStatementError("x"), BackendUnavailableError),
        (asyncpg.PostgresError("x"), BackendUnavailableError),
        (asyncpg.InterfaceError("x"), BackendUnavailableError),
        (asyncpg.InternalClientError("x"), BackendUnavailableError),
        (asyncpg.TargetServerAttributeNotMatched("x"), BackendUnavailableError),
        (ConnectionResetError("x"), BackendUnavailableError),
        (TimeoutError(), BackendUnavailableError),
        (asyncpg.UniqueViolationError("x"), BackendError),
        (asyncpg.DataError("x"), BackendError),
        (asyncpg.UndefinedFunctionError("x"), RolledBackError),
        (asyncpg.InsufficientPrivilegeError("x"), RolledBackError),
        (asyncpg.ClientConfigurationError("x"), ConfigurationError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_each_kind_is_told_apart(error: Exception, kind: type[Exception]) -> None:
    failure = translate(error, HERE)
    assert type(failure) is kind
    assert HERE in str(failure)
    assert is_unknown(failure) == (kind is BackendUnavailableError)


def test_a_collision_is_worth_another_attempt_at_once_and_a_time_limit_is_not() -> None:
    collision = translate(asyncpg.DeadlockDetectedError("x"), HERE)
    gave_up = translate(asyncpg.QueryCanceledError("x"), HERE)
    assert isinstance(collision, RolledBackError)
    assert isinstance(gave_up, RolledBackError)
    assert collision.is_collision
    assert not gave_up.is_collision


def test_what_lacks_in_the_schema_says_what_to_do() -> None:
    assert "durable-async migrate" in str(translate(asyncpg.UndefinedTableError("x"), HERE))


def test_what_is_translated_already_stays() -> None:
    for error in (BackendUnavailableError("x"), ConfigurationError("x")):
        assert translate(error, HERE) is error
