"""Registries: a worker's code as durable_async runs it, and which work is taken."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NoReturn

from durable_async import Activity, FailureDetails, GuardPolicy, Orchestrator, Registry
from durable_async.registry.entities import EntityDefinition
from durabletask._vocabulary.options import WorkItemFilters

from .activities import ActivityCode, Observer
from .entity_operations import add_entity, unregistered_entity
from .failures import RecordedError, to_native
from .orchestrations import orchestrator_code
from .registered import Registered, versions_by_name
from .rules import Rules
from .unregistered import (
    ActivityNotRegisteredError,
    EntityNotRegisteredError,
    OrchestratorNotRegisteredError,
)
from .versions import verdict

_NOBODY: Final = "not registered"


def native_registry(
    registered: Registered,
    rules: Rules,
    *,
    filters: WorkItemFilters | None,
    observer: Observer,
    home: asyncio.AbstractEventLoop | None = None,
) -> Registry:
    """Return what a worker runs.

    Without filters it takes any work, and what it has not registered fails. With filters it takes what they name.

    Args:
        registered: The program's code.
        rules: How it is run.
        filters: Which work is taken; ``None`` for all.
        observer: Is told of activities.
        home: The event loop that ``async def`` activities run on; ``None`` for the worker's own.
    """
    stand_ins = StandIns()
    registry = Registry(
        guard=GuardPolicy.OFF,
        fallback=stand_ins if filters is None else None,
        accepts=_acceptance(rules, filters),
    )
    for name in _names(registered.orchestrators, filters and filters.orchestrations):
        function = registered.orchestrators.get(name)
        if function is None:
            registry.add_orchestrator(stand_ins.orchestrator(name, named=name))
        else:
            registry.orchestrator(name=name)(orchestrator_code(function, rules))
    for name in _names(registered.activities, filters and filters.activities):
        function = registered.activities.get(name)
        if function is None:
            registry.add_activity(stand_ins.activity(name, named=name))
        else:
            activity = ActivityCode(name, function, rules, observer, home)
            registry.activity(name=name)(activity.native())
    for name in _names(registered.entities, filters and filters.entities):
        code = registered.entities.get(name)
        if code is None:
            registry.add_entity(unregistered_entity(name, EntityNotRegisteredError, to_native))
        else:
            add_entity(registry, name, code, rules.converter, rules.failure_of)
    return registry


def _names(registered: dict[str, Any], filters: Any) -> list[str]:
    return list(registered) if filters is None else list(dict.fromkeys(one.name for one in filters))


def _acceptance(rules: Rules, filters: WorkItemFilters | None) -> Any:
    """Return what tells whether an orchestration of a name and a version is run here."""
    versions = {} if filters is None else versions_by_name(filters.orchestrations)

    def accepts(name: str, version: str | None) -> bool | FailureDetails:
        wanted = versions.get(name)
        if wanted and (version or "") not in wanted:
            return False
        return verdict(rules.versioning, version)

    return accepts


class StandIns:
    """Stands in for what is not registered: it fails, and says so.

    What stands in has a name of its own: clients may ask for any, also for one that nothing can be registered under.
    """

    def orchestrator(self, name: str, *, named: str = _NOBODY) -> Orchestrator[Any, Any]:
        """Return an orchestrator that fails."""

        async def fail(context: Any, text: Any = None) -> None:
            _fail(OrchestratorNotRegisteredError(f"A '{name}' orchestrator was not registered."))

        made: Orchestrator[Any, Any] = Registry(guard=GuardPolicy.OFF).orchestrator(name=named)(
            fail
        )
        return made

    def activity(self, name: str, *, named: str = _NOBODY) -> Activity[Any, Any]:
        """Return an activity that fails."""

        async def fail(text: Any = None) -> None:
            _fail(
                ActivityNotRegisteredError(f"Activity function named '{name}' was not registered!")
            )

        made: Activity[Any, Any] = Registry().activity(name=named)(fail)
        return made

    def entity(self, stored_name: str) -> EntityDefinition:
        """Return an entity whose operations fail."""
        return unregistered_entity(stored_name, EntityNotRegisteredError, to_native)


def _fail(error: Exception) -> NoReturn:
    raise RecordedError(to_native(error))
