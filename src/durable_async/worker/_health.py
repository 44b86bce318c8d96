"""A look at a hub in this process: whether the event loop turns, the store answers, and workers hold their leases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import NamedTuple

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


class _StoreLook(NamedTuple):
    answers: bool
    seconds: float
    error: str | None


async def health_of(
    backend: Backend, workers: Iterable[Worker], environment: Environment, seconds_max: float
) -> Health:
    """Look at all of it; comes back after ``seconds_max``, if the event loop lets it."""
    began_at = environment.monotonic()
    await anyio.lowlevel.checkpoint()
    loop_seconds = environment.monotonic() - began_at
    store = await _ask(backend, environment, seconds_max)
    standings = [standing for worker in workers if (standing := worker.standing()) is not None]
    problems = (
        *_problems(loop_seconds, store),
        *(problem for standing in standings if (problem := standing.problem) is not None),
    )
    return Health(
        is_live=loop_seconds < LOOP_SECONDS_MAX,
        is_ready=not problems,
        problems=problems,
        details={
            "event_loop": {"seconds": round(loop_seconds, 3)},
            "store": store._asdict(),
            "workers": [asdict(standing) for standing in standings],
        },
    )


async def _ask(backend: Backend, environment: Environment, seconds_max: float) -> _StoreLook:
    began_at = environment.monotonic()
    error: str | None = "no answer in time"
    with anyio.move_on_after(seconds_max):
        try:
            await backend.read([_NOBODY], payloads=False)
            error = None
        except BackendError as caught:
            error = type(caught).__name__  # its words may tell more than a probe is to show
    seconds = round(environment.monotonic() - began_at, 3)
    return _StoreLook(answers=error is None, seconds=seconds, error=error)


def _problems(loop_seconds: float, store: _StoreLook) -> Iterator[str]:
    if loop_seconds >= LOOP_SECONDS_MAX:
        yield f"the event loop was blocked for {loop_seconds:.1f} s"
    if not store.answers:
        yield f"the store does not answer: {store.error}"
