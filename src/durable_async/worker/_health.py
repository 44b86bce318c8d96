"""A look at a hub in this process: whether the event loop turns, the store answers, and workers hold their leases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import anyio
import anyio.lowlevel

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import BackendError
from durable_async.model.health import Health

from ._worker import Worker

LOOP_SECONDS_MAX = 5.0
"""An event loop whose round takes so long is not alive: leases are lost, and callers have gone."""

_NOBODY = "a look of the hub's health"
"""An id that is read, by an index, and that nobody has to have."""


async def health_of(
    backend: Backend, workers: Iterable[Worker], environment: Environment, seconds_max: float
) -> Health:
    """Look at all of it; comes back after ``seconds_max``, if the event loop lets it."""
    began_at = environment.monotonic()
    await anyio.lowlevel.checkpoint()
    loop_seconds = environment.monotonic() - began_at
    store = await _ask(backend, environment, seconds_max)
    standings = [standing for worker in workers if (standing := worker.standing()) is not None]
    is_live = loop_seconds < LOOP_SECONDS_MAX
    problems = [*_problems(loop_seconds, store), *(_problem(one) for one in standings)]
    found = tuple(problem for problem in problems if problem)
    return Health(
        is_live=is_live,
        is_ready=not found,
        problems=found,
        details={
            "event_loop": {"seconds": round(loop_seconds, 3)},
            "store": store,
            "workers": standings,
        },
    )


async def _ask(backend: Backend, environment: Environment, seconds_max: float) -> dict[str, Any]:
    began_at = environment.monotonic()
    error: str | None = "no answer in time"
    with anyio.move_on_after(seconds_max):
        try:
            await backend.read([_NOBODY], payloads=False)
            error = None
        except BackendError as caught:
            error = type(caught).__name__  # its words may tell more than a probe is to show
    seconds = round(environment.monotonic() - began_at, 3)
    return {"answers": error is None, "seconds": seconds, "error": error}


def _problems(loop_seconds: float, store: dict[str, Any]) -> Iterator[str]:
    if loop_seconds >= LOOP_SECONDS_MAX:
        yield f"the event loop was blocked for {loop_seconds:.1f} s"
    if not store["answers"]:
        yield f"the store does not answer: {store['error']}"


def _problem(standing: dict[str, Any]) -> str | None:
    match standing:
        case {"is_stopping": True}:
            return "a worker is about to stop"
        case {"is_registered": False}:
            return "a worker is not registered"
        case {"holds_lease": False}:
            return "a worker has not renewed its lease in time"
        case _:
            return None
