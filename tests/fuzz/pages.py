"""The tokens with which a query goes on: those of an earlier page, what only looks like one, and nonsense."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st

from durable_async import EntityId, OrchestrationContext, Registry, TaskHub, ValidationError
from durable_async.model.records import QueryOrder
from durable_async.testing import CALM, VirtualEnvironment

from . import strategies as s
from .places import STORES, fresh_hub, run
from .target import Target


def _forged(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


PAGES_GIVEN = 2
"""So many pages come after the first: each is the token of the one before."""

_real: st.SearchStrategy[Any] = st.tuples(
    st.just("real"), st.integers(0, PAGES_GIVEN - 1), st.just([])
)
_mutated = st.tuples(
    st.just("mutated"),
    st.integers(0, PAGES_GIVEN - 1),
    st.lists(st.tuples(st.integers(0, 100), s.texts().map(lambda text: text[:2])), min_size=1, max_size=2),
)  # fmt: skip


def pages() -> st.SearchStrategy[Any]:
    """Tokens: those of an earlier page, as they are and changed; forged in the form of each store; nonsense."""
    orders = st.sampled_from(["created", "completed", "x", ""])
    moments = st.one_of(s.integers().filter(lambda n: abs(n) < 10**401), st.floats(), s.texts())
    forged = st.tuples(orders, moments, s.texts())
    made_up = st.one_of(
        forged.map(lambda parts: _forged(list(parts))),
        forged.map(lambda parts: ":".join(map(str, parts))),
        st.lists(s.sound_values(), max_size=3).map(_forged),
        s.texts(),
        s.wrong_types(),
    )
    return st.one_of(_real, _mutated, st.tuples(st.just("made up"), made_up, st.just([])))


def _mutate(token: str, changes: list[tuple[int, str]]) -> str:
    """Put texts in the places of others."""
    for where, text in changes:
        at = where % (len(token) + 1)
        token = token[:at] + text + token[at + 1 :]
    return token


Asking = Callable[..., Awaitable[Any]]


async def _fill_pages(hub: TaskHub) -> list[Asking]:
    """Put something into a hub that takes several pages; return how to ask for them."""
    for number in range(PAGES_GIVEN + 1):
        await hub.client.start("a", number, instance_id=f"i{number}")
        await hub.client.signal_entity(EntityId("counter", str(number)), "add", 1)
    return [hub.client.query_page, hub.client.query_entities_page]


def _id_of(one: Any) -> str:
    return str(one.entity_id) if hasattr(one, "entity_id") else str(one.instance_id)


async def _pages_of(ask: Asking) -> tuple[list[str], list[str]]:
    """Return all ids in their order, each of which is a page, and the tokens between them."""
    ids: list[str] = []
    tokens: list[str] = []
    page = None
    for _ in range(PAGES_GIVEN + 1):
        found, page = await ask(page=page, limit=1)
        ids += [_id_of(one) for one in found]
        tokens.append(page)
    return ids, tokens[:PAGES_GIVEN]


async def _go_on(ask: Asking, case: tuple[str, Any, list[tuple[int, str]]]) -> None:
    """Ask for the page after a token; a real one has to lead to all that is left."""
    kind, given, changes = case
    ids, tokens = await _pages_of(ask)
    page = given if kind == "made up" else _mutate(tokens[given], changes)
    left, _ = await ask(page=page, limit=10)
    found = [_id_of(one) for one in left]
    if kind == "real":
        assert found == ids[given + 1 :], "a page is missing, or comes twice"
    else:
        assert found == [one for one in ids if one in found], "a page is out of order"


def _probe_page(case: tuple[tuple[str, Any, list[tuple[int, str]]], QueryOrder]) -> None:
    """Go on with a token, of an earlier page or of nobody: what is left, or refused, on each store."""
    token, order = case

    async def story(env: VirtualEnvironment, kind: str) -> Exception | None:
        async with fresh_hub(env, kind) as hub:
            orchestrations, entities = await _fill_pages(hub)
            if not order.is_by_creation:
                await _complete(hub)
            found: Exception | None = None
            for ask in (functools.partial(orchestrations, order=order), entities):
                try:
                    await _go_on(ask, token)
                except ValidationError as error:
                    found = error
            return found

    answers = [run(lambda env, kind=kind: story(env, kind)) for kind in STORES]  # type: ignore[misc]
    for answer in answers:
        if answer is not None:
            raise answer


async def _complete(hub: TaskHub) -> None:
    """Let all orchestrations end, so that there are some in the order of their ends."""
    registry = Registry()

    @registry.orchestrator(name="a")
    async def ends(ctx: OrchestrationContext, number: int) -> int:
        await ctx.create_timer(number + 1)
        return number

    async with hub.worker(registry, settings=CALM):
        for number in range(PAGES_GIVEN + 1):
            await hub.client.wait(f"i{number}", timeout=60)


TARGETS = (
    Target(
        name="page",
        inputs=st.tuples(pages(), st.sampled_from(QueryOrder)),
        probe=_probe_page,
        refusals=(ValidationError,),
        examples=60,
        share=2,
    ),
)
