"""The workers of a hub in this process: which there are, and whether one of them ended with an exception."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from weakref import WeakSet

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.model.health import Health
from durable_async.worker import Worker, health_of


class Workers:
    """Those that a hub has made, and what has become of them."""

    def __init__(self) -> None:
        self._workers: WeakSet[Worker] = WeakSet()
        self._failure: str | None = None

    def add(self, worker: Worker) -> None:
        """Count one more in; it makes up for one that failed."""
        self._workers.add(worker)
        self._failure = None

    def begin_anew(self) -> None:
        """Forget that one failed."""
        self._failure = None

    def note_failure(self, error: BaseException) -> None:
        """Remember that one ended, and of what kinds of errors: their words may tell more than a probe is to show."""
        kinds = ", ".join(dict.fromkeys(type(one).__name__ for one in _leaves(error)))
        self._failure = f"a worker ended with an exception: {kinds}"

    async def health(
        self, backend: Backend | None, environment: Environment, seconds_max: float
    ) -> Health:
        """Look how they are, and the store if the hub is open."""
        if backend is None:
            problem = "the hub is not open"
            health = Health(is_live=True, is_ready=False, problems=(problem,), details={})
        else:
            health = await health_of(backend, self._workers, environment, seconds_max)
        if self._failure is None:
            return health
        return replace(
            health, is_live=False, is_ready=False, problems=(self._failure, *health.problems)
        )


def _leaves(error: BaseException) -> Generator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
