"""What a worker has registered, and which of it is offered for work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durabletask._vocabulary.options import (
    ActivityWorkItemFilter,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)

Function = Callable[..., Any]


@dataclass(slots=True)
class Registered:
    """Code by name; entities' names are in lower case."""

    orchestrators: dict[str, Function] = field(default_factory=dict)
    activities: dict[str, Function] = field(default_factory=dict)
    entities: dict[str, Any] = field(default_factory=dict)

    def filters(self, versioning: VersioningOptions | None) -> WorkItemFilters:
        """Return filters that let through what is registered; of the worker's own version alone, if it is strict about that."""
        versions: list[str] = []
        if versioning is not None and versioning.version:
            is_strict = versioning.match_strategy is VersionMatchStrategy.STRICT
            versions = [versioning.version] if is_strict else []
        return WorkItemFilters(
            orchestrations=[
                OrchestrationWorkItemFilter(name, list(versions)) for name in self.orchestrators
            ],
            activities=[ActivityWorkItemFilter(name, list(versions)) for name in self.activities],
            entities=[EntityWorkItemFilter(name) for name in self.entities],
        )


def add(held: dict[str, Any], name: str, code: Any, kind: str) -> None:
    """Register code under a name.

    Raises:
        ValueError: The name is empty, or taken.
    """
    if not name:
        raise ValueError(f"A non-empty {kind} name is required.")
    if name in held:
        raise ValueError(f"A '{name}' {kind} already exists.")
    held[name] = code


def versions_by_name(
    filters: Iterable[OrchestrationWorkItemFilter | ActivityWorkItemFilter],
) -> Mapping[str, frozenset[str]]:
    """Return the versions that pass, by name; none in particular where all do."""
    found: dict[str, frozenset[str]] = {}
    for one in filters:
        versions = frozenset(one.versions)
        held = found.get(one.name)
        if held is None or not versions:
            found[one.name] = versions
        elif held:
            found[one.name] = held | versions
    return found
