"""A backend whose calls others see: what the simulation itself asks of the store is looked at like everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from durable_async.backend import Backend

from .ways import LATE_VERBS

VERBS = LATE_VERBS.union(
    ("read_history", "read_answers", "purge", "expire", "rewrite", "unpark", "discard_entities")
)
"""What changes the store, or tells what must not change."""

See = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]


class _Witnessed:
    def __init__(self, backend: Backend, see: See) -> None:
        self._backend = backend
        self._see = see

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if name not in VERBS:
            return found

        async def call(*args: Any, **options: Any) -> Any:
            answer = await found(*args, **options)
            self._see(name, args, options, answer)
            return answer

        return call


def witnessed(backend: Backend, see: See) -> Backend:
    """Return a backend that does the same, and shows each call to ``see`` when it has taken effect."""
    return cast("Backend", _Witnessed(backend, see))
