"""Every verb of the client, with every argument that it takes, on every store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from durable_async import (
    EntityId,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidTransitionError,
    OverloadedError,
    PayloadTooLargeError,
    Retention,
    ReusePolicy,
    Status,
    TaskHub,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.errors import EncodeError, RegistrationError
from durable_async.model.records import QueryOrder
from durable_async.serialization import JsonConverter
from durable_async.testing import VirtualEnvironment
from durable_async.testing.postgres import PostgresLab

from . import strategies as s
from .places import POSTGRES, SQLITE, STORES, fresh_hub, run
from .reading import read_all
from .target import ACCEPTED, Target

NOTHING_WRITTEN = (ValidationError, EncodeError, InstanceNotFoundError, RegistrationError)
"""What refuses a call before anything is written. Other refusals may come after a part of it, as of many starts."""

REFUSALS = (
    *NOTHING_WRITTEN,
    PayloadTooLargeError,
    InstanceExistsError,
    InvalidTransitionError,
    OverloadedError,
    WaitTimeoutError,
)

_converter = JsonConverter()
_ABSENT = object()


def _mostly(
    sound: st.SearchStrategy[Any], hostile: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Return an argument that is seldom hostile: a call has several, and each is to be looked at."""
    return st.integers(0, 5).flatmap(lambda number: hostile if number == 5 else sound)


