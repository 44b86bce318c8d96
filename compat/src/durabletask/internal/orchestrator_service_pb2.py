"""The few names of the protocol's module that programs use, as plain Python: no protobuf is behind them.

`OrchestrationIdReusePolicy` goes into ``schedule_new_orchestration(reuse_id_policy=...)``, the statuses into it, and the capabilities into
``TaskHubGrpcWorker.add_capability``. Messages of the protocol are not here, as none is ever sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex

ORCHESTRATION_STATUS_RUNNING = 0
ORCHESTRATION_STATUS_COMPLETED = 1
ORCHESTRATION_STATUS_CONTINUED_AS_NEW = 2
ORCHESTRATION_STATUS_FAILED = 3
ORCHESTRATION_STATUS_CANCELED = 4
ORCHESTRATION_STATUS_TERMINATED = 5
ORCHESTRATION_STATUS_PENDING = 6
ORCHESTRATION_STATUS_SUSPENDED = 7

WORKER_CAPABILITY_UNSPECIFIED = 0
WORKER_CAPABILITY_HISTORY_STREAMING = 1
WORKER_CAPABILITY_SCHEDULED_TASKS = 2
WORKER_CAPABILITY_LARGE_PAYLOADS = 3


class EnumType:
    """An enumeration of the protocol: its members are ints, and it knows their names, which are its attributes too."""

    def __init__(self, name: str, numbers: dict[str, int]) -> None:
        self._name = name
        self._numbers = numbers

    def Name(self, number: int) -> str:  # noqa: N802 - the protocol's name
        """Return the name of a number.

        Raises:
            ValueError: There is none.
        """
        for name, known in self._numbers.items():
            if known == number:
                return name
        raise ValueError(f"Enum {self._name} has no name defined for value {number}")

    def Value(self, name: str | None) -> int:  # noqa: N802 - the protocol's name
        """Return the number of a name.

        Raises:
            ValueError: There is none.
        """
        if name in self._numbers:
            return self._numbers[name]
        raise ValueError(f"Enum {self._name} has no value defined for name {name!r}")

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._numbers)

    def values(self) -> list[int]:
        """Return the numbers."""
        return list(self._numbers.values())

    def items(self) -> list[tuple[str, int]]:
        """Return names and numbers."""
        return list(self._numbers.items())

    def __getattr__(self, name: str) -> int:
        if not name.startswith("_") and name in self._numbers:
            return self._numbers[name]
        raise AttributeError(f"the enumeration has no {name!r}", name=name, obj=self)


def _enumeration(name: str, prefix: str) -> EnumType:
    found = {key: value for key, value in globals().items() if key.startswith(prefix)}
    return EnumType(name, found)


OrchestrationStatus = _enumeration("OrchestrationStatus", "ORCHESTRATION_STATUS_")
WorkerCapability = _enumeration("WorkerCapability", "WORKER_CAPABILITY_")


class Statuses(list[int]):
    """A list of statuses, each given by its number or its name."""

    def __init__(self, statuses: Iterable[int | str] = ()) -> None:
        super().__init__(map(_number, statuses))

    def append(self, status: int | str) -> None:
        """Add a status."""
        super().append(_number(status))

    def extend(self, statuses: Iterable[int | str]) -> None:
        """Add statuses."""
        super().extend(map(_number, statuses))

    def insert(self, index: SupportsIndex, status: int | str) -> None:
        """Add a status before another."""
        super().insert(index, _number(status))


class OrchestrationIdReusePolicy:
    """Which orchestrations a new one of the same instance id may replace.

    Attributes:
        replaceableStatus: The statuses of those that are replaced. If one has another status, the new one is refused.
    """

    def __init__(self, *, replaceableStatus: Iterable[int | str] | None = None) -> None:  # noqa: N803 - the protocol's name
        self._replaceable = Statuses(replaceableStatus or ())

    @property
    def replaceableStatus(self) -> Statuses:  # noqa: N802 - the protocol's name
        """The statuses, to be added to in place."""
        return self._replaceable

    def CopyFrom(self, other: OrchestrationIdReusePolicy) -> None:  # noqa: N802 - the protocol's name
        """Take the statuses of another policy instead."""
        self._replaceable[:] = list(other.replaceableStatus)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OrchestrationIdReusePolicy):
            return NotImplemented
        return self._replaceable == other._replaceable

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"OrchestrationIdReusePolicy(replaceableStatus={list(self._replaceable)})"


def _number(status: Any) -> int:
    if isinstance(status, str):
        return OrchestrationStatus.Value(status)
    if isinstance(status, bool) or not hasattr(status, "__index__"):
        raise TypeError(f"a status is an int or a name, not {status!r}")
    return int(status)
