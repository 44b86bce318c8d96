"""What a worker passes over: bounded, and nothing goes round in circles."""

from __future__ import annotations

from durable_async import Registry
from durable_async.worker import _versions
from durable_async.worker._versions import AGAIN_SECONDS, Versions


def only_first(name: str, version: str | None) -> bool:
    return version == "1"


def test_without_a_say_everything_is_taken() -> None:
    versions = Versions(Registry())
    assert versions.takes("any", "thing")
    assert versions.takes("any", None)
    assert versions.ask() == frozenset()


def test_what_is_passed_over_is_told_to_the_next_fetch() -> None:
    versions = Versions(Registry(accepts=only_first))
    assert versions.takes("o", "1")
    assert not versions.takes("o", "2")
    assert versions.pass_over("o", "2") == 0
    assert versions.pass_over("o", None) == 0
    assert versions.pass_over("o", "2") == 0, "of the same fetch"
    assert versions.ask() == {("o", "2"), ("o", "")}
    assert versions.ask() is versions.ask()


def test_what_comes_although_it_was_passed_over_waits_a_little() -> None:
    versions = Versions(Registry(accepts=only_first))
    versions.pass_over("o", "2")
    versions.ask()
    assert versions.pass_over("o", "2") == AGAIN_SECONDS
    assert versions.pass_over("o", "3") == 0


def test_what_is_passed_over_is_bounded() -> None:
    versions = Versions(Registry(accepts=only_first))
    size = _versions.PASSED_MAX
    for number in range(size):
        assert versions.pass_over("o", str(number)) == 0
    assert len(versions.ask()) == size
    assert versions.pass_over("o", "one more") == AGAIN_SECONDS
    asked = versions.ask()
    assert len(asked) == size
    assert ("o", "one more") in asked
    assert ("o", "0") not in asked
