"""Ends without the code: by order of a letter in the mailbox, or because the code may not be run, or does not fit the history.

So that an instance ends also if its code does not replay, is not registered here, or its history cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ExecutionFailed,
    ExecutionTerminated,
    HistoryEvent,
    Letter,
    ParentLink,
    SubOrchestrationCancelRequested,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    SubOrchestrationScheduled,
)
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import ClaimedInstance, Outgoing, TurnCommit
from durable_async.model.status import Status
from durable_async.serialization.events import encode_events, encode_letter


def terminate_letter(instance_id: str, parent: ParentLink) -> Outgoing:
    """Return the order to a sub-orchestration to end; to nobody else, should its id be a stranger's."""
    return Outgoing(
        instance_id=instance_id,
        execution=None,
        letter=encode_letter(ExecutionTerminated()),
        parent=parent,
        urgent=True,
        final=True,
    )


def terminated_failure(instance_id: str) -> FailureDetails:
    """Describe to a parent that its child was terminated."""
    return FailureDetails(
        "durable_async.errors.OrchestrationTerminatedError",
        f"instance {instance_id!r} was terminated",
    )


def taken_failure(instance_id: str, reuse: ReusePolicy = ReusePolicy.REJECT) -> FailureDetails:
    """Describe to a parent that the id of its child belongs to another instance."""
    is_running = reuse is ReusePolicy.REPLACE_TERMINAL
    return FailureDetails(
        "durable_async.errors.InstanceExistsError",
        f"instance {instance_id!r} has not ended: wait for that, or choose another id for the sub-orchestration"
        if is_running
        else f"instance {instance_id!r} exists already: choose another id for the sub-orchestration",
    )


def purged_failure(instance_id: str) -> FailureDetails:
    """Describe to a parent that its child was purged before it was heard of."""
    return FailureDetails(
        "durable_async.errors.InstanceNotFoundError", f"instance {instance_id!r} was purged"
    )


def termination(
    claimed: ClaimedInstance, order: ExecutionTerminated, events: Sequence[HistoryEvent], turn: int
) -> TurnCommit:
    """Return the commit that ends a claimed instance.

    Args:
        claimed: The instance.
        order: The letter that ends it.
        events: Its history, as far as it can be read.
        turn: Number of the turn.
    """
    outbox: list[Outgoing] = []
    if order.recursive:
        for seq, child in _children(events).items():
            link = ParentLink(claimed.instance_id, claimed.execution, seq)
            outbox.append(terminate_letter(child, link))
    outbox += _report(claimed, terminated_failure(claimed.instance_id))
    return TurnCommit(
        instance_id=claimed.instance_id,
        execution=claimed.execution,
        turn=turn,
        events=encode_events([order]),
        consumed=tuple(mail.id for mail in claimed.mail),
        status=Status.TERMINATED,
        output=order.output,
        outbox=tuple(outbox),
    )


def refusal(claimed: ClaimedInstance, failure: FailureDetails, turn: int) -> TurnCommit:
    """Return the commit that fails a claimed instance without its code, as when that does not fit its history; a rewind lets it go on.

    Args:
        claimed: The instance.
        failure: Why.
        turn: Number of the turn.
    """
    return TurnCommit(
        instance_id=claimed.instance_id,
        execution=claimed.execution,
        turn=turn,
        events=encode_events([ExecutionFailed(failure)]),
        status=Status.FAILED,
        failure=failure,
        outbox=tuple(_report(claimed, failure)),
    )


def _report(claimed: ClaimedInstance, failure: FailureDetails) -> list[Outgoing]:
    """Return what a parent is told."""
    parent = claimed.parent
    if parent is None:
        return []
    letter: Letter = SubOrchestrationFailed(parent.seq, failure)
    return [
        Outgoing(
            instance_id=parent.instance_id,
            execution=parent.execution,
            letter=encode_letter(letter),
        )
    ]


def _children(events: Iterable[HistoryEvent]) -> dict[int, str]:
    """Return the sub-orchestrations that have not reported: ids by sequence number."""
    pending: dict[int, str] = {}
    for event in events:
        match event:
            case SubOrchestrationScheduled():
                pending[event.seq] = event.instance_id
            case (
                SubOrchestrationCompleted()
                | SubOrchestrationFailed()
                | SubOrchestrationCancelRequested()
            ):
                pending.pop(event.seq, None)
            case _:
                pass
    return pending
