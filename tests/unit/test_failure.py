"""Failures as data: types, messages, causes, groups."""

from __future__ import annotations

import pytest

from durable_async import FailureDetails


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:  # noqa: BLE001 - it is the one raised above
        return caught


def test_it_names_type_message_and_place() -> None:
    details = FailureDetails.of(raised(ValueError("bad")))

    assert details.error_type == "builtins.ValueError"
    assert details.message == "bad"
    assert "test_failure.py" in details.stack_trace
    assert details.is_type("ValueError")
    assert details.is_type("builtins.ValueError")
    assert not details.is_type("Error")


def test_causes_are_followed_and_end() -> None:
    inner = raised(KeyError("k"))
    inner.__cause__ = error = raised(ValueError("outer"), inner)

    details = FailureDetails.of(error)

    assert details.cause is not None
    assert details.cause.is_type("KeyError")
    assert details.root.is_type("KeyError")


def test_a_group_tells_what_is_in_it() -> None:
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])

    details = FailureDetails.of(group)

    assert details.message == "two (2 sub-exceptions): ValueError: a; KeyError: 'b'"
    assert details.root.is_type("ValueError")


def test_what_cannot_be_printed_is_recorded_all_the_same() -> None:
    assert FailureDetails.of(UnprintableError()).message == "<unprintable: RuntimeError>"


@pytest.mark.parametrize("text", ["x" * 20_000, "\ud800"])
def test_messages_are_bounded_and_fit_into_utf_8(text: str) -> None:
    message = FailureDetails.of(ValueError(text)).message

    assert len(message.encode()) <= 8_192


def test_an_error_can_rule_out_another_attempt() -> None:
    error = ValueError("final")
    error.non_retryable = True  # type: ignore[attr-defined]

    assert FailureDetails.of(error).non_retryable
    assert not FailureDetails.of(ValueError()).non_retryable
