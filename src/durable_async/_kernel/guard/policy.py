"""What is done about a forbidden operation: refuse it, warn of it, or look away."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from durable_async.errors import ForbiddenOperationError

from .catalogue import Operation, Severity


class GuardPolicy(enum.Enum):
    """What is done about soft operations; hard ones are refused under every policy."""

    OFF = "off"
    """Nothing."""
    WARN = "warn"
    """A ``DeterminismWarning``, once for each line of code."""
    RAISE = "raise"
    """The same error as for hard ones."""


class DeterminismWarning(UserWarning):
    """Warns of orchestrator code that a replay may not repeat."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A forbidden operation and the line that does it.

    Attributes:
        operation: Its name, such as ``time.time``.
        instead: What to use.
        source: ``file:line``.
        severity: How bad it is.
    """

    operation: str
    instead: str
    source: str
    severity: Severity

    @classmethod
    def of(cls, operation: Operation, file: str, line: int) -> Finding:
        """Return the finding of an operation at a line."""
        return cls(operation.name, operation.instead, f"{file}:{line}", operation.severity)

    def error(self) -> ForbiddenOperationError:
        """Return the error that says so."""
        return ForbiddenOperationError(self.operation, self.instead, self.source)

    def is_refused(self, policy: GuardPolicy) -> bool:
        """Say whether it is an error under the policy."""
        return self.severity is Severity.HARD or policy is GuardPolicy.RAISE


_tolerated: ContextVar[bool] = ContextVar("durable_async_tolerated", default=False)
_warned: set[tuple[str, str]] = set()


@contextmanager
def unsafe_nondeterminism() -> Generator[None]:
    """Let a block of orchestrator code do what the guard forbids.

    For what cannot change the path that the code takes: metrics, debugging. Whatever is computed inside will differ at the next
    replay; what a later durable call depends on must not come from here. The block is left alone in its own task only, also
    across awaits. What the deterministic loop itself refuses (executors, connections) stays refused.
    """
    before = _tolerated.get()
    _tolerated.set(True)
    try:
        yield
    finally:
        _tolerated.set(before)


def is_tolerated() -> bool:
    """Say whether the code runs inside ``unsafe_nondeterminism()``."""
    return _tolerated.get()


def warn_once(finding: Finding) -> bool:
    """Warn of a finding, once in this process; ``False`` if warnings are errors here."""
    key = (finding.operation, finding.source)
    if key in _warned:
        return True
    file, _, line = finding.source.rpartition(":")
    try:
        warnings.warn_explicit(str(finding.error()), DeterminismWarning, file, int(line))
    except DeterminismWarning:
        return False
    _warned.add(key)
    return True


def forget_warnings() -> None:
    """Warn again of everything."""
    _warned.clear()
