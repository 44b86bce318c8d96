"""Every error that durable_async raises on purpose.

    DurableError                                 the root; each class carries its facts as attributes
    ├── ConfigurationError                       found before any work starts
    │   ├── RegistrationError                    a name registered twice, or a function that cannot be registered
    │   ├── MissingExtraError (ImportError)      names the extra to install
    │   └── SchemaVersionError                   the store's schema is not one that this release works with
    ├── ValidationError (ValueError)             an argument refused before anything was written
    │   ├── PayloadTooLargeError                 a value over the size limit
    │   └── LimitExceededError                   a count over its limit
    ├── SerializationError                       a value that does not become bytes, or bytes that do not become a value
    │   ├── EncodeError (TypeError)
    │   └── DecodeError (ValueError)
    ├── InstanceError                            about one instance
    │   ├── InstanceNotFoundError (LookupError)
    │   ├── InstanceExistsError
    │   ├── InvalidTransitionError               the instance's status does not allow the request
    │   ├── InstanceParkedError                  it is out of circulation, and has no result before somebody puts it back
    │   └── WaitTimeoutError (TimeoutError)
    ├── ScheduleError                            about one schedule
    │   ├── ScheduleNotFoundError (LookupError)
    │   └── ScheduleExistsError
    ├── ExecutionError                           user code failed; carries FailureDetails
    │   ├── ActivityFailedError
    │   ├── SubOrchestrationFailedError
    │   ├── EntityOperationFailedError           seen by whoever called an entity
    │   ├── OrchestrationFailedError             seen by a client
    │   └── OrchestrationTerminatedError         seen by a client
    ├── DeterminismError                         abandons the turn, never fails the orchestration
    │   ├── NonDeterminismError                  history and code disagree
    │   ├── ForbiddenOperationError              something a replay cannot repeat
    │   ├── TurnBudgetError                      a turn that does not come to rest
    │   ├── StalledOrchestrationError            waits for something that nothing durable will complete
    │   └── NotRegisteredError (LookupError)     no worker registered the activity in time
    ├── UnknownOperationError (AttributeError)   an entity has no such operation
    ├── EntityStateAbsentError (LookupError)     an entity has no state yet, and no initial one
    ├── PoisonedOperationError                   an entity's operation was parked: its workers died of it
    ├── EntityLockError (RuntimeError)           a rule of critical sections was broken
    ├── EntityLockTimeoutError (TimeoutError)    entities could not be locked in time
    ├── EntityLockLostError                      the section does not hold the entity any more
    ├── OutsideOrchestrationError (RuntimeError) a durable call made where nothing is durable
    └── BackendError                             .retryable is the backend's own word
        ├── BackendUnavailableError              retryable
        ├── FencedError                          another worker took over; drop everything
        ├── OverloadedError                      retryable; a bound was reached
        └── CorruptHistoryError                  one instance's stored history cannot be read

A class that callers of the standard library already catch has that class as its second base.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durable_async.failure import FailureDetails


class DurableError(Exception):
    """Root of every error that durable_async raises on purpose.

    It can be pickled and copied, with its facts, as on the way out of another process.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # As exceptions do it, `__init__` would be called again, with the message in place of the facts.
        return _made_anew, (type(self), self.args), self.__dict__


def _made_anew(kind: type[DurableError], args: tuple[Any, ...]) -> DurableError:
    error = kind.__new__(kind)
    error.args = args
    return error


SHOWN_CHARS_MAX = 200


def shown(value: object) -> str:
    """Return how a message quotes what somebody passed: cut, and whatever becomes of its ``repr``, so that the message is what is raised."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a number with very many digits has none, and a class may raise anything
        text = f"a {type(value).__name__}"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."


# -- configuration


class ConfigurationError(DurableError):
    """Raised when a setting or a combination of settings cannot work."""


class RegistrationError(ConfigurationError):
    """Raised when a function cannot be registered under a name."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"cannot register {name!r}: {reason}")


