"""What is known of instances from one transaction to the next."""

from __future__ import annotations

from durable_async.backends.sqlite import states
from durable_async.backends.sqlite.states import InstanceState, KnownStates


def state(instance_id: str) -> InstanceState:
    return InstanceState(
        instance_id, 1, "pending", 1, None, "w", None, 0, 0, None, 0, 0, None, 0, None, 0
    )


def known(*ids: str) -> KnownStates:
    found = KnownStates()
    found.begin(1)
    found.keep({one: state(one) for one in ids})
    return found


def ids(found: KnownStates, *wanted: str) -> list[str]:
    return [one.id for one in found.take(wanted)]


def test_what_was_kept_is_known_once() -> None:
    """Whoever takes it gives it back, or it is to be loaded."""
    found = known("a", "b")
    assert ids(found, "a", "c") == ["a"]
    assert ids(found, "a", "b") == ["b"]


def test_it_is_known_until_others_commit() -> None:
    found = known("a", "b")
    found.begin(1)
    assert ids(found, "a") == ["a"]
    found.begin(2)
    assert ids(found, "b") == []


def test_what_failed_leaves_nothing() -> None:
    found = known("a")
    found.forget()
    assert ids(found, "a") == []


def test_the_oldest_go_if_they_are_too_many() -> None:
    many = [f"i{number}" for number in range(states._KNOWN_MAX)]
    found = known(*many)
    found.keep({one: state(one) for one in ("new", "newer")})
    assert ids(found, *many[:3], "new", "newer") == [many[2], "new", "newer"]
