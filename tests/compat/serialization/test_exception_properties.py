"""What a program's provider says of an exception, and that it can do no harm."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict, UserDict
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from durabletask._runtime.exception_properties import plain, properties_of

from .strategies import wide_values

LOGGER = logging.getLogger("test")


class Says:
    def __init__(self, said: Any) -> None:
        self.said = said

    def get_exception_properties(self, exception: Exception) -> Any:
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (1, 1.0),
        (2.5, 2.5),
        (Decimal("1.5"), 1.5),
        (True, True),
        (None, None),
        ("x", "x"),
        (b"x", "b'x'"),
        (date(2026, 1, 1), "2026-01-01"),
        ([1, (2, {"a": 3})], [1.0, [2.0, {"a": 3.0}]]),
        (OrderedDict({1: None}), {"1": None}),
        (UserDict(a=1), {"a": 1.0}),
        ({1}, "{1}"),
    ],
)
def test_values_are_as_the_sdk_records_them(said: Any, kept: Any) -> None:
    found = properties_of(ValueError(), Says({"key": said}), LOGGER)
    assert found == {"key": kept}
    assert type(found["key"]) is type(kept)


@given(wide_values)
def test_everything_is_json_in_the_end(value: Any) -> None:
    json.dumps(plain(value))


@pytest.mark.parametrize("said", [None, {}])
def test_there_may_be_none(said: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert properties_of(ValueError(), Says(said), LOGGER) is None
    assert caplog.records == []


def test_there_may_be_no_provider() -> None:
    assert properties_of(ValueError(), None) is None


def test_a_provider_is_asked_about_exceptions_only() -> None:
    assert properties_of(KeyboardInterrupt(), Says({"a": 1})) is None


RING: dict[str, Any] = {}
RING["ring"] = RING


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "said", [RuntimeError("broken"), ["a"], 5, {"a": 10**400}, RING, {"a": NoText()}]
)
def test_what_goes_wrong_is_logged(said: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert properties_of(ValueError(), Says(said), LOGGER) is None
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert line.getMessage().endswith("builtins.ValueError")
    assert line.exc_info is not None
    assert properties_of(ValueError(), Says(said)) is None
