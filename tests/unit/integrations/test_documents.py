"""What is stored, as JSON: what cannot be read is said, and no traceback is told to whoever asks."""

from __future__ import annotations

from typing import Any

import orjson

from durable_async import JsonConverter
from durable_async.errors import DecodeError
from durable_async.failure import FailureDetails
from durable_async.integrations._http.documents import event_document, stored
from durable_async.integrations._http.problems import dump
from durable_async.model import history as h

SECRET = "line 7, in the house of the author"
FAILURE = FailureDetails("E", "m", SECRET, FailureDetails("Cause", "why", SECRET))


def as_json(document: Any) -> Any:
    return orjson.loads(dump(document))


def test_what_cannot_be_read_says_why() -> None:
    def damaged(into: Any) -> Any:
        raise DecodeError("output", "$", "it is damaged")

    assert "it is damaged" in stored(damaged, JsonConverter())["unreadable"]


def test_a_failure_in_a_history_has_its_causes_and_no_traceback() -> None:
    document = as_json(event_document(h.ActivityFailed(1, 2, FAILURE)))
    assert document["failure"] == {
        "type": "E",
        "message": "m",
        "cause": {"type": "Cause", "message": "why", "cause": None},
    }
    assert SECRET not in str(document)


def test_values_of_events_are_json_and_others_are_not_told() -> None:
    event = event_document(h.ActivityCompleted(1, b'{ "a": 1.50 }'))
    assert dump(event) == b'{"type":"ActivityCompleted","seq":1,"result":{"a":1.50}}'
    assert as_json(event_document(h.ActivityCompleted(1, b"\x80pickled")))["result"] is None
    assert as_json(event_document(h.ActivityCompleted(1, b"")))["result"] is None


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert dump({"a\ud800": ["\ud800", ("\ud800", 1)]}) == b'{"a?":["?",["?",1]]}'