class MissingExtraError(ConfigurationError, ImportError):
    """Raised when an optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs {package!r}, which is not installed: pip install 'durable-async[{extra}]'"
            f" (in a clone of it: pip install '.[{extra}]')"
        )


class SchemaVersionError(ConfigurationError):
    """Raised when the store's schema is newer than this release understands, or older and may not be upgraded from here.

    Attributes:
        found: The store's schema version; 0 if there is no schema.
        wanted: The one that this release works with.
        reason: Why it may not be upgraded, where that is not a matter of releases or of rights.
    """

    def __init__(
        self, found: int, wanted: int, reason: str | None = None, *, store: str = "the store"
    ) -> None:
        self.found = found
        self.wanted = wanted
        self.reason = reason
        has = f"has schema version {found}" if found else "has no schema yet"
        advice = (
            "upgrade durable-async in this process"
            if found > wanted
            else "let the schema's owner run `durable-async migrate apply`"
        )
        super().__init__(f"{store} {has}, this release works with {wanted}: {reason or advice}")


# -- arguments


class ValidationError(DurableError, ValueError):
    """Raised when an argument is refused, before anything was written.

    Attributes:
        field: The argument's name.
    """

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class PayloadTooLargeError(ValidationError):
    """Raised when an encoded value is over the size limit.

    Attributes:
        size_bytes: The encoded size.
        limit_bytes: What is allowed.
    """

    def __init__(self, field: str, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        super().__init__(
            field,
            f"{size_bytes:,} bytes encoded, over the limit of {limit_bytes:,}; "
            "store the data elsewhere and pass a reference",
        )


class LimitExceededError(ValidationError):
    """Raised when a count is over its limit."""

    def __init__(self, field: str, count: int, limit: int, advice: str) -> None:
        self.count = count
        self.limit = limit
        super().__init__(field, f"{count:,} is over the limit of {limit:,}; {advice}")


# -- values and bytes


class SerializationError(DurableError):
    """Raised when a value and its bytes cannot be turned into each other.

    Attributes:
        where: What the value is for, such as ``activity 'charge' input``.
        path: The place inside the value, such as ``$.items[3].price``.
    """

    def __init__(self, where: str, path: str, reason: str) -> None:
        self.where = where
        self.path = path
        self.reason = reason
        super().__init__(f"{where} at {path}: {reason}")


class EncodeError(SerializationError, TypeError):
    """Raised when a value cannot be stored as JSON."""


class DecodeError(SerializationError, ValueError):
    """Raised when stored JSON does not fit the annotated type."""


# -- instances


class InstanceError(DurableError):
    """Root of errors about one instance.

    Attributes:
        instance_id: Which one.
    """

    def __init__(self, instance_id: str, message: str) -> None:
        self.instance_id = instance_id
        super().__init__(message)


class InstanceNotFoundError(InstanceError, LookupError):
    """Raised when no instance has the id."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id, f"no instance {instance_id!r} in this task hub")


class InstanceExistsError(InstanceError):
    """Raised when an id is taken and the reuse policy does not allow to reuse it; ``status`` is that of who has it."""

    def __init__(self, instance_id: str, status: str) -> None:
        self.status = status
        super().__init__(
            instance_id,
            f"instance {instance_id!r} exists with status {status}: choose another id, or say what to do with reuse=...",
        )


class InvalidTransitionError(InstanceError):
    """Raised when an instance's status does not allow the request."""

    def __init__(self, instance_id: str, verb: str, status: str, needed: str) -> None:
        self.verb = verb
        self.status = status
        self.needed = needed
        super().__init__(
            instance_id, f"cannot {verb} instance {instance_id!r}: it is {status}, not {needed}"
        )


class InstanceParkedError(InstanceError):
    """Raised at a client that waits for the result of an instance that is parked: there is none before somebody puts it back.

    Attributes:
        reason: Why it was parked.
    """

    def __init__(self, instance_id: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            instance_id,
            f"instance {instance_id!r} is parked, until the cause is gone and unpark is called: {reason}",
        )


class WaitTimeoutError(InstanceError, TimeoutError):
    """Raised when an instance did not get there in time; it goes on running."""

    def __init__(
        self, instance_id: str, waited_for: str, seconds: float, standing: str = ""
    ) -> None:
        self.waited_for = waited_for
        self.seconds = seconds
        super().__init__(
            instance_id,
            f"instance {instance_id!r} did not {waited_for} within {round(seconds, 3):g} s"
            + (f": {standing}" if standing else ""),
        )


# -- schedules


