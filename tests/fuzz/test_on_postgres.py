"""A sample of what the client and damaged rows are given, on a real Postgres: it says what memory says, and holds the same."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from durable_async import EntityId
from durable_async.testing.postgres import PostgresLab

from .client_api import REFUSALS, Call, calls, probe as probe_client
from .damage import probe as probe_damage
from .fates import COUNTER
from .places import MEMORY, POSTGRES
from .wounds import Wound

ENTITY = EntityId("counter", "a")
LAST = datetime.max.replace(tzinfo=UTC)
BEYOND = datetime.max.replace(tzinfo=timezone(-timedelta(hours=23)))
FIRST = datetime.min.replace(tzinfo=UTC)
DEEP = [[[[["\U0010ffff\u202e"]]]]]

CALLS: dict[str, Call] = {
    "a NUL in a name": ("start", ("a\0b", 1), {}),
    "a NUL in an id": ("start", ("a", 1), {"instance_id": "i\0"}),
    "a NUL in a tag": ("start", ("a", 1), {"tags": {"k": "\0"}}),
    "a NUL in a version": ("start", ("a", 1), {"version": "\0"}),
    "a NUL in an input": ("start", ("a", {"\0": "\0"}), {"instance_id": "i"}),
    "a NUL in a request id": ("raise_event", ("there", "go"), {"request_id": "\0"}),
    "a NUL in a prefix": ("query_page", (), {"id_prefix": "\0"}),
    "half an emoji in an input": ("start", ("a", "\ud83d"), {}),
    "half an emoji in an id": ("get", ("\ud83d",), {}),
    "half an emoji in a reason": ("suspend", ("there", "\udfff"), {}),
    "half an emoji in an event": ("raise_event", ("there", "\ud800", 1), {}),
    "half an emoji in a page": ("query_page", (), {"page": "\ud800"}),
    "two halves": ("start", ("a", "\ud83d\ude00"), {}),
    "the last moment": ("start", ("a", 1), {"start_at": LAST}),
    "a moment beyond the last": ("start", ("a", 1), {"start_at": BEYOND}),
    "the first moment": ("start", ("a", 1), {"start_at": FIRST}),
    "from the first moment to the last": (
        *("query_page", ()),
        {"created_from": FIRST, "created_to": LAST},
    ),
    "to a moment beyond the last": ("purge_where", (), {"completed_to": BEYOND}),
    "a signal at the last moment": ("signal_entity", (ENTITY, "add", 1), {"at": LAST}),
    "a number of 400 digits": ("start", ("a", 10**400), {}),
    "a number of 5,000 digits": ("signal_entity", (ENTITY, "add", 10**5_000), {}),
    "the largest of 64 bits": ("start", ("a", 2**64 - 1), {"instance_id": "i"}),
    "no number": ("start", ("a", float("nan")), {}),
    "a limit beyond 64 bits": ("query_page", (), {"limit": 2**64}),
    "a duration beyond 64 bits": ("start", ("a", 1), {"start_at": 1e300}),
    "what a text of JSON may hold": ("start", ("a", DEEP), {"tags": {'"\\': "\x85\u2028'"}}),
    "a statement": ("start", ("'; drop table durable_async.instances; --", 1), {}),
    "three hundred at once": ("start_many", ("a", [1] * 300), {}),
}


@pytest.mark.parametrize("what", CALLS)
def test_it_says_what_memory_says(postgres_lab: PostgresLab, what: str) -> None:
    with suppress(*REFUSALS):
        probe_client(CALLS[what], (MEMORY, POSTGRES), postgres_lab)


def test_it_says_what_memory_says_of_anything(postgres_lab: PostgresLab) -> None:
    @settings(
        max_examples=40,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
        phases=[Phase.generate],
    )
    @given(calls())
    def agree(call: Any) -> None:
        with suppress(*REFUSALS):
            probe_client(call, (MEMORY, POSTGRES), postgres_lab)

    agree()


NONSENSE = b"\xc1 nonsense"

WOUNDS = [
    ("waiting", Wound("history", "events", NONSENSE)),
    ("queued", Wound("history", "turn", 7)),
    ("waiting", Wound("letters", "letter", NONSENSE)),
    (str(COUNTER), Wound("letters", "letter", b"")),
    (str(COUNTER), Wound("instances", "state", NONSENSE)),
    (str(COUNTER), Wound("answers", "answer", NONSENSE)),
    ("queued", Wound("queued_activities", "options", NONSENSE)),
    ("queued", Wound("queued_activities", "input", NONSENSE)),
    ("ended", Wound("instances", "output", NONSENSE)),
    ("ended", Wound("instances", "failure", NONSENSE)),
    ("ended", Wound("instances", "tags", "[1]")),
    ("waiting", Wound("instances", "status", "lost")),
    ("waiting", Wound("instances", "execution", 2**31)),
    ("waiting", Wound("requests", "answer", "nonsense")),
    (str(COUNTER), Wound("requests", "answer", "nonsense")),
]


@pytest.mark.parametrize(
    ("victim", "wound"),
    WOUNDS,
    ids=[f"{victim} {one.table}.{one.column}" for victim, one in WOUNDS],
)
def test_a_damaged_row_is_one_instance_s_trouble(
    postgres_lab: PostgresLab, victim: str, wound: Wound
) -> None:
    assert probe_damage((victim, wound), POSTGRES, postgres_lab), "there is no such row"
