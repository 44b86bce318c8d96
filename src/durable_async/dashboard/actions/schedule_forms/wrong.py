"""What is wrong with what was typed: each thing beside its field, and all of them at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from durable_async.errors import (
    DurableError,
    MissingExtraError,
    ScheduleExistsError,
    SerializationError,
    ValidationError,
)

from .fields import FIELDS

_FIELD_OF = {"cron": "when", "every": "when", "at": "when", "schedule_id": "id"}
"""Where on the form options of the library are that have another name there."""


class Wrong(Exception):  # noqa: N818 - says what is wrong, field by field
    """Raised when what was typed cannot be.

    Attributes:
        fields: What is wrong, by field; under no name, what is about none of them.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(
            "; ".join(f"{name}: {what}" if name else what for name, what in fields.items())
        )
        self.fields = dict(fields)


@contextmanager
def noting(wrong: dict[str, str]) -> Generator[None]:
    """Note what is wrong, and go on: all of it is to be said at once."""
    try:
        yield
    except Wrong as error:
        wrong |= error.fields
    except DurableError as error:
        wrong |= wrong_of(error).fields


def wrong_of(error: DurableError) -> Wrong:
    """Return what the library refused, at the field that it is about."""
    if isinstance(error, ScheduleExistsError):
        return Wrong({"id": "is taken: choose another one, or edit the one that has it"})
    if isinstance(error, MissingExtraError):
        return Wrong({"when": str(error)})
    if isinstance(error, SerializationError):
        return Wrong({"input": str(error)})
    if isinstance(error, ValidationError):
        field_said = error.field.partition("[")[0]  # such as tags['team']
        name = _FIELD_OF.get(field_said, field_said)
        if any(field.name == name for field in FIELDS):
            return Wrong({name: error.reason})
    return Wrong({"": str(error)})