class ScheduleError(DurableError):
    """Root of errors about one schedule.

    Attributes:
        schedule_id: Which one.
    """

    def __init__(self, schedule_id: str, message: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(message)


class ScheduleNotFoundError(ScheduleError, LookupError):
    """Raised when no schedule has the id."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(schedule_id, f"no schedule {schedule_id!r} in this task hub")


class ScheduleExistsError(ScheduleError):
    """Raised when a schedule is to be created under an id that has one."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(
            schedule_id,
            f"schedule {schedule_id!r} exists: choose another id, or say what to do with if_exists=...",
        )


# -- user code


class ExecutionError(DurableError):
    """Root of failures of user code, seen from elsewhere.

    Attributes:
        failure: The exception as data: type, message, stack, cause.
    """

    def __init__(self, subject: str, failure: FailureDetails) -> None:
        self.subject = subject
        self.failure = failure
        kind = failure.error_type.removeprefix("builtins.")
        super().__init__(f"{subject} failed: {kind}: {failure.message}")


class ActivityFailedError(ExecutionError):
    """Raised in an orchestrator when an activity failed for good."""


class SubOrchestrationFailedError(ExecutionError):
    """Raised in an orchestrator when a sub-orchestration failed or was terminated."""


class EntityOperationFailedError(ExecutionError):
    """Raised where an entity was called, when the operation failed; the entity's state is as before.

    Attributes:
        entity_id: The entity, as ``@name@key``.
        operation: The operation's name.
    """

    def __init__(self, entity_id: str, operation: str, failure: FailureDetails) -> None:
        self.entity_id = entity_id
        self.operation = operation
        super().__init__(f"operation {operation!r} on entity {entity_id}", failure)


class OrchestrationFailedError(ExecutionError):
    """Raised at a client that waits for the result of an orchestration that failed."""


class OrchestrationTerminatedError(InstanceError):
    """Raised at a client that waits for the result of an orchestration that was terminated."""

    def __init__(self, instance_id: str, output: Any) -> None:
        self.output = output
        super().__init__(instance_id, f"instance {instance_id!r} was terminated")


class UnknownOperationError(DurableError, AttributeError):
    """The failure of an operation that the entity does not have."""

    def __init__(self, entity_id: str, operation: str, known: Sequence[str]) -> None:
        self.entity_id = entity_id
        self.operation = operation
        self.known = tuple(known)
        has = ", ".join(self.known) or "none"
        super().__init__(f"entity {entity_id} has no operation {operation!r}; it has: {has}")


