"""EntityLock: the block in which an orchestration has entities to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from durabletask.task import OrchestrationContext


class EntityLock:
    """What ``yield ctx.lock_entities(...)`` gives: use it in a ``with``, whose end gives the entities back.

    They are given back too when the orchestration ends, fails or begins anew within the block.
    """

    def __init__(self, context: OrchestrationContext) -> None:
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._context._exit_critical_section()  # noqa: SLF001 - the other half of lock_entities
