"""What an entity's turn came to, as one commit."""

from __future__ import annotations

from durable_async import ReusePolicy
from durable_async._engine.entity_fold import fold_entity
from durable_async._kernel.entities import (
    EntityInstance,
    EntitySignal,
    EntityTurn,
    OrchestrationStart,
)
from durable_async.model.entities import EntitySnapshot
from durable_async.model.history import (
    EntityCallCompleted,
    EntityLocked,
    EntityOperation,
    ExecutionStarted,
    ParentLink,
)
from durable_async.model.records import Answer, NewInstance, Outgoing, TurnCommit
from durable_async.serialization.events import (
    decode_snapshot,
    encode_events,
    encode_letter,
)

ENTITY = EntityInstance("@account@x", 4, EntitySnapshot())
NOTHING = TurnCommit(instance_id="@account@x", execution=4, turn=0, events=b"")


def test_a_turn_without_effects_writes_no_history_and_leaves_state_and_status_as_they_are() -> None:
    assert fold_entity(ENTITY, EntityTurn(), now_us=9) == NOTHING


def test_a_snapshot_is_stored_and_an_empty_one_is_taken_away() -> None:
    snapshot = EntitySnapshot(b"5")
    commit = fold_entity(ENTITY, EntityTurn(snapshot=snapshot), now_us=9)
    assert decode_snapshot("@account@x", commit.state) == snapshot
    assert fold_entity(ENTITY, EntityTurn(snapshot=EntitySnapshot()), now_us=9).state == b""


def test_replies_go_to_the_execution_that_asked_and_signals_may_open_their_receiver() -> None:
    asker = ParentLink("transfer", 3, 7)
    done, locked = EntityCallCompleted(7, b"1"), EntityLocked(7, "@account@x")
    operation = EntityOperation("add", b"1", due_us=50)
    turn = EntityTurn(
        consumed=(1, 2),
        replies=((asker, locked), (asker, done)),
        signals=(EntitySignal("@log@1", "@log", operation),),
        answers=(("r", EntityCallCompleted(0, None)),),
    )
    commit = fold_entity(ENTITY, turn, now_us=9)
    assert commit.consumed == (1, 2)
    assert commit.outbox == (
        Outgoing(instance_id="transfer", execution=3, letter=encode_letter(locked)),
        Outgoing(instance_id="transfer", execution=3, letter=encode_letter(done)),
        Outgoing(
            instance_id="@log@1", execution=None, letter=encode_letter(operation), opens="@log"
        ),
    )
    assert commit.answers == (
        Answer(request_id="r", answer=encode_letter(EntityCallCompleted(0, None))),
    )


def test_an_orchestration_that_is_started_replaces_one_that_has_ended() -> None:
    turn = EntityTurn(starts=(OrchestrationStart("a", "audit", "2", b"5"),))
    assert fold_entity(ENTITY, turn, now_us=9).children == (
        NewInstance(
            instance_id="a",
            name="audit",
            version="2",
            events=encode_events([ExecutionStarted("audit", "2", b"5")]),
            created_at_us=9,
            reuse=ReusePolicy.REPLACE_TERMINAL,
        ),
    )
