"""A turn that only appends is folded the short way, and comes to what the long way makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from durable_async.backends.postgres import batch
from durable_async.backends.postgres.batch import Batch, Place, is_bare, lone_turn
from durable_async.model.records import (
    NO_WILL,
    Abandon,
    Answer,
    CommitItem,
    NewInstance,
    NextExecution,
    Outgoing,
    Park,
    QueuedActivity,
    Recount,
    Release,
    TurnCommit,
    Will,
)
from durable_async.model.status import Status

LETTER = Outgoing(instance_id="b", execution=1, letter=b"hello")
CHILD = NewInstance(instance_id="child", name="x", version=None, events=b"started", created_at_us=1)
QUEUED = QueuedActivity(instance_id="a", execution=1, seq=1, attempt=1, name="x", input=b"1")

EFFECTS: dict[str, list[Any]] = {
    "custom_status": [b"", b"half"],
    "outbox": [(LETTER,)],
    "children": [(CHILD,)],
    "queued": [(QUEUED,)],
    "cancelled": [(1,)],
    "next_execution": [NextExecution(events=b"again", version="2")],
    "state": [b"", b"state"],
    "will": [NO_WILL, Will(receivers=("b",), letter=b"bye")],
    "answers": [(Answer(request_id="r", answer=b"1"),)],
    "group": [1, 2],
}

ids = st.sampled_from(["a", "b", "c"])
executions = st.integers(1, 2)


@st.composite
def turns(draw: st.DrawFn) -> TurnCommit:
    """Most only append, as in life."""
    effects: dict[str, Any] = {}
    if draw(st.integers(0, 2)) == 0:
        for name in draw(st.lists(st.sampled_from(sorted(EFFECTS)), max_size=2)):
            effects[name] = draw(st.sampled_from(EFFECTS[name]))
        effects["status"] = draw(st.sampled_from([None, Status.RUNNING, Status.COMPLETED]))
    return TurnCommit(
        instance_id=draw(ids),
        execution=draw(executions),
        turn=draw(st.integers(1, 3)),
        events=draw(st.sampled_from([b"", b"one", b"other"])),
        consumed=draw(st.sampled_from([(), (), (1,), (2, 3)])),
        **effects,
    )


@st.composite
def others(draw: st.DrawFn) -> CommitItem:
    about: dict[str, Any] = {
        "instance_id": draw(ids),
        "execution": draw(st.none() | executions),
    }
    return draw(
        st.sampled_from(
            [
                Release(wake_at_us=None, seen=(1, 2), **about),
                Abandon(retry_at_us=1, **about),
                Park(reason="why", **about),
                Recount(attempts=0, **about),
            ]
        )
    )


batches = st.lists(st.one_of(turns(), turns(), others()), max_size=8)


def outcome(items: list[CommitItem], written: set[Place]) -> tuple[Any, ...]:
    folded = Batch(items, written)
    return (
        folded.parameters(),
        folded.dropped,
        folded.changed,
        folded.progress,
        folded.states,
        sorted(folded.places()),
        folded.subjects(range(1, 1 + len(folded._subjects))),
    )


@given(items=batches, written=st.sets(st.tuples(ids, executions, st.integers(1, 3)), max_size=2))
def test_the_short_way_and_the_long_way_come_to_the_same(
    items: list[CommitItem], written: set[Place]
) -> None:
    short = outcome(items, written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "is_bare", lambda _: False)
        assert outcome(items, written) == short


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_whatever_a_turn_does_besides_is_seen(name: str) -> None:
    plain = TurnCommit(instance_id="a", execution=1, turn=1, events=b"events", consumed=(1,))
    assert is_bare(plain)
    for effect in EFFECTS[name]:
        fields = {one: getattr(plain, one) for one in plain.__struct_fields__}
        assert not is_bare(TurnCommit(**(fields | {name: effect})))


def test_every_field_of_a_turn_is_known_here() -> None:
    """A new one is an effect, or has to be looked at by whoever takes the short way."""
    appended = {"instance_id", "execution", "turn", "events", "consumed"}
    shown = {"status", "output", "failure"}
    assert set(TurnCommit.__struct_fields__) == {*EFFECTS, *appended, *shown}


def test_one_row_of_history_has_a_statement_of_its_own() -> None:
    plain = TurnCommit(instance_id="a", execution=1, turn=1, events=b"events")
    end = TurnCommit(
        instance_id="a", execution=1, turn=1, events=b"events", status=Status.COMPLETED
    )
    assert lone_turn([plain]) is plain
    assert lone_turn([end]) is end
    assert lone_turn([plain, plain]) is None
    assert lone_turn([Recount(instance_id="a", attempts=0)]) is None
    for other in ({"events": b""}, {"consumed": (1,)}, {"state": b"1"}):
        fields = {"events": b"events", **other}
        assert lone_turn([TurnCommit(instance_id="a", execution=1, turn=1, **fields)]) is None  # type: ignore[arg-type]
