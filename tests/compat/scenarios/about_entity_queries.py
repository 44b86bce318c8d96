"""What a client sees of entities, and cleaning up after them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import client, entities

from .book import scenario
from .cast import COUNTER, EntityId, called, counter
from .stage import Stage, attempt

HOUR = timedelta(hours=1)


def box(ctx: entities.EntityContext, input: Any) -> Any:
    if ctx.operation == "put":
        ctx.set_state(input)
    return ctx.get_state()


def populated(stage: Stage) -> None:
    """Leave four entities with states."""
    stage.worker([], [], [box, counter])
    ids = [EntityId("box", name) for name in ("a-1", "a-2", "b-1")]
    for id in ids:
        stage.client.signal_entity(id, "put", input={"key": id.key})
    stage.client.signal_entity(COUNTER, "add", input=5)
    for id in (*ids, COUNTER):
        stage.until(lambda id=id: stage.state_of(id) is not None)


def found(stage: Stage, **query: Any) -> list[str]:
    listed = stage.client.get_all_entities(client.EntityQuery(**query))
    return sorted(str(one.id) for one in listed)


@scenario
def one(stage: Stage) -> Any:
    populated(stage)
    it = stage.client.get_entity(COUNTER)
    return [
        str(it.id),
        it.get_typed_state(),
        it.get_typed_state(int),
        it.includes_state,
        it.backlog_queue_size,
        it.get_locked_by(),
        it.last_modified.tzinfo is not None,
    ]


@scenario
def one_without_its_state(stage: Stage) -> Any:
    populated(stage)
    it = stage.client.get_entity(COUNTER, include_state=False)
    return [it.includes_state, attempt(it.get_state)]


@scenario
def one_by_the_legacy_state(stage: Stage) -> Any:
    """``get_state`` gives the raw text, made into a type by its constructor."""
    populated(stage)
    it = stage.client.get_entity(COUNTER)
    return [it.get_state(), it.get_state(int), attempt(it.get_state, dict)["raised"]]


@scenario
def nobody(stage: Stage) -> Any:
    populated(stage)
    return stage.client.get_entity(EntityId("box", "nobody"))


@scenario
def all_of_them(stage: Stage) -> Any:
    populated(stage)
    return [found(stage), sorted(str(one.id) for one in stage.client.get_all_entities())]


@scenario
def by_prefix(stage: Stage) -> Any:
    populated(stage)
    prefixes = ["@box@a", "@box@", "@counter", "@box@A", "@nobody", "box"]
    return [found(stage, instance_id_starts_with=prefix) for prefix in prefixes]


@scenario
def by_time(stage: Stage) -> Any:
    populated(stage)
    now = datetime.now(UTC)
    return [
        len(found(stage, last_modified_from=now - HOUR)),
        len(found(stage, last_modified_from=now + HOUR)),
        len(found(stage, last_modified_to=now - HOUR)),
    ]


@scenario
def in_pages(stage: Stage) -> Any:
    populated(stage)
    return [found(stage, page_size=1), found(stage, page_size=3)]


@scenario
def with_states_or_without(stage: Stage) -> Any:
    populated(stage)
    answers = []
    for include in (True, False):
        query = client.EntityQuery(instance_id_starts_with="@box@a", include_state=include)
        listed = stage.client.get_all_entities(query)
        answers.append([one.includes_state for one in listed])
    return answers


@scenario
def states_are_typed(stage: Stage) -> Any:
    stage.worker([], [], [box])
    values = [5, "text", [1, 2], {"a": 1}, 0, ""]
    for number, value in enumerate(values):
        stage.client.signal_entity(EntityId("box", f"b{number}"), "put", input=value)
    answers = []
    for number in range(len(values)):
        id = EntityId("box", f"b{number}")
        stage.until(lambda id=id: stage.state_of(id) is not None)
        answers.append(stage.state_of(id))
    return answers


@scenario
def deleted(stage: Stage) -> Any:
    outcome = called(stage, box, ("put", 5), ("put", None), id=EntityId("box", "a"))
    result = stage.client.clean_entity_storage()
    return [
        outcome["output"],
        result.empty_entities_removed,
        result.orphaned_locks_released,
        stage.client.get_entity(EntityId("box", "a")),
        found(stage),
    ]


@scenario
def cleaning_leaves_what_has_a_state(stage: Stage) -> Any:
    populated(stage)
    result = stage.client.clean_entity_storage()
    return [result.empty_entities_removed, result.orphaned_locks_released, found(stage)]


@scenario
def entities_are_no_orchestrations(stage: Stage) -> Any:
    populated(stage)
    return [state.instance_id for state in stage.client.get_all_orchestration_states()]
