"""What concerns several instances at once: an instance again, its descendants, a rewind through the tree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from durable_async._engine.rewind import failed_children, rewound
from durable_async.backend import Backend
from durable_async.model.history import ExecutionStarted, HistoryEvent, ParentLink
from durable_async.model.identity import check_instance_id
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import InstanceFilter, InstanceRecord, NewInstance, Rewrite
from durable_async.model.status import Status
from durable_async.serialization.events import decode_events, encode_events

PAGE = 500

ReadHistory = Callable[[str], Awaitable[list[HistoryEvent]]]


def again(
    record: InstanceRecord, instance_id: str | None, now_us: int, request_id: str
) -> NewInstance:
    """Return a start that repeats the one of an instance."""
    (started, *_) = decode_events(record.instance_id, record.started_events or b"")
    assert isinstance(started, ExecutionStarted)
    first = ExecutionStarted(started.name, started.version, started.input)
    return NewInstance(
        instance_id=record.instance_id if instance_id is None else check_instance_id(instance_id),
        name=started.name,
        version=started.version,
        events=encode_events([first]),
        created_at_us=now_us,
        tags=record.tags,
        reuse=ReusePolicy.REPLACE_TERMINAL if instance_id is None else ReusePolicy.REJECT,
        request_id=request_id,
    )


async def descendants(backend: Backend, instance_id: str) -> list[str]:
    """Return the ids of all sub-orchestrations below an instance."""
    found: list[str] = []
    todo = [instance_id]
    while todo:
        where = InstanceFilter(parent_id=todo.pop())
        page: str | None = None
        while True:
            children = await backend.query(where, limit=PAGE, page=page, payloads=False)
            ids = [child.instance_id for child in children.items]
            found += ids
            todo += ids
            page = children.next_page
            if page is None:
                break
    return found


async def rewrites(
    backend: Backend, read_history: ReadHistory, record: InstanceRecord, reason: str | None
) -> list[Rewrite]:
    """Return what rewinds an instance and its failed descendants, to be written together."""
    result: list[Rewrite] = []
    todo: list[tuple[InstanceRecord, ParentLink | None]] = [(record, record.parent)]
    while todo:
        current, parent = todo.pop()
        events = await read_history(current.instance_id)
        children = await _failed(backend, failed_children(events))
        history = rewound(
            events,
            execution=current.execution,
            parent=parent,
            children=frozenset(children),
            reason=reason,
        )
        result.append(
            Rewrite(
                instance_id=current.instance_id,
                execution=current.execution,
                events=encode_events(history),
                parent=parent,
            )
        )
        depth = 1 if parent is None else parent.depth + 1
        for seq, child in children.items():
            link = ParentLink(current.instance_id, current.execution + 1, seq, depth)
            todo.append((child, link))
    return result


async def _failed(backend: Backend, children: dict[int, str]) -> dict[int, InstanceRecord]:
    if not children:
        return {}
    records = await backend.read(list(children.values()), payloads=False)
    return {
        seq: record
        for seq, record in zip(children, records, strict=True)
        if record is not None and record.status is Status.FAILED
    }
