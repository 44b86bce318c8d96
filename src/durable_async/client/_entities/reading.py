"""Looking at entities: their states, which there are, who holds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar, Unpack, overload

from durable_async._kernel.entities.authoring import Entity
from durable_async.client._conditions import EntityConditions, entity_filter_of
from durable_async.client._connection import Connection, entity_id_of
from durable_async.model.arguments import check_limit, check_page
from durable_async.model.identity import EntityId

from .state import EntityLocks, EntityState, lock_of, locks_of, state_type_of

S = TypeVar("S")
T = TypeVar("T")

LETTERS_READ_MAX = 100_000
"""A mailbox takes far fewer from clients; those that orchestrations send are not bounded."""


class EntityReading(Connection):
    """The verbs for entities that change nothing."""

    @overload
    async def get_entity(
        self, entity: EntityId, state_type: type[Entity[S]], /
    ) -> EntityState[S] | None: ...
    @overload
    async def get_entity(
        self, entity: EntityId, state_type: type[T], /
    ) -> EntityState[T] | None: ...
    @overload
    async def get_entity(
        self, entity: EntityId, state_type: Any = ..., /
    ) -> EntityState[Any] | None: ...
    async def get_entity(
        self, entity: EntityId, state_type: Any = Any, /
    ) -> EntityState[Any] | None:
        """Return an entity as it is now, or ``None`` if nobody ever sent it anything, or it was forgotten.

        What waits in its mailbox is not in its state yet: to see what an earlier signal led to, call an operation that
        returns it.

        Args:
            entity: Its id.
            state_type: What its state is read into: the entity's class, or the type of its state.
        """
        record = await self._read_entity.ask(entity_id_of(entity))
        if record is None:
            return None
        return EntityState(record, state_type_of(state_type), self._payloads)

    @overload
    def query_entities(
        self,
        state_type: type[Entity[S]],
        /,
        *,
        page_size: int = ...,
        **conditions: Unpack[EntityConditions],
    ) -> AsyncIterator[EntityState[S]]: ...
    @overload
    def query_entities(
        self,
        state_type: type[T],
        /,
        *,
        page_size: int = ...,
        **conditions: Unpack[EntityConditions],
    ) -> AsyncIterator[EntityState[T]]: ...
    @overload
    def query_entities(
        self,
        state_type: Any = ...,
        /,
        *,
        page_size: int = ...,
        **conditions: Unpack[EntityConditions],
    ) -> AsyncIterator[EntityState[Any]]: ...
    async def query_entities(
        self,
        state_type: Any = Any,
        /,
        *,
        page_size: int = 100,
        **conditions: Unpack[EntityConditions],
    ) -> AsyncIterator[EntityState[Any]]:
        """Go through the entities that meet all conditions, in order of their ids, page by page; see `EntityConditions`.

        async for counter in client.query_entities(Counter, name=Counter, key_prefix="shop-"):
            print(counter.entity_id.key, counter.state)
        """
        page: str | None = None
        while True:
            found, page = await self.query_entities_page(
                state_type, limit=page_size, page=page, **conditions
            )
            for state in found:
                yield state
            if page is None:
                return

    @overload
    async def query_entities_page(
        self,
        state_type: type[Entity[S]],
        /,
        *,
        limit: int = ...,
        page: str | None = ...,
        **conditions: Unpack[EntityConditions],
    ) -> tuple[list[EntityState[S]], str | None]: ...
    @overload
    async def query_entities_page(
        self,
        state_type: type[T],
        /,
        *,
        limit: int = ...,
        page: str | None = ...,
        **conditions: Unpack[EntityConditions],
    ) -> tuple[list[EntityState[T]], str | None]: ...
    @overload
    async def query_entities_page(
        self,
        state_type: Any = ...,
        /,
        *,
        limit: int = ...,
        page: str | None = ...,
        **conditions: Unpack[EntityConditions],
    ) -> tuple[list[EntityState[Any]], str | None]: ...
    async def query_entities_page(
        self,
        state_type: Any = Any,
        /,
        *,
        limit: int = 100,
        page: str | None = None,
        **conditions: Unpack[EntityConditions],
    ) -> tuple[list[EntityState[Any]], str | None]:
        """Return one page of entities, in order of their ids, and what to pass for the next one; ``None`` after the last."""
        check_limit(limit)
        found = await self._backend.query_entities(
            entity_filter_of(conditions), limit=limit, page=check_page(page)
        )
        into = state_type_of(state_type)
        states: list[EntityState[Any]] = [
            EntityState(item, into, self._payloads) for item in found.items
        ]
        return states, found.next_page

    async def entity_locks(self, entity: EntityId) -> EntityLocks:
        """Return who has an entity to itself, and who waits for that; its whole mailbox is read."""
        entity_id = entity_id_of(entity)
        # In this order: whoever is granted the lock meanwhile is seen twice, and not missed.
        mail = await self._backend.read_letters(entity_id, limit=LETTERS_READ_MAX)
        (record,) = await self._backend.read_entities([entity_id])
        return locks_of(None if record is None else lock_of(record), mail)
