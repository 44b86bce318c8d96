"""Wake-ups between processes: LISTEN and NOTIFY on a connection of their own, after the commit that they tell of."""

from __future__ import annotations

from collections.abc import Callable

from .connecting import PostgresTarget


class Ears:
    """Whoever listens in this process, and what others say."""

    def __init__(self, target: PostgresTarget) -> None:
        self._target = target
        self._listeners: dict[
            object, tuple[Callable[[], None], Callable[[frozenset[str] | None], None]]
        ] = {}

    @property
    def hears(self) -> bool:
        """Whether notifications of other processes arrive."""
        return False

    async def open(self) -> None:
        """Begin to listen."""

    async def close(self) -> None:
        """Stop listening."""

    def listen(
        self, on_work: Callable[[], None], on_changed: Callable[[frozenset[str] | None], None]
    ) -> Callable[[], None]:
        """Add a listener; returns how to take it out."""
        key = object()
        self._listeners[key] = (on_work, on_changed)

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def give(self, brought_work: bool, changed: set[str]) -> None:
        """Tell of a commit."""
        for on_work, on_changed in list(self._listeners.values()):
            if brought_work:
                on_work()
            if changed:
                on_changed(frozenset(changed))
