"""What an `ExceptionPropertiesProvider` says, as plain JSON that can be recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from durabletask.exception_properties import ExceptionPropertiesProvider
from durabletask.internal.helpers import get_qualified_name


def properties_of(
    exception: BaseException,
    provider: ExceptionPropertiesProvider | None,
    logger: logging.Logger | None = None,
) -> dict[str, Any] | None:
    """Return the properties to record of an exception, or ``None`` if there are none.

    Nothing is raised: whatever goes wrong is logged as a warning, and the failure is recorded without properties.
    """
    if provider is None or not isinstance(exception, Exception):
        return None
    try:
        said: Any = provider.get_exception_properties(exception)
        if said is None:
            return None
        if not isinstance(said, Mapping):
            raise TypeError(f"properties are a mapping or None, not {type(said).__name__}")  # noqa: TRY301
        return plain(said) or None
    except Exception:
        if logger is not None:
            name = get_qualified_name(type(exception))
            logger.warning("A failure is recorded without properties: %s", name, exc_info=True)
        return None


def plain(value: Any) -> Any:
    """Return a value as JSON has it: numbers are floats, and what JSON does not have is its text.

    Raises:
        OverflowError: A number is too large for a float.
        RecursionError: A value holds itself.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    return str(value)
