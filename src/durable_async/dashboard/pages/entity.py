"""One entity: what is in it, who has it, and who waits for it?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._payloads import ABSENT, formatted, shown
from durable_async.dashboard._visit import Visit
from durable_async.dashboard.actions import ENTITIES
from durable_async.errors import CorruptHistoryError, InstanceNotFoundError
from durable_async.model.identity import EntityId
from durable_async.serialization.stored import stored_type


async def page(visit: Visit) -> Response:
    """Answer with all that is known of one entity."""
    entity = EntityId.parse(visit.asked_exactly("id"))
    state = await visit.client.get_entity(entity, stored_type(visit.hub.payloads))
    if state is None:
        raise InstanceNotFoundError(str(entity))
    try:
        locks = await visit.client.entity_locks(entity)
        return visit.page(
            "entity.html",
            state=state,
            damage=None,
            value=await formatted(shown, lambda: state.state) if state.has_state else ABSENT,
            backlog=state.backlog,
            locks=locks,
            parked_operations=state.parked_operations,
            actions=ENTITIES.offered(state) if visit.may_operate else [],
        )
    except CorruptHistoryError as error:
        return visit.page("entity.html", state=state, damage=str(error))
