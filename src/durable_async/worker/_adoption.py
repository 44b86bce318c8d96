"""Adoption: a claimed instance becomes a warm one, by replay of its history."""

from __future__ import annotations

import anyio.lowlevel

from durable_async._kernel.orchestration import Orchestration
from durable_async.errors import CorruptHistoryError
from durable_async.model.history import ExecutionStarted, HistoryEvent
from durable_async.model.records import ClaimedInstance, HistoryRow, Park
from durable_async.serialization.events import decode_events, decode_letter

from ._slots import Slot
from ._turns import SLICE_SECONDS, Tools, Turns

HISTORY_PAGE_BYTES = 4 * 1024 * 1024


async def adopt(claimed: ClaimedInstance, tools: Tools, turns: Turns) -> None:
    """Take a claimed instance in, or refuse it: what cannot be replayed is tried later, then parked."""
    if claimed.attempts > tools.settings.attempts_max:
        tools.committer.submit(
            Park(
                instance_id=claimed.instance_id,
                reason=f"claimed {tools.settings.attempts_max} times, and its worker never came through",
            ),
            lambda dropped: None,
        )
        return
    try:
        slot = await _rebuild(claimed, tools, turns)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
        turns.refuse(claimed.instance_id, claimed.attempts, error)
        return
    tools.slots.add(slot)
    turns.welcome(slot)


async def _rebuild(claimed: ClaimedInstance, tools: Tools, turns: Turns) -> Slot:
    instance: Orchestration | None = None
    size = 0
    turn = -1
    try:
        rows = claimed.history
        more = claimed.more_history
        while True:
            for row in rows:
                events = decode_events(claimed.instance_id, row.events)
                if instance is None:
                    instance = _begin(claimed, events, turns)
                await _replay(instance, events, tools)
                size += len(row.events)
                turn = row.turn
            if not more:
                break
            rows, more = await _next_page(claimed, tools, turn)
        _deliver(claimed, instance)
    except BaseException:
        if instance is not None:
            instance.evict()
        raise
    assert instance is not None
    return Slot(
        instance=instance,
        turn=turn + 1,
        status=claimed.status,
        stored_wake_us=None,
        history_bytes=size,
        claims=claimed.attempts,
        elsewhere=set(claimed.queued),
    )


def _begin(claimed: ClaimedInstance, events: list[HistoryEvent], turns: Turns) -> Orchestration:
    started = events[0] if events else None
    if not isinstance(started, ExecutionStarted):
        raise CorruptHistoryError(claimed.instance_id, "it does not begin with ExecutionStarted")
    return Orchestration(
        claimed.instance_id, claimed.execution, started, turns.program(started.name)
    )


def _deliver(claimed: ClaimedInstance, instance: Orchestration | None) -> None:
    if instance is None:
        raise CorruptHistoryError(claimed.instance_id, "it is empty")
    for mail in claimed.mail:
        letter = decode_letter(claimed.instance_id, mail.letter)
        instance.deliver(mail.id, mail.execution, letter)


async def _replay(instance: Orchestration, events: list[HistoryEvent], tools: Tools) -> None:
    """Replay one turn's events; the worker's loop gets a chance every 2 ms."""
    with tools.watchdog.watching(instance.instance_id):
        instance.replay(events)
    now = tools.environment.monotonic()
    if now >= tools.pause_at:
        await anyio.lowlevel.checkpoint()
        tools.pause_at = tools.environment.monotonic() + SLICE_SECONDS


async def _next_page(
    claimed: ClaimedInstance, tools: Tools, after_turn: int
) -> tuple[tuple[HistoryRow, ...], bool]:
    page = await tools.backend.read_history(
        claimed.instance_id,
        execution=claimed.execution,
        after_turn=after_turn,
        bytes_max=HISTORY_PAGE_BYTES,
    )
    return page.rows, page.more
