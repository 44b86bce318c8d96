"""What both clients do with entities."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from durable_async import Client, EntityState, TaskHub
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.serialization import DataConverter

from .entity_ids import of_native, to_native
from .rpc import translated
from .states import CleanEntityStorageResult, EntityQuery

PAGE_MAX = 1_000


class EntityVerbs:
    """Signals to entities, and looks at them.

    Args:
        hub: The hub, with `durabletask._runtime.texts.TextPayloads`.
        converter: Makes texts of values, and values of texts.
        logger: Hears what is done.
    """

    def __init__(self, hub: TaskHub, converter: DataConverter, logger: logging.Logger) -> None:
        self.hub = hub
        self._client: Client = hub.client
        self._converter = converter
        self._logger = logger

    async def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation_name: str,
        input: Any = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let an entity do something, without waiting for it; it is durable when this returns.

        Args:
            entity_instance_id: The entity; it begins to exist with the first signal.
            operation_name: What it does.
            input: With what.
            signal_time: When; naive is UTC. At once by default.

        Raises:
            RpcError: RESOURCE_EXHAUSTED if too many signals wait for it already.
        """
        entity = to_native(entity_instance_id)
        text = self._converter.serialize(input)
        self._logger.info("signaling entity %s: %s", entity, operation_name)
        with translated():
            await self._client.signal_entity(entity, operation_name, text, at=signal_time)

    async def get_entity(
        self, entity_instance_id: EntityInstanceId, include_state: bool = True
    ) -> EntityMetadata | None:
        """Return an entity as it is now; ``None`` if there is none. What waits for it is not in its state yet."""
        entity = to_native(entity_instance_id)
        self._logger.info("asking for entity %s", entity)
        with translated():
            state = await self._client.get_entity(entity)
            return None if state is None else self._metadata(state, include_state=include_state)

    async def get_all_entities(
        self, entity_query: EntityQuery | None = None
    ) -> list[EntityMetadata]:
        """Return all entities that a query means, in order of their ids; all there are, if there is no query.

        An entity that has no state, and for which operations wait, is told only if transient ones are asked for.
        """
        query = entity_query or EntityQuery()
        self._logger.info("asking for entities: %s", query)
        prefix = _lowered(query.instance_id_starts_with or "@")
        conditions = _conditions(prefix)
        found: list[EntityMetadata] = []
        page: str | None = None
        while True:
            with translated():
                states, page = await self._client.query_entities_page(
                    limit=_page_size(query.page_size),
                    page=page,
                    updated_from=query.last_modified_from,
                    updated_to=query.last_modified_to,
                    **conditions,
                )
                found += [
                    self._metadata(state, include_state=query.include_state)
                    for state in states
                    if str(state.entity_id).startswith(prefix)
                    and (query.include_transient or not _is_transient(state))
                ]
            if page is None:
                return found
            self._logger.info("Received continuation token %s, asking for the next page", page)

    async def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Forget entities that hold nothing, and release locks whose holders have ended, should there be any.

        Args:
            remove_empty_entities: Whether the former is done.
            release_orphaned_locks: Whether the latter is.
        """
        self._logger.info("cleaning up after entities")
        with translated():
            cleaned = await self._client.clean_entities(
                discard=remove_empty_entities, release=release_orphaned_locks
            )
        return CleanEntityStorageResult(cleaned.discarded, len(cleaned.orphaned_locks))

    def _metadata(self, state: EntityState[Any], *, include_state: bool) -> EntityMetadata:
        holder = state.locked_by
        return EntityMetadata(
            of_native(state.entity_id),
            state.updated_at,
            state.backlog,
            "" if holder is None else holder.instance_id,
            include_state,
            state.state if include_state else None,
            self._converter,
        )


def _is_transient(state: EntityState[Any]) -> bool:
    return not state.has_state and state.backlog > 0


def _lowered(prefix: str) -> str:
    """Return the beginning of an id as the store has it: with the name in lower case."""
    mark, name, key = _parted(prefix)
    return f"{mark}{name.lower()}{key}"


def _parted(prefix: str) -> tuple[str, str, str]:
    """Return what of a prefix precedes the name, which is nothing if it is no entity's, the name, and the rest."""
    mark = prefix[: prefix.startswith("@")]
    name, separator, key = prefix[len(mark) :].partition("@")
    return mark, name, separator + key


def _conditions(prefix: str) -> dict[str, Any]:
    """Return what the store is asked for: a whole name, and the beginning of a key."""
    mark, name, rest = _parted(prefix)
    if not mark or not name or not rest:
        return {}
    return {"name": name, "key_prefix": rest[1:]} if rest[1:] else {"name": name}


def _page_size(asked: int | None) -> int:
    return min(asked, PAGE_MAX) if asked and asked > 0 else PAGE_MAX
