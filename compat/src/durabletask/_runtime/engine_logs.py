"""What the engine logs, where a program that gave a worker its logger would look for it.

The engine has a logger of its own, ``durable_async``. A program that configured logging sees it there. One that gave a logger to its worker
and configured nothing else would not: then the worker passes it on.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

ENGINE: Final = logging.getLogger("durable_async")


class _PassedOn(logging.Handler):
    """Passes records on to a logger, unless somebody else takes them."""

    def __init__(self, to: logging.Logger) -> None:
        super().__init__()
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, if this is the first worker's and nobody else hears it."""
        is_first = (
            next((one for one in ENGINE.handlers if isinstance(one, _PassedOn)), self) is self
        )
        if is_first and not _is_heard() and self._to.isEnabledFor(record.levelno):
            self._to.handle(record)


def _is_heard() -> bool:
    """Tell whether the engine's logger, or one above it, writes somewhere already."""
    logger: logging.Logger | None = ENGINE
    while logger is not None:
        if any(not isinstance(handler, _PassedOn) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


@contextmanager
def passed_on(to: logging.Logger) -> Generator[None]:
    """Pass the engine's records on to a logger meanwhile; where a process has several workers, to that of the one at work for longest."""
    handler = _PassedOn(to)
    ENGINE.addHandler(handler)
    try:
        yield
    finally:
        ENGINE.removeHandler(handler)
