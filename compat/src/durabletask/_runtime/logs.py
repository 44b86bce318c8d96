"""Loggers of clients and workers, as their constructors' three arguments say."""

from __future__ import annotations

import logging
import warnings

_FORMAT = "%(asctime)s.%(msecs)03d %(name)s %(levelname)s: %(message)s"
_DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


def logger_of(
    kind: str,
    logger: logging.Logger | None,
    log_handler: logging.Handler | None,
    log_formatter: logging.Formatter | None,
    *,
    stacklevel: int = 3,
) -> logging.Logger:
    """Return the logger that a constructor's arguments mean: one of its own, to stderr, if there are none.

    Args:
        kind: ``client``, ``async_client`` or ``worker``.
        logger: A configured one.
        log_handler: Where a logger of its own writes to.
        log_formatter: How it writes.
        stacklevel: Whom a warning is about, as ``warnings.warn`` counts.

    Raises:
        ValueError: Both a logger and parts of one are given.
    """
    if logger is not None:
        if log_handler is not None or log_formatter is not None:
            raise ValueError("'logger' cannot be combined with 'log_handler' or 'log_formatter'.")
        return logger
    if log_handler is not None or log_formatter is not None:
        warnings.warn(
            "'log_handler' and 'log_formatter' are deprecated: configure a logger, and pass it as 'logger'.",
            DeprecationWarning,
            stacklevel=stacklevel,
        )
    handler = log_handler
    if handler is None:
        handler = logging.StreamHandler()
        handler.setLevel(logging.INFO)
    handler.setFormatter(log_formatter or logging.Formatter(_FORMAT, _DATE_FORMAT))
    own = logging.Logger(f"durabletask-{kind}")  # noqa: LOG001 - each client has one to itself, which nobody else configures
    own.addHandler(handler)
    return own
