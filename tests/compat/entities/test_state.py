"""A context without a worker, as unit tests of a program's entities have it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId
from durabletask.internal.entity_state_shim import SendSignal, StartOrchestration, StateShim
from durabletask.serialization import JsonDataConverter

ENTITY = EntityInstanceId("counter", "a")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def context(state: StateShim, operation: str = "add") -> EntityContext:
    return EntityContext(str(ENTITY), operation, state, ENTITY, JsonDataConverter())


def test_states_are_texts() -> None:
    assert StateShim([1], JsonDataConverter()).encode_state() == "[1]"
    assert StateShim("[1]", JsonDataConverter(), is_serialized=True).get_state() == [1]
    assert StateShim(None, JsonDataConverter()).get_state(int, 3) == 3


def test_time_is_naive() -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    now = context(StateShim(None, JsonDataConverter())).current_utc_datetime
    assert before <= now <= datetime.now(UTC).replace(tzinfo=None)


def test_what_is_done_is_kept_or_taken_back() -> None:
    state = StateShim(1, JsonDataConverter())
    ctx = context(state)
    ctx.signal_entity(ENTITY, "add", 2, NOON)
    ctx.set_state(2)
    assert state.get_operation_actions() == []
    state.commit()
    child = ctx.schedule_new_orchestration("child", {"a": 1})
    ctx.set_state(3)
    state.rollback()
    assert (state.encode_state(), ctx.get_state()) == ("2", 2)
    assert state.get_operation_actions() == [SendSignal("@counter@a", "add", "2", NOON)]
    assert len(child) == 32
    assert ctx.schedule_new_orchestration("child", None, "mine") == "mine"
    state.commit()
    assert state.get_operation_actions()[1:] == [StartOrchestration("child", None, "mine")]
    state.reset()
    assert (state.encode_state(), state.get_operation_actions()) == (None, [])


def test_an_object_with_a_context_of_its_own() -> None:
    class Counter(DurableEntity):
        def add(self, amount: int) -> None:
            self.set_state(self.get_state(int, 0) + amount)
            self.signal_entity(ENTITY, "add", amount)
            self.schedule_new_orchestration("child", amount, "id")

    state = StateShim(1, JsonDataConverter())
    counter = Counter()
    with pytest.raises(AttributeError, match="entity_context"):
        counter.add(1)
    counter._initialize_entity_context(context(state))
    counter.add(4)
    state.commit()
    assert state.encode_state() == "5"
    assert state.get_operation_actions() == [
        SendSignal("@counter@a", "add", "4", None),
        StartOrchestration("child", "4", "id"),
    ]
    counter.delete()
    assert state.encode_state() is None
