"""The history decoder, and the kernel on what comes out of it."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import strategies as st
from rich.console import Console

from durable_async import EntityId, OrchestrationContext, Registry
from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.entities.outcome import OperationOutcome
from durable_async._kernel.orchestration import Orchestration
from durable_async.cli import _render
from durable_async.errors import (
    BackendUnavailableError,
    CorruptHistoryError,
    DeterminismError,
    DurableError,
)
from durable_async.failure import FailureDetails
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    EntityCallCompleted,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    Letter,
    ParentLink,
    SubOrchestrationCompleted,
)
from durable_async.serialization import JsonConverter
from durable_async.serialization.events import (
    decode_events,
    decode_letter,
    decode_snapshot,
    encode_events,
    encode_letter,
    encode_snapshot,
)

from .stored import event_bytes, events, letter_bytes, letters, snapshot_bytes, snapshots
from .target import Target

START_US = 1_767_225_600_000_000
registry = Registry()
converter = JsonConverter()


@registry.orchestrator
async def plain(ctx: OrchestrationContext, value: Any = None) -> Any:
    """Do one thing after the other."""
    ctx.set_custom_status({"at": ctx.now().isoformat()})
    first = await ctx.call_activity("a", value)
    await ctx.create_timer(5)
    return [first, await ctx.wait_for_external_event("go", int)]


@registry.orchestrator
async def busy(ctx: OrchestrationContext, value: int = 0) -> Any:
    """Do all things at once."""
    ctx.signal_entity(EntityId("counter", "b"), "add", 1)
    ctx.send_event("i", "go", 1)
    activity = ctx.call_activity("a", value)
    child = ctx.call_sub_orchestrator("plain", value, instance_id="child")
    async with ctx.lock_entities([EntityId("counter", "a")]):
        await ctx.call_entity(EntityId("counter", "a"), "add", 1)
    await child
    return await activity


def _probe_events(data: bytes) -> None:
    found = decode_events("i", data)
    assert decode_events("i", encode_events(found)) == found
    _print(found)


def _print(found: list[HistoryEvent]) -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(_render.history(found))


def _probe_letter(data: bytes) -> None:
    found = decode_letter("i", data)
    assert decode_letter("i", encode_letter(found)) == found


def _probe_snapshot(data: bytes) -> None:
    found = decode_snapshot("@a@b", data)
    assert decode_snapshot("@a@b", encode_snapshot(found)) == found


def _new(name: str) -> tuple[Orchestration, ExecutionStarted]:
    orchestrator = registry.find_orchestrator(name)
    assert orchestrator is not None
    started = ExecutionStarted(name, None, b"1")
    return Orchestration("i", 1, started, orchestrator.program(converter)), started


def _recorded(name: str, mail: list[Any]) -> list[HistoryEvent]:
    """Return the history of an orchestration that gets these letters, one a turn, ten seconds apart."""
    instance, started = _new(name)
    found: list[HistoryEvent] = [started]
    instance.replay(found)
    for number, letter in enumerate([None, *mail], 1):
        if letter is not None:
            instance.deliver(number, None, letter)
        found += instance.turn(START_US + number * 10_000_000).events
    assert instance.outcome is not None
    return found


SOUND = {
    "plain": _recorded("plain", [ActivityCompleted(1, b"7"), None, EventRaised("go", b"3")]),
    "busy": _recorded(
        "busy",
        [
            EntityLocked(5, "@counter@a"),
            ExecutionSuspended("why"),
            EntityCallCompleted(6, b"1"),
            ExecutionResumed(),
            ActivityFailed(3, 1, FailureDetails("E", "no")),
            SubOrchestrationCompleted(4, b"1"),
        ],
    ),
}


def _edits() -> st.SearchStrategy[list[tuple[str, int, Any]]]:
    kinds = st.sampled_from(["drop", "repeat", "swap", "insert", "replace", "cut"])
    return st.lists(st.tuples(kinds, st.integers(0, 40), events()), max_size=4)


def _edited(found: list[HistoryEvent], edits: list[tuple[str, int, Any]]) -> list[HistoryEvent]:
    found = list(found)
    for kind, where, event in edits:
        at = where % (len(found) + 1)
        match kind:
            case "drop":
                del found[at : at + 1]
            case "repeat":
                found[at:at] = found[at : at + 1]
            case "swap":
                found[at : at + 2] = found[at : at + 2][::-1]
            case "insert":
                found.insert(at, event)
            case "replace":
                found[at : at + 1] = [event]
            case _:
                del found[at:]
    return found


def _probe_replay(case: tuple[str, list[tuple[str, int, Any]], list[Any]]) -> None:
    """Replay a history that was changed, and take a turn with letters that nobody sent, as a worker does."""
    name, edits, mail = case
    instance, _ = _new(name)
    try:
        instance.replay(decode_events("i", encode_events(_edited(SOUND[name], edits))))
        for number, letter in enumerate(mail, 1):
            instance.deliver(number, None, decode_letter("i", encode_letter(letter)))
        list(instance.pending_activities())
        result = instance.turn(START_US + 10_000_000)
        encode_events(result.events)
    finally:
        assert instance.evict()


def _probe_history(data: bytes) -> None:
    """Take a row of a history as a worker does that adopts its instance."""
    found = decode_events("i", data)
    if not found or not isinstance(found[0], ExecutionStarted):
        raise CorruptHistoryError("i", "it does not begin with ExecutionStarted")
    instance, _ = _new("busy" if found[0].name == "busy" else "plain")
    try:
        instance.replay(found)
        encode_events(instance.turn(START_US + 100_000_000).events)
    finally:
        assert instance.evict()


def _letter_seeds() -> list[bytes]:
    failure = FailureDetails("E", "no", cause=FailureDetails("F", "why"), properties={"a": 1})
    holder = ParentLink("i", 1, 5)
    some: list[Letter] = [
        ActivityCompleted(1, b"1"),
        ActivityFailed(1, 1, failure, 5),
        EventRaised("go", b"3"),
        ExecutionTerminated(b"1", True),
        EntityOperation("add", b"1", holder, "r", 5, 7),
        EntityLockRequest(holder, 9),
        EntityLockRelease(holder, True),
    ]
    return [encode_letter(letter) for letter in some]


def _snapshot_seeds() -> list[bytes]:
    operation, holder = EntityOperation("add", b"1"), ParentLink("i", 1, 5)
    parked = (ParkedOperation(operation, "died", START_US),)
    return [
        encode_snapshot(EntitySnapshot(b"1")),
        encode_snapshot(
            EntitySnapshot(b"1", EntityLock(holder, START_US, 0), parked, (operation,))
        ),
    ]


def _history_seeds() -> list[bytes]:
    return [encode_events(found) for found in SOUND.values()]


def _probe_entity(case: tuple[Any, list[Any]]) -> None:
    """Bring an entity back from a snapshot that nobody took, and let it work through letters that nobody sent."""
    snapshot, mail = case
    stored = decode_snapshot("@counter@a", encode_snapshot(snapshot))
    entity = EntityInstance("@counter@a", 1, stored)
    for number, letter in enumerate(mail, 1):
        entity.deliver(number, None, decode_letter("@counter@a", encode_letter(letter)))
    for _ in range(100):
        if entity.next_operation(START_US) is None:
            break
        entity.conclude(OperationOutcome(state=b"1", result=b"2"))
    else:
        raise AssertionError("the line does not end")
    turn = entity.finish()
    assert len(set(turn.consumed)) == len(turn.consumed)
    if turn.snapshot is not None:
        encode_snapshot(turn.snapshot)


_UNREADABLE = (CorruptHistoryError, BackendUnavailableError)

TARGETS = (
    Target(
        name="events",
        inputs=event_bytes(),
        probe=_probe_events,
        refusals=_UNREADABLE,
        is_raw=True,
        share=30,
        seeds=_history_seeds,
    ),
    Target(
        name="history",
        inputs=event_bytes(),
        probe=_probe_history,
        refusals=(*_UNREADABLE, DeterminismError),
        is_raw=True,
        share=30,
        seeds=_history_seeds,
    ),
    Target(
        name="letter",
        inputs=letter_bytes(),
        probe=_probe_letter,
        refusals=_UNREADABLE,
        is_raw=True,
        share=30,
        seeds=_letter_seeds,
    ),
    Target(
        name="snapshot",
        inputs=snapshot_bytes(),
        probe=_probe_snapshot,
        refusals=_UNREADABLE,
        is_raw=True,
        share=30,
        seeds=_snapshot_seeds,
    ),
    Target(
        name="replay",
        inputs=st.tuples(st.sampled_from(sorted(SOUND)), _edits(), st.lists(letters(), max_size=3)),
        probe=_probe_replay,
        refusals=(CorruptHistoryError, DeterminismError),
        examples=150,
    ),
    Target(
        name="entity",
        inputs=st.tuples(snapshots(), st.lists(letters(), max_size=4)),
        probe=_probe_entity,
        refusals=(CorruptHistoryError, DurableError),
        examples=150,
    ),
)
