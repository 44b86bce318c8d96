"""What can be said about a worker: how much it does at a time, which versions and which work it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

PER_CPU: Final = 100
"""Work items of a kind at a time, for each processor, unless a program says otherwise."""


class ConcurrencyOptions:
    """How much a worker does at a time.

    Args:
        maximum_concurrent_activity_work_items: Activities running; 100 for each processor by default.
        maximum_concurrent_orchestration_work_items: Accepted; orchestrations take their turns one after the other, and wait for nothing meanwhile.
        maximum_concurrent_entity_work_items: Entities in the midst of an operation; 100 for each processor by default.
        maximum_thread_pool_workers: Threads for ``def`` activities; one for each processor and four more by default.
    """

    def __init__(
        self,
        maximum_concurrent_activity_work_items: int | None = None,
        maximum_concurrent_orchestration_work_items: int | None = None,
        maximum_concurrent_entity_work_items: int | None = None,
        maximum_thread_pool_workers: int | None = None,
    ) -> None:
        processors = os.cpu_count() or 1
        several = PER_CPU * processors
        self.maximum_concurrent_activity_work_items = _given(
            maximum_concurrent_activity_work_items, several
        )
        self.maximum_concurrent_orchestration_work_items = _given(
            maximum_concurrent_orchestration_work_items, several
        )
        self.maximum_concurrent_entity_work_items = _given(
            maximum_concurrent_entity_work_items, several
        )
        self.maximum_thread_pool_workers = _given(maximum_thread_pool_workers, processors + 4)


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


class VersionMatchStrategy(Enum):
    """Which orchestrations fit a worker's version."""

    NONE = 1
    """All."""
    STRICT = 2
    """Those of the same version."""
    CURRENT_OR_OLDER = 3
    """Those of the same version or a lower one."""


class VersionFailureStrategy(Enum):
    """What becomes of an orchestration that does not fit."""

    REJECT = 1
    """It is left for another worker."""
    FAIL = 2
    """It fails."""


@dataclass
class VersioningOptions:
    """A worker's version, and what it does about others.

    Attributes:
        version: Its own version.
        default_version: Given to sub-orchestrations that name none.
        match_strategy: Which orchestrations fit; all by default.
        failure_strategy: What becomes of the others; they are left for other workers by default.
    """

    version: str | None = None
    default_version: str | None = None
    match_strategy: VersionMatchStrategy | None = None
    failure_strategy: VersionFailureStrategy | None = None


@dataclass(frozen=True)
class OrchestrationWorkItemFilter:
    """Orchestrations of a name; of some versions if there are any."""

    name: str
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ActivityWorkItemFilter:
    """Activities of a name; the versions are those of their orchestrations."""

    name: str
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EntityWorkItemFilter:
    """Entities of a name."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())


@dataclass(frozen=True)
class WorkItemFilters:
    """Which work a worker takes; of a kind with an empty list, nothing."""

    orchestrations: list[OrchestrationWorkItemFilter] = field(default_factory=list)
    activities: list[ActivityWorkItemFilter] = field(default_factory=list)
    entities: list[EntityWorkItemFilter] = field(default_factory=list)
