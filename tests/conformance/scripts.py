"""Scripts: what a test may ask of a store, in words that mean the same on every one.

Ids of letters and activities differ between stores, so that nothing here speaks of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import strategies as st

from durable_async.model.policy import ReusePolicy
from durable_async.model.status import Status

Step = dict[str, Any]

IDS = ("a", "b", "c")
KIND = "@e"
ENTITIES = ("@e@1", "@e@2")
REQUESTS = ("r1", "r2", "r3")

some_id = st.sampled_from(IDS)
any_id = st.sampled_from(IDS + ENTITIES)
mostly_owned = st.integers(0, 9)
some_execution = st.sampled_from([None, None, 1, 2, 3])
delay = st.sampled_from([None, 0, 5, 50])
request = st.sampled_from([None, None, "r1", "r2"])

letters = st.builds(
    partial(dict, kind="letter"),
    to=any_id,
    execution=some_execution,
    urgent=st.booleans(),
    final=st.sampled_from([False, False, False, True]),
    opens=st.sampled_from([True, True, True, False]),
    request=request,
)
starts = st.builds(
    partial(dict, kind="start"),
    id=some_id,
    name=st.sampled_from(["o", "o", "unregistered"]),
    version=st.sampled_from([None, None, "1", "2"]),
    reuse=st.sampled_from(ReusePolicy),
    delay=delay,
    tags=st.sampled_from([{}, {"k": "1"}, {"k": "2", "l": "1"}]),
    parent=st.sampled_from([None, "a", "b"]),
    request=request,
)
turns = st.builds(
    partial(dict, kind="turn"),
    of=mostly_owned,
    back=st.sampled_from([0, 0, 0, 0, 1]),
    status=st.sampled_from([None] * 10 + [Status.RUNNING] * 3 + [Status.FAILED, *Status]),
    custom=st.sampled_from([None, b"", b"c"]),
    consume=st.integers(0, 3),
    outbox=st.lists(letters, max_size=2),
    children=st.lists(starts, max_size=1),
    queue=st.lists(st.integers(1, 3), max_size=2),
    cancel=st.lists(st.integers(1, 3), max_size=1),
    renew=st.sampled_from([False, False, False, True]),
    state=st.sampled_from([None, b"", b"s", b"t"]),
    will=st.one_of(st.none(), st.lists(any_id, max_size=2, unique=True)),
    answers=st.lists(st.sampled_from(REQUESTS), max_size=2),
    group=st.sampled_from([0, 1, 1, 2]),
)
items = st.one_of(
    turns,
    turns,
    st.builds(partial(dict, kind="release"), of=mostly_owned, delay=delay, seen=st.integers(0, 3)),
    st.builds(partial(dict, kind="abandon"), of=mostly_owned, delay=st.sampled_from([0, 5, 50])),
    st.builds(partial(dict, kind="park"), of=mostly_owned),
    st.builds(partial(dict, kind="result"), index=st.integers(0, 3), to=some_id),
    st.builds(partial(dict, kind="progress"), index=st.integers(0, 3), to=some_id),
    st.builds(partial(dict, kind="recount"), of=mostly_owned, attempts=st.integers(0, 4)),
    st.builds(
        partial(dict, kind="recount activity"),
        index=st.integers(0, 3),
        attempts=st.integers(0, 4),
        returned=st.booleans(),
    ),
)
worker = st.integers(0, 1)
named = st.sampled_from([True, True, True, False])
over = st.one_of(st.just([]), st.lists(st.sampled_from(["", "1", "2"]), max_size=2, unique=True))
some_ids = st.lists(any_id, max_size=3)

steps = st.one_of(
    st.builds(partial(dict, do="create"), news=st.lists(starts, min_size=1, max_size=3)),
    st.builds(partial(dict, do="send"), letters=st.lists(letters, min_size=1, max_size=3)),
    st.builds(
        partial(dict, do="fetch"),
        by=worker,
        instances=st.integers(0, 3),
        activities=st.integers(0, 2),
        named=named,
        over=over,
    ),
    st.builds(
        partial(dict, do="fetch"),
        by=worker,
        instances=st.just(3),
        activities=st.integers(0, 2),
        named=st.just(True),
        over=st.just([]),
    ),
    st.builds(
        partial(dict, do="lose"),
        by=worker,
        instances=st.integers(1, 3),
        activities=st.just(2),
        named=named,
        over=over,
    ),
    st.builds(partial(dict, do="commit"), by=worker, items=st.lists(items, max_size=5)),
    st.builds(partial(dict, do="commit"), by=worker, items=st.lists(turns, min_size=1, max_size=3)),
    st.builds(partial(dict, do="commit"), by=worker, items=st.lists(turns, min_size=1, max_size=2)),
    st.builds(partial(dict, do="wait"), seconds=st.sampled_from([1, 10, 60])),
    st.builds(partial(dict, do="take_over"), by=worker),
    st.builds(partial(dict, do="retire"), by=worker),
    st.builds(partial(dict, do="purge"), ids=some_ids),
    st.builds(
        partial(dict, do="expire"),
        age=st.sampled_from([0, 5, 30]),
        names=st.sampled_from([(), (), ("o",)]),
        other_than=st.sampled_from([(), ("unregistered",)]),
        limit=st.integers(1, 3),
        deletes=st.sampled_from([True, True, False]),
    ),
    st.builds(partial(dict, do="discard"), ids=some_ids),
    st.builds(partial(dict, do="unpark"), ids=some_ids),
    st.builds(
        partial(dict, do="rewrite"), ids=st.lists(some_id, min_size=1, max_size=2, unique=True)
    ),
)
scripts = st.lists(steps, min_size=5, max_size=25)


def _start(instance_id: str) -> Step:
    return {
        "id": instance_id,
        "name": "o",
        "version": None,
        "reuse": ReusePolicy.REJECT,
        "delay": None,
        "tags": {"k": "1"},
        "parent": None,
        "request": None,
    }


def _operation(entity_id: str) -> Step:
    return {
        "to": entity_id,
        "execution": None,
        "urgent": False,
        "final": False,
        "opens": True,
        "request": None,
    }


def _turn(of: int, **fields: Any) -> Step:
    return {
        "kind": "turn",
        "of": of,
        "back": 0,
        "status": None,
        "custom": None,
        "consume": 0,
        "outbox": [],
        "children": [],
        "queue": [],
        "cancel": [],
        "renew": False,
        "state": None,
        "will": None,
        "answers": [],
        "group": 0,
    } | fields


BEGINNING: tuple[Step, ...] = (
    {"do": "create", "news": [_start(one) for one in IDS]},
    {"do": "send", "letters": [_operation(ENTITIES[0])]},
    {"do": "fetch", "by": 0, "instances": 3, "activities": 0, "named": True, "over": []},
    {
        "do": "commit",
        "by": 0,
        "items": [_turn(0, consume=1), _turn(1, will=[ENTITIES[0]]), _turn(2, will=["c"])],
    },
)
"""What every script begins with: one worker has an entity that is empty and two instances with a will, and one instance is free."""
