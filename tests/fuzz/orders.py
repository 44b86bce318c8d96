"""What an orchestrator may ask for by its context: refused in its code by a typed error, or carried out and replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from hypothesis import strategies as st

from durable_async import (
    ActivityOptions,
    EntityContext,
    EntityId,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    ReusePolicy,
)
from durable_async.errors import DurableError, OrchestrationFailedError
from durable_async.testing import CALM, VirtualEnvironment

from . import strategies as s
from .places import SQLITE, fresh_hub, run
from .reading import read_all
from .target import Target

registry = Registry()
Order = tuple[str, tuple[Any, ...], dict[str, Any]]
order: Order = ("", (), {})  # set by each probe
"""What the orchestrator is to ask for in this run: a replay has to find the same."""

PATIENCE = 30.0


@registry.orchestrator
async def obeys(ctx: OrchestrationContext) -> str:
    """Ask for one thing, and tell which error refused it."""
    if ctx.execution > 1:
        return "accepted"
    verb, args, kwargs = order
    try:
        asked = _make_options(kwargs)
        result = getattr(ctx, verb)(*args, **asked)
    except DurableError as error:
        return type(error).__name__
    if result is not None and verb not in ("set_custom_status", "lock_entities"):
        done = ctx.create_timer(PATIENCE)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_first, result, group)
                group.start_soon(_first, done, group)
        except BaseExceptionGroup as errors:
            if errors.split(DurableError)[1] is not None:
                raise
    return "accepted"


async def _first(waited_for: Any, group: anyio.abc.TaskGroup) -> None:
    await waited_for
    group.cancel_scope.cancel()


def _make_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keywords with the options of an activity made, which may be refused as well."""
    if "options" not in kwargs:
        return kwargs
    limits = dict(kwargs["options"])
    retry = limits.pop("retry", None)
    return {"options": ActivityOptions(retry=retry and RetryPolicy(**retry), **limits)}


@registry.orchestrator
async def quick(ctx: OrchestrationContext, value: Any = None) -> Any:
    """Be a child, and a neighbour."""
    return value


@registry.activity
async def fails(value: Any = None) -> None:
    """Fail each time."""
    raise ValueError(value)


@registry.entity
def counter(ctx: EntityContext, value: Any = None) -> Any:
    """Keep what is given."""
    ctx.set_state(value)
    return value


_ABSENT = object()


def _seldom(given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 2).flatmap(lambda number: given if number == 2 else st.just(_ABSENT))


def _mostly(
    sound: st.SearchStrategy[Any], hostile: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    return st.integers(0, 3).flatmap(lambda number: hostile if number == 3 else sound)


_payloads = _mostly(s.sound_values(), s.values())
_entities = _mostly(st.just(EntityId("counter", "a")), s.names())
_limits = _seldom(st.one_of(s.durations(), s.wrong_types()))
_retries = st.fixed_dictionaries(
    {
        "max_attempts": _seldom(st.one_of(st.integers(-1, 3), s.integers(), s.wrong_types())),
        "first_delay": _limits,
        "backoff": _seldom(st.one_of(s.floats(), s.integers(), s.wrong_types())),
        "max_delay": _limits,
        "max_elapsed": _limits,
        "jitter": _seldom(st.one_of(st.floats(0, 1), s.floats(), s.wrong_types())),
    }
).map(lambda given: {k: v for k, v in given.items() if v is not _ABSENT})

VERBS: Mapping[str, tuple[tuple[st.SearchStrategy[Any], ...], Mapping[str, Any]]] = {
    "call_activity": (
        (_mostly(st.just("fails"), s.names()), _payloads),
        {
            "options": st.fixed_dictionaries(
                {
                    "retry": _seldom(_retries),
                    "start_to_close": _limits,
                    "schedule_to_close": _limits,
                    "heartbeat": _limits,
                }
            ).map(lambda given: {k: v for k, v in given.items() if v is not _ABSENT})
        },
    ),
    "create_timer": ((s.times(),), {}),
    "wait_for_external_event": ((s.names(),), {}),
    "call_sub_orchestrator": (
        (_mostly(st.just("quick"), s.names()), _payloads),
        {
            "instance_id": _seldom(s.names()),
            "version": _seldom(s.names()),
            "default_version": _seldom(s.names()),
            "reuse": _seldom(st.one_of(st.sampled_from(ReusePolicy), s.wrong_types())),
        },
    ),
    "send_event": ((s.names(), s.names(), _payloads), {}),
    "set_custom_status": ((_payloads,), {}),
    "continue_as_new": (
        (_payloads,),
        {"version": _seldom(s.names()), "keep_events": _seldom(s.wrong_types())},
    ),
    "signal_entity": ((_entities, s.names(), _payloads), {}),
    "signal_entity_at": ((s.times(), _entities, s.names(), _payloads), {}),
    "call_entity": ((_entities, s.names(), _payloads), {}),
    "lock_entities": (
        (_mostly(st.lists(_entities, max_size=3), s.wrong_types()),),
        {"timeout": _limits, "hold": _limits},
    ),
}


def orders() -> st.SearchStrategy[Order]:
    """One thing to ask for."""
    return st.sampled_from(sorted(VERBS)).flatmap(
        lambda verb: st.tuples(
            st.just(verb),
            st.tuples(*VERBS[verb][0]),
            st.fixed_dictionaries(dict(VERBS[verb][1])).map(
                lambda given: {k: v for k, v in given.items() if v is not _ABSENT}
            ),
        )
    )


async def _story(env: VirtualEnvironment) -> str:
    async with fresh_hub(env, SQLITE, registry) as hub:
        handle = await hub.client.start("obeys", instance_id="obeys")
        async with hub.worker(settings=CALM):
            state = None
            with anyio.move_on_after(120):
                state = await hub.client.wait_for_end(handle)
            if state is None:
                state = await hub.client.get(handle)
                assert state is not None
                assert order[0] == "continue_as_new", f"it does not end: {state!r} {state.parked}"
                await hub.client.terminate(handle)
            neighbour = await hub.client.start("quick", 1)
            assert await neighbour.wait(timeout=60) == 1
            assert state.parked is None, state.parked
        await read_all(hub, shown=True)
        if state.failure is not None:
            raise OrchestrationFailedError("obeys", state.failure)
        return str(state.output())


class RefusedError(DurableError):
    """Raised here for what the orchestrator's code was refused."""


def probe(given: Order) -> None:
    """Let an orchestrator ask for something."""
    global order  # noqa: PLW0603 - a replay asks for it again, in code that gets no input of any type
    order = given
    answer = run(_story)
    if answer not in ("accepted", "None"):
        raise RefusedError(answer)


TARGETS = (
    Target(
        name="orders", inputs=orders(), probe=probe, refusals=(RefusedError,), examples=60, share=1
    ),
)
