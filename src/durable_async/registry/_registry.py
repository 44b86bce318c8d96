"""Registry: orchestrators, activities and entities by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Generator
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from durable_async._kernel import guard
from durable_async._kernel.context import OrchestrationContext
from durable_async._kernel.entities.authoring import Entity
from durable_async._kernel.entities.context import EntityContext
from durable_async._kernel.guard import GuardPolicy
from durable_async.errors import RegistrationError
from durable_async.failure import FailureDetails
from durable_async.model.policy import RetryPolicy, Seconds

from ._fallback import Fallback
from ._naming import is_system_name, refuse_another, refuse_system_name
from .activities import Activity, ActivityDecorator
from .entities import EntityDecorator, EntityDefinition, FunctionEntity
from .orchestrators import Orchestrator, OrchestratorDecorator

P = ParamSpec("P")
In = TypeVar("In", contravariant=True)
T = TypeVar("T")
E = TypeVar("E", bound=type[Entity[Any]])

_Ctx = OrchestrationContext

Accepts = Callable[[str, str | None], bool | FailureDetails]

STAND_INS_MAX = 1_000
"""So many of each kind are kept; names come from callers."""


class _StandIns:
    """What a fallback answered, kept for a while."""

    def __init__(self, fallback: Fallback) -> None:
        keep = lru_cache(maxsize=STAND_INS_MAX)
        self.orchestrator = keep(fallback.orchestrator)
        self.activity = keep(fallback.activity)
        self.entity = keep(fallback.entity)


class Registry:
    """Orchestrators, activities and entities by name. A worker runs those of one registry.

    Args:
        guard: What is done about orchestrator code that looks at what may differ at a replay, such as ``os.environ``: ``WARN``
            says so, when the orchestrator is registered and when it happens, ``RAISE`` refuses. Clocks, chance, files, threads and
            sockets are refused under both; ``OFF`` does not read the code at registration, and refuses those when they happen.
        fallback: What stands in for names that are not registered: then workers take work of any name. Without one, they leave it to
            others.
        accepts: Told the name and the version of an orchestration, ``None`` for no version, it says whether workers run it here; what
            they do not, they leave to others, or let fail if it says with which failure. Asked when one comes up, it answers quickly and always the same. By default, all are run.
            One that is to be terminated is terminated by any worker.
    """

    def __init__(
        self,
        *,
        guard: GuardPolicy = GuardPolicy.WARN,
        fallback: Fallback | None = None,
        accepts: Accepts | None = None,
    ) -> None:
        self.guard = guard
        self.accepts = accepts
        self._stand_ins = None if fallback is None else _StandIns(fallback)
        self._activities: dict[str, Activity[Any, Any]] = {}
        self._orchestrators: dict[str, Orchestrator[Any, Any]] = {}
        self._entities: dict[str, EntityDefinition] = {}
        self._system: Registry | None = None

    def with_system(self, system: SystemRegistry) -> Self:
        """Return this registry, and whatever is registered with it later, together with what durable_async brings itself."""
        view = copy.copy(self)
        view._system = system  # noqa: SLF001 - of its own kind
        return view

    @property
    def activities(self) -> frozenset[str]:
        """The names of the activities that are registered."""
        return frozenset(self._activities)

    @property
    def orchestrators(self) -> frozenset[str]:
        """The names of the orchestrators that are registered."""
        return frozenset(self._orchestrators)

    @property
    def entities(self) -> frozenset[str]:
        """The names of the entities that are registered, as the store has them: each begins with ``@``."""
        return frozenset(self._entities)

    @property
    def names(self) -> frozenset[str] | None:
        """The stored names of the instances that workers take, orchestrations and entities; ``None``, with a fallback, for any."""
        if self._stand_ins is not None:
            return None
        own = frozenset(self._orchestrators) | frozenset(self._entities)
        return own if self._system is None else own.union(self._system.names or ())

    @property
    def activity_names(self) -> frozenset[str] | None:
        """The names of the activities that workers take from others; ``None``, with a fallback, for any."""
        return None if self._stand_ins is not None else self.activities

    def find_activity(self, name: str) -> Activity[Any, Any] | None:
        """Return the activity of a name, or what stands in for it."""
        found = self._activities.get(name)
        return self._stand_ins.activity(name) if found is None and self._stand_ins else found

    def find_orchestrator(self, name: str) -> Orchestrator[Any, Any] | None:
        """Return the orchestrator of a name, or what stands in for it."""
        found = self._orchestrators.get(name)
        return self._stand_ins.orchestrator(name) if found is None and self._stand_ins else found

    def find_entity(self, stored_name: str) -> EntityDefinition | None:
        """Return the entity of a stored name, which begins with ``@``, or what stands in for it."""
        found = self._entities.get(stored_name)
        if found is None and self._system is not None:
            found = self._system.find_entity(stored_name)
        return self._stand_ins.entity(stored_name) if found is None and self._stand_ins else found

    @overload
    def activity(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Activity[P, T]: ...
    @overload
    def activity(self, function: Callable[P, T], /) -> Activity[P, T]: ...
    @overload
    def activity(
        self,
        /,
        *,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        start_to_close: Seconds | None = None,
        schedule_to_close: Seconds | None = None,
        heartbeat: Seconds | None = None,
    ) -> ActivityDecorator: ...
    def activity(self, function: Any = None, /, **options: Any) -> Any:
        """Register a function as an activity, under its own name or another.

        An ``async def`` runs on the worker's event loop, a ``def`` in a thread. Options: see `ActivityOptions`.

        Raises:
            RegistrationError: The name is taken, or the parameters cannot travel.
        """
        decorator = ActivityDecorator(self.add_activity, options.pop("name", None), options)
        return decorator if function is None else decorator(function)

    @overload
    def orchestrator(
        self, function: Callable[[_Ctx, In], Coroutine[Any, Any, T]], /
    ) -> Orchestrator[In, T]: ...
    @overload
    def orchestrator(
        self, function: Callable[[_Ctx], Coroutine[Any, Any, T]], /
    ) -> Orchestrator[None, T]: ...
    @overload
    def orchestrator(
        self, function: Callable[[_Ctx, In], Generator[Any, Any, T]], /
    ) -> Orchestrator[In, T]: ...
    @overload
    def orchestrator(
        self, function: Callable[[_Ctx], Generator[Any, Any, T]], /
    ) -> Orchestrator[None, T]: ...
    @overload
    def orchestrator(self, /, *, name: str) -> OrchestratorDecorator: ...
    def orchestrator(self, function: Any = None, /, *, name: str | None = None) -> Any:
        """Register a function as an orchestrator, under its own name or another.

        It takes the context and at most one input. It is ``async def``, or a generator that yields what the context's calls return.

        Raises:
            RegistrationError: The name is taken, or the parameters do not fit.
        """
        decorator = OrchestratorDecorator(self.add_orchestrator, name)
        return decorator if function is None else decorator(function)

    @overload
    def entity(self, code: E, /) -> E: ...  # type: ignore[overload-overlap]
    @overload
    def entity(
        self, code: Callable[Concatenate[EntityContext, P], Coroutine[Any, Any, T]], /
    ) -> FunctionEntity[P, T]: ...
    @overload
    def entity(
        self, code: Callable[Concatenate[EntityContext, P], T], /
    ) -> FunctionEntity[P, T]: ...
    @overload
    def entity(self, /, *, name: str) -> EntityDecorator: ...
    def entity(self, code: Any = None, /, *, name: str | None = None) -> Any:
        """Register a class derived from `Entity`, or a function, as an entity, under its own name or another; case does not matter.

        A class stays the same class, and its public methods are the operations. A function takes the context and at most one input, and
        finds the operation in ``ctx.operation``; if ``delete`` leaves the state as it is, it is deleted.

        Raises:
            RegistrationError: The name is taken, or the code does not fit.
        """
        decorator = EntityDecorator(self.add_entity, name)
        return decorator if code is None else decorator(code)

    def add_activity(self, activity: Activity[Any, Any]) -> None:
        """Register an activity; the same function may come again, as when its module is reloaded."""
        self._check_name(activity.name)
        held = self._activities.get(activity.name)
        refuse_another(activity.name, activity.function, held and held.function)
        self._activities[activity.name] = activity

    def add_orchestrator(self, orchestrator: Orchestrator[Any, Any]) -> None:
        """Register an orchestrator; the same function may come again, as when its module is reloaded."""
        self._check_name(orchestrator.name)
        held = self._orchestrators.get(orchestrator.name)
        refuse_another(orchestrator.name, orchestrator.function, held and held.function)
        if self.guard is not GuardPolicy.OFF:
            guard.check(orchestrator.function, self.guard)
        self._orchestrators[orchestrator.name] = orchestrator

    def add_entity(self, entity: EntityDefinition) -> None:
        """Register an entity; the same code may come again, as when its module is reloaded."""
        self._check_name(entity.name)
        held = self._entities.get(entity.stored_name)
        refuse_another(entity.name, entity.code, held and held.code)
        self._entities[entity.stored_name] = entity

    def _check_name(self, name: str) -> None:
        refuse_system_name(name)


class SystemRegistry(Registry):
    """What durable_async itself brings to each worker of a hub: entities, under names that begin with ``durable_async.``."""

    def _check_name(self, name: str) -> None:
        if not is_system_name(name):
            raise RegistrationError(name, "it is of the system, and its name must say so")