class EntityStateAbsentError(DurableError, LookupError):
    """Raised in an operation that looks at its state, when there is none and the class defines no initial one."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        super().__init__(
            f"an entity of {entity} has no state yet: define initial_state(), or use get_state(default=...)"
        )


class EntityLockError(DurableError, RuntimeError):
    """Raised in an orchestrator when a rule of critical sections is broken; nothing was recorded, and the section goes on.

    Attributes:
        rule: What is not allowed.
    """

    def __init__(self, rule: str, instead: str) -> None:
        self.rule = rule
        self.instead = instead
        super().__init__(f"{rule}: {instead}")


class EntityLockTimeoutError(DurableError, TimeoutError):
    """Raised in an orchestrator when the entities were not all locked in time; the request has been withdrawn."""

    def __init__(self, entity_ids: Sequence[str], seconds: float) -> None:
        self.entity_ids = tuple(entity_ids)
        self.seconds = seconds
        super().__init__(f"could not lock {', '.join(entity_ids)} within {round(seconds, 3):g} s")


class EntityLockLostError(DurableError):
    """The failure of an operation from a critical section that does not hold the entity any more.

    It was held for longer than the section was given, or its orchestration had been parked meanwhile. Nothing was done.
    """

    def __init__(self, entity_id: str, operation: str) -> None:
        self.entity_id = entity_id
        self.operation = operation
        super().__init__(
            f"entity {entity_id} is not locked for this caller any more: {operation!r} was not carried out; lock it again"
        )


class PoisonedOperationError(DurableError):
    """The failure of an operation that was parked, because the workers that began it died."""

    def __init__(self, entity_id: str, operation: str, attempts: int) -> None:
        self.entity_id = entity_id
        self.operation = operation
        self.attempts = attempts
        super().__init__(
            f"operation {operation!r} on entity {entity_id} was begun {attempts} times, and its worker never came through: it is parked"
        )


# -- determinism


class DeterminismError(DurableError):
    """Root of errors that abandon a turn: nothing of it is committed, and the instance is parked.

    They are about the code, not about the work, so that a corrected deployment can go on.
    """


class NonDeterminismError(DeterminismError):
    """Raised when the orchestrator's code does not do what its history says it did.

    Attributes:
        instance_id: The instance.
        position: Number of the history event whose replay diverged.
        expected: What history holds, or ``None`` where it holds nothing more.
        actual: What the code did, or ``None`` where it did nothing.
        source: ``file:line`` of the orchestrator code that did it, if known.
    """

    def __init__(
        self,
        instance_id: str,
        position: int,
        expected: str | None,
        actual: str | None,
        source: str | None,
        versions: str = "",
    ) -> None:
        self.instance_id = instance_id
        self.position = position
        self.expected = expected
        self.actual = actual
        self.source = source
        self.versions = versions
        super().__init__(
            f"the code of instance {instance_id!r} does not match its history after event {position}\n"
            f"  history: {expected or 'nothing more'}\n"
            f"  code:    {actual or 'nothing more'}\n"
            f"  at:      {source or 'unknown source line'}\n"
            + (f"  {versions}\n" if versions else "")
            + "Deploy code that still takes the recorded path, or branch on ctx.version."
        )


class ForbiddenOperationError(DeterminismError):
    """Raised when orchestrator code does what a replay cannot repeat.

    Attributes:
        operation: Its name, such as ``time.time``.
        instead: What to use.
        source: ``file:line`` of the call, if known.
    """

    def __init__(self, operation: str, instead: str, source: str | None = None) -> None:
        self.operation = operation
        self.instead = instead
        self.source = source
        at = f" ({source})" if source else ""
        super().__init__(f"{operation} is not possible in an orchestrator{at}: {instead}")


class TurnBudgetError(DeterminismError):
    """Raised when a turn does not come to rest."""

    def __init__(self, instance_id: str, what: str, where: str) -> None:
        self.instance_id = instance_id
        self.where = where
        super().__init__(
            f"a turn of instance {instance_id!r} does not come to rest: {what}\n{where}\n"
            "Await a durable operation in the loop, or move the computation to an activity."
        )


class StalledOrchestrationError(DeterminismError):
    """Raised when an orchestrator waits and no durable operation can ever wake it."""

    def __init__(self, instance_id: str, where: str) -> None:
        self.instance_id = instance_id
        self.where = where
        super().__init__(
            f"instance {instance_id!r} waits for something that is not durable\n{where}\n"
            "Await activities, timers, events or sub-orchestrations; do I/O in an activity."
        )


class NotRegisteredError(DeterminismError, LookupError):
    """The failure of an activity that no worker registered within the grace time."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(
            f"no {kind} named {name!r} is registered here: decorate it with @{kind}, and import its module"
        )


class OutsideOrchestrationError(DurableError, RuntimeError):
    """Raised when a durable call is made where nothing is durable."""

    def __init__(self, what: str, instead: str) -> None:
        self.what = what
        self.instead = instead
        super().__init__(f"{what}: {instead}")


# -- backend


class BackendError(DurableError):
    """Root of errors of a backend; the driver's own error is the cause.

    Attributes:
        retryable: Whether the same call may succeed later.
    """

    retryable = False


class BackendUnavailableError(BackendError):
    """Raised when the store does not answer; whether the call took effect is unknown."""

    retryable = True


class FencedError(BackendError):
    """Raised when another worker took over: nothing of the call took effect, drop what is held.

    Attributes:
        worker_id: The worker that lost its lease.
    """

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        super().__init__(f"worker {worker_id!r} lost its lease: others may go on with its work")


class OverloadedError(BackendError):
    """Raised when a bound was reached; nothing was written, try again later.

    Attributes:
        what: What is full.
        limit: Its bound.
    """

    retryable = True

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} is at its limit of {limit:,}: slow down and try again")


class CorruptHistoryError(BackendError):
    """Raised when the stored history of one instance cannot be read; the instance is parked."""

    def __init__(self, instance_id: str, reason: str) -> None:
        self.instance_id = instance_id
        super().__init__(f"the history of instance {instance_id!r} cannot be read: {reason}")
