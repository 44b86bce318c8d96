"""Ids, metadata and failures of entities, as values."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from durable_async import EntityId
from durabletask._runtime.entity_ids import of_native, to_native
from durabletask.entities import (
    EntityInstanceId,
    EntityLock,
    EntityMetadata,
    EntityOperationFailedException,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Json:
    """As much of a converter as is needed here."""

    def deserialize(self, text: str, into: Any = None) -> Any:
        value = json.loads(text)
        return value if into is None else into(value)


def metadata(**changed: Any) -> EntityMetadata:
    given: dict[str, Any] = {
        "id": EntityInstanceId("counter", "a"),
        "last_modified": NOON,
        "backlog_queue_size": 3,
        "locked_by": "",
        "includes_state": True,
        "state": "5",
        "data_converter": Json(),
    }
    return EntityMetadata(**{**given, **changed})


def test_names_are_lowered_and_keys_are_not() -> None:
    entity = EntityInstanceId("Counter", "Key")
    assert (entity.entity, entity.key, str(entity)) == ("counter", "Key", "@counter@Key")
    assert entity == EntityInstanceId("COUNTER", "Key") != EntityInstanceId("counter", "key")
    assert {entity: 1}[EntityInstanceId("counter", "Key")] == 1
    assert entity != "@counter@Key"
    assert pickle.loads(pickle.dumps(entity)) == entity
    assert EntityInstanceId.parse(str(entity)) == entity


def test_ids_are_ordered_as_they_are_written() -> None:
    a, b = EntityInstanceId("a", "k"), EntityInstanceId("a!", "k")
    assert str(b) < str(a)
    assert b < a
    assert a > b
    assert a >= EntityInstanceId("a", "k") <= a
    with pytest.raises(TypeError):
        _ = a < "@a@k"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("entity", "key"),
    [
        ("", "k"),
        ("a", ""),
        ("a@", "k"),
        ("a", "k@"),
        ("a", "\0"),
        ("a" * 201, "k"),
        ("a", "k" * 255),
        (None, "k"),
        ("a", 7),
    ],
)
def test_what_is_no_id_is_a_value_error(entity: Any, key: Any) -> None:
    with pytest.raises(ValueError, match="entity"):
        EntityInstanceId(entity, key)


@pytest.mark.parametrize("text", ["", "@", "@@", "@a", "@a@", "@@b", "a@b", "@a@b@c"])
def test_what_is_not_written_as_an_id(text: str) -> None:
    with pytest.raises(ValueError, match="entity"):
        EntityInstanceId.parse(text)


def test_names_and_keys_can_be_tried() -> None:
    EntityInstanceId.validate_entity_name("Counter")
    EntityInstanceId.validate_key("Key")
    for bad in ("", "a@b"):
        with pytest.raises(ValueError, match="name"):
            EntityInstanceId.validate_entity_name(bad)
        with pytest.raises(ValueError, match="key"):
            EntityInstanceId.validate_key(bad)


def test_there_and_back() -> None:
    entity = EntityInstanceId("counter", "Key")
    assert to_native(entity) == EntityId("counter", "Key")
    assert of_native(to_native(entity)) == entity
    assert str(of_native(EntityId("counter", "a@b"))) == "@counter@a@b"
    with pytest.raises(TypeError, match="EntityInstanceId"):
        to_native("@counter@Key")  # type: ignore[arg-type]


def test_metadata_gives_the_text_and_what_it_means() -> None:
    found = metadata()
    assert (found.get_state(), found.get_state(int), found.get_state(str)) == ("5", 5, "5")
    assert (found.get_typed_state(), found.get_typed_state(float)) == (5, 5.0)
    assert repr(found) == "<EntityMetadata @counter@a>"
    with pytest.raises(TypeError, match="no dict"):
        found.get_state(dict)


def test_metadata_without_state() -> None:
    found = metadata(state=None, includes_state=False)
    assert found.get_state() is found.get_state(int) is found.get_typed_state(int) is None


@pytest.mark.parametrize(
    ("text", "entity", "plain"),
    [
        ("", None, None),
        ("an orchestration", None, "an orchestration"),
        ("@other@b", EntityInstanceId("other", "b"), "@other@b"),
    ],
)
def test_who_holds_the_lock(text: str, entity: Any, plain: Any) -> None:
    found = metadata(locked_by=text)
    assert (found.get_locked_by(), found.locked_by) == (entity, plain)


def test_metadata_of_a_message() -> None:
    message = SimpleNamespace(
        instanceId="@counter@a",
        lastModifiedTime=SimpleNamespace(ToDatetime=NOON.astimezone),
        backlogQueueSize=3,
        lockedBy=SimpleNamespace(value=""),
        serializedState=SimpleNamespace(value="5"),
    )
    answer = SimpleNamespace(entity=message)
    found = EntityMetadata.from_entity_response(answer, True, Json())  # type: ignore[arg-type]
    assert (found.id, found.last_modified, found.backlog_queue_size) == (
        EntityInstanceId("counter", "a"),
        NOON,
        3,
    )
    assert found.get_typed_state() == 5
    found = EntityMetadata.from_entity_response(answer, False, Json())  # type: ignore[arg-type]
    assert found.get_state() is None
    message.instanceId = "nonsense"
    with pytest.raises(ValueError, match="nonsense"):
        EntityMetadata.from_entity_metadata(message, True, Json())  # type: ignore[arg-type]


def test_a_failed_operation_says_which() -> None:
    entity = EntityInstanceId("counter", "a")
    expected = "Operation 'add' on entity '@counter@a' failed with error: too much"
    for details in (SimpleNamespace(message="too much"), SimpleNamespace(errorMessage="too much")):
        error = EntityOperationFailedException(entity, "add", details)
        assert str(error) == expected
        assert (error.entity_instance_id, error.operation_name) == (entity, "add")
        assert error.failure_details is details


def test_the_end_of_the_block_ends_the_section() -> None:
    ended = []
    context: Any = SimpleNamespace(_exit_critical_section=lambda: ended.append(1))
    with EntityLock(context) as lock:
        assert isinstance(lock, EntityLock)
        assert not ended
    with pytest.raises(KeyError), EntityLock(context):
        raise KeyError
    assert ended == [1, 1]
