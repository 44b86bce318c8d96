"""What a worker logs, on standard error, for programs that say nothing of that themselves."""

from __future__ import annotations

import logging
from enum import Enum
from typing import Annotated

import typer

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogLevel(Enum):
    """From which level on."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Level = Annotated[
    LogLevel,
    typer.Option(
        "--log-level",
        help="From which level on it is logged; a program that sets up logging decides itself.",
    ),
]


def set_up(level: LogLevel) -> None:
    """Log to standard error, unless the program has set up logging: call it after the program was imported."""
    logging.basicConfig(level=level.name, format=FORMAT)