def _optional(given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return an argument that is mostly left out."""
    return st.integers(0, 5).flatmap(
        lambda number: given if number == 5 else st.none() if number == 4 else st.just(_ABSENT)
    )


_instances = _mostly(st.sampled_from(["there", "more", "absent"]), s.names())
_names = _mostly(s.sound_texts(), s.names())
_payloads = _mostly(s.sound_values(), s.values())
_flags = st.one_of(st.booleans(), s.wrong_types())
_request_ids = _optional(_mostly(st.sampled_from(["r1", "r2"]), s.names()))
_tags = _optional(
    st.one_of(
        st.dictionaries(s.sound_texts(), s.sound_texts(), max_size=3),
        st.dictionaries(s.texts(), s.texts(), max_size=3),
        st.integers(31, 33).map(lambda count: {str(n): "" for n in range(count)}),
        s.wrong_types(),
    )
)
_timeouts = st.one_of(
    st.sampled_from([0, 0.5, 1, -1, float("nan")]), s.texts(), st.sampled_from([b"", [], True])
)


def _entity(name: Any, key: Any) -> Any:
    try:
        return EntityId(name, key)
    except ValidationError:
        return None


_entities = _mostly(
    st.sampled_from([EntityId("counter", "a"), EntityId("counter", "b")]),
    st.one_of(s.names(), st.builds(_entity, s.names(), s.names())),
)
_conditions = {
    "statuses": _optional(st.lists(st.sampled_from(Status), max_size=3) | s.wrong_types()),
    "names": _optional(st.lists(_names, max_size=3) | s.wrong_types()),
    "id_prefix": _optional(st.one_of(st.just("th"), s.texts(), s.wrong_types())),
    "created_from": _optional(s.datetimes() | s.wrong_types()),
    "created_to": _optional(s.datetimes() | s.wrong_types()),
    "completed_from": _optional(s.datetimes() | s.wrong_types()),
    "completed_to": _optional(s.datetimes() | s.wrong_types()),
    "tags": _tags,
    "parent": _optional(_instances),
    "parked": _optional(_flags),
}
_entity_conditions = {
    "name": _optional(_mostly(st.just("counter"), s.names())),
    "key_prefix": _optional(_mostly(st.just("a"), s.names())),
    "updated_from": _optional(s.datetimes() | s.wrong_types()),
    "updated_to": _optional(s.datetimes() | s.wrong_types()),
    "has_state": _optional(_flags),
}
_limits = _optional(st.one_of(st.integers(0, 3), s.integers(), s.wrong_types()))
_pages = _optional(st.one_of(s.texts(), s.wrong_types()))

_start = {
    "version": _optional(_names),
    "tags": _tags,
    "start_at": _optional(s.times()),
    "reuse": _optional(st.sampled_from(ReusePolicy) | s.wrong_types()),
}

VERBS: Mapping[str, tuple[tuple[st.SearchStrategy[Any], ...], Mapping[str, Any]]] = {
    "start": (
        (_names, _payloads),
        {**_start, "instance_id": _optional(_instances), "request_id": _request_ids},
    ),
    "start_many": (
        (_names, st.lists(_payloads, max_size=3) | s.wrong_types()),
        {
            **_start,
            "instance_ids": _optional(st.lists(_instances, max_size=3) | s.wrong_types()),
        },
    ),
    "restart": ((_instances,), {"instance_id": _optional(_names)}),
    "raise_event": ((_instances, _names, _payloads), {"request_id": _request_ids}),
    "raise_events": (
        (
            st.lists(st.tuples(_instances, _names, _payloads), max_size=3)
            | st.lists(s.wrong_types(), max_size=2)
            | s.wrong_types(),
        ),
        {},
    ),
    "suspend": ((_instances, st.one_of(s.texts(), s.wrong_types())), {}),
    "resume": ((_instances, st.one_of(s.texts(), s.wrong_types())), {}),
    "terminate": ((_instances, _payloads), {"recursive": _optional(_flags)}),
    "rewind": ((_instances, st.one_of(s.texts(), s.wrong_types())), {}),
    "purge": ((_instances,), {"recursive": _optional(_flags)}),
    "purge_where": ((), {**_conditions, "batch": _limits}),
    "unpark": ((_instances | _entities,), {}),
    "get": ((_instances,), {"payloads": _optional(_flags)}),
    "wait": ((_instances,), {"timeout": _timeouts}),
    "wait_for_end": ((_instances,), {"timeout": _timeouts}),
    "wait_for_start": ((_instances,), {"timeout": _timeouts}),
    "history": ((_instances,), {}),
    "query_page": (
        (),
        {
            **_conditions,
            "limit": _limits,
            "page": _pages,
            "payloads": _optional(_flags),
            "order": _optional(st.sampled_from(QueryOrder) | s.wrong_types()),
        },
    ),
    "signal_entity": (
        (_entities, _names, _payloads),
        {"at": _optional(s.times()), "request_id": _request_ids, "extra": _optional(st.just(1))},
    ),
    "signal_entity_at": ((s.times(), _entities, _names, _payloads), {"request_id": _request_ids}),
    "call_entity": (
        (_entities, _names, _payloads),
        {"timeout": _timeouts, "request_id": _request_ids},
    ),
    "get_entity": ((_entities,), {}),
    "delete_entity": ((_entities,), {"request_id": _request_ids}),
    "retry_parked_operations": ((_entities,), {}),
    "entity_locks": ((_entities,), {}),
    "query_entities_page": ((), {**_entity_conditions, "limit": _limits, "page": _pages}),
    "clean_entities": ((), {"batch": _limits}),
    "workers": ((), {}),
    "count_expired": ((st.just(Retention(age=60)) | s.wrong_types(),), {}),
}


Call = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A verb, and what it is given."""


def calls() -> st.SearchStrategy[Call]:
    """A call of the client."""
    return st.sampled_from(sorted(VERBS)).flatmap(_call_of)


def _call_of(verb: str) -> st.SearchStrategy[Call]:
    positional, keywords = VERBS[verb]
    given = st.fixed_dictionaries(dict(keywords)).map(
        lambda all_of_them: {k: v for k, v in all_of_them.items() if v is not _ABSENT}
    )
    return st.tuples(st.just(verb), st.tuples(*positional), given)


async def ready(hub: TaskHub) -> None:
    """Put into a hub what calls may be about."""
    await hub.client.start("a", 1, instance_id="there", tags={"a": "b"})
    await hub.client.start("b", instance_id="more")
    await hub.client.signal_entity(EntityId("counter", "a"), "add", 1)


async def _try(
    env: VirtualEnvironment, kind: str, call: Call, lab: PostgresLab | None
) -> tuple[Exception | None, dict[str, Any]]:
    """Make a call on one store; return what it raised, and all that is left, which is known to be sound."""
    verb, args, kwargs = call
    async with fresh_hub(env, kind, lab=lab) as hub:
        await ready(hub)
        before = await read_all(hub, shown=False)
        refused: Exception | None
        try:
            await getattr(hub.client, verb)(*args, **kwargs)
        except REFUSALS as error:
            refused = error
        else:
            refused = None
        after = await read_all(hub, shown=False)
        if kind == SQLITE and after != before:
            await read_all(hub, shown=True)
        if isinstance(refused, NOTHING_WRITTEN):
            assert after == before, "a call was refused, and something was written"
        elif refused is None and verb == "start":
            _is_as_given(after, before, args, kwargs)
        return refused, after


def _is_as_given(
    after: dict[str, Any], before: dict[str, Any], args: Any, kwargs: dict[str, Any]
) -> None:
    """Check that what was started reads back as it was given."""
    new = [instance_id for instance_id in after if after[instance_id] != before.get(instance_id)]
    if len(new) != 1:
        return
    name, version, _, tags, _, stored, value, _ = after[new[0]]
    assert (name, version or None) == (args[0], kwargs.get("version") or None)
    assert tags == (kwargs.get("tags") or {})
    assert kwargs.get("instance_id") in (None, new[0])
    expected = None if args[1] is None else _converter.encode(args[1], "input")
    assert stored == expected
    assert _converter.encode(value, "input") == (expected or b"null")


def probe(call: Call, stores: Sequence[str] = STORES, lab: PostgresLab | None = None) -> None:
    """Make a call on each store, and check that all say the same of it, and hold the same afterwards."""

    def made_on(kind: str) -> tuple[Exception | None, dict[str, Any]]:
        return run(lambda env: _try(env, kind, call, lab if kind == POSTGRES else None))

    (first, held), *others = [made_on(kind) for kind in stores]
    for refused, left in others:
        assert type(refused) is type(first), (first, refused)
        assert repr(left) == repr(held), "two stores hold something else after the same call"
    if first is not None:
        raise first


assert ACCEPTED not in {error.__name__ for error in REFUSALS}

TARGETS = (
    Target(name="client", inputs=calls(), probe=probe, refusals=REFUSALS, examples=250, share=2),
)
