"""What concerns several instances at once: an instance again, its descendants, a rewind through the tree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from durable_async._engine.rewind import failed_children, rewound, unanswered_children
from durable_async._engine.termination import purged_failure, taken_failure, terminated_failure
from durable_async.backend import Backend
from durable_async.errors import InvalidTransitionError
from durable_async.model.history import (
    ExecutionStarted,
    HistoryEvent,
    ParentLink,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
)
from durable_async.model.identity import check_instance_id
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import InstanceFilter, InstanceRecord, NewInstance, Rewrite
from durable_async.model.status import Status
from durable_async.serialization.events import decode_start, encode_events, encode_letter

PAGE = 500

ReadHistory = Callable[[str], Awaitable[list[HistoryEvent]]]


def again(
    record: InstanceRecord, instance_id: str | None, now_us: int, request_id: str
) -> NewInstance:
    """Return a start that repeats the one of an instance."""
    started = decode_start(record.instance_id, record.started_events or b"")
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
    backend: Backend,
    read_history: ReadHistory,
    record: InstanceRecord,
    reason: str | None,
    request_id: str,
) -> list[Rewrite]:
    """Return what rewinds an instance and its failed descendants, to be written together.

    Raises:
        InvalidTransitionError: It waits for a sub-orchestration that is still going on, and would not hear of it.
    """
    result: list[Rewrite] = []
    todo: list[tuple[InstanceRecord, ParentLink | None]] = [(record, record.parent)]
    while todo:
        current, parent = todo.pop()
        events = await read_history(current.instance_id)
        children, undone, mail = await _children(backend, current, events)
        history = rewound(
            events,
            execution=current.execution,
            parent=parent,
            children=undone,
            reason=reason,
            request_id=request_id,
        )
        result.append(
            Rewrite(
                instance_id=current.instance_id,
                execution=current.execution,
                events=encode_events(history),
                parent=parent,
                mail=mail,
            )
        )
        depth = 1 if parent is None else parent.depth + 1
        for seq, child in children.items():
            link = ParentLink(current.instance_id, current.execution + 1, seq, depth)
            todo.append((child, link))
    return result


async def _children(
    backend: Backend, record: InstanceRecord, events: list[HistoryEvent]
) -> tuple[dict[int, InstanceRecord], frozenset[int], tuple[bytes, ...]]:
    """Return the failed sub-orchestrations of an instance, those whose failure is past, and letters from those that it did not hear of."""
    unanswered = unanswered_children(events)
    ids = {**failed_children(events), **unanswered}
    if not ids:
        return {}, frozenset(), ()
    failed: dict[int, InstanceRecord] = {}
    heard: list[SubOrchestrationCompleted | SubOrchestrationFailed] = []
    children = await backend.read(list(ids.values()), payloads=True)
    for (seq, instance_id), child in zip(ids.items(), children, strict=True):
        is_own = child is not None and _is_child(child, record, seq)
        if child is not None and is_own and child.status is Status.FAILED:
            failed[seq] = child
            continue
        answer = _answer(record, seq, instance_id, child if is_own else None, child is None)
        if seq in unanswered or isinstance(answer, SubOrchestrationCompleted):
            heard.append(answer)  # one that failed and is done by now was rewound by itself
    undone = {*failed, *(answer.seq for answer in heard)}
    return failed, frozenset(undone), tuple(encode_letter(answer) for answer in heard)


def _is_child(child: InstanceRecord, record: InstanceRecord, seq: int) -> bool:
    link = child.parent
    return link is not None and (link.instance_id, link.seq) == (record.instance_id, seq)


def _answer(
    record: InstanceRecord, seq: int, instance_id: str, child: InstanceRecord | None, gone: bool
) -> SubOrchestrationCompleted | SubOrchestrationFailed:
    if child is None:
        failure = purged_failure(instance_id) if gone else taken_failure(instance_id)
    elif child.status is Status.COMPLETED:
        return SubOrchestrationCompleted(seq, child.output)
    elif child.status is Status.TERMINATED:
        failure = terminated_failure(instance_id)
    else:
        raise InvalidTransitionError(
            record.instance_id,
            "rewind",
            f"failed with its sub-orchestration {instance_id!r} still {child.status.value}",
            "at rest: wait for that one to end, or terminate it",
        )
    return SubOrchestrationFailed(seq, failure)
