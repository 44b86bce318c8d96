"""Rules: what all that a worker runs has in common."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durable_async import FailureDetails
from durabletask._vocabulary.options import VersioningOptions
from durabletask.serialization import DataConverter

from .failures import PropertiesOf, to_native


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a worker's code is run.

    Attributes:
        converter: Makes texts of values, and values of texts.
        properties_of: What else is recorded of an exception.
        maximum_timer_interval: Longest single timer; longer waits are several in a row. ``None`` for no limit.
        versioning: The worker's version.
        logger: Hears how orchestrations end, and what failed.
    """

    converter: DataConverter
    properties_of: PropertiesOf | None = None
    maximum_timer_interval: timedelta | None = None
    versioning: VersioningOptions | None = None
    logger: logging.Logger = logging.getLogger("durabletask")  # noqa: RUF009 - there is one of a name

    def failure_of(self, error: BaseException) -> FailureDetails:
        """Return what is to be recorded of an exception."""
        return to_native(error, self.properties_of)

    def read(self, text: str | None, into: Any) -> Any:
        """Return the value of a text, read into a type if one is known."""
        return self.converter.deserialize(text, into)
