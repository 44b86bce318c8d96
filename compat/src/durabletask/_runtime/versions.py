"""Which versions of orchestrations a worker takes, and what becomes of the others."""

from __future__ import annotations

from packaging.version import InvalidVersion, parse

import durable_async
from durabletask._vocabulary.options import (
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
)

MISMATCH = "VersionMismatch"
"""What such a failure is called where it is recorded."""


def compare(first: str | None, second: str | None) -> int:
    """Return below, at or above 0 as the first version is lower, the same or higher; none at all is lower than any.

    Versions that are none by PEP 440 are compared as texts.
    """
    if not first or not second:
        return bool(first) - bool(second)
    try:
        left, right = parse(first), parse(second)
    except InvalidVersion:
        return (first > second) - (first < second)
    return (left > right) - (left < right)


def mismatch(options: VersioningOptions | None, version: str | None) -> str | None:
    """Return why an orchestration of a version does not fit; ``None`` if it does."""
    strategy = None if options is None else options.match_strategy
    if options is None or strategy in (None, VersionMatchStrategy.NONE):
        return None
    difference = compare(version, options.version)
    if strategy is VersionMatchStrategy.STRICT:
        fits, what = difference == 0, "does not match"
    else:
        fits, what = difference <= 0, "is greater than"
    told = f"The orchestration version '{version or ''}' {what} the worker version '{options.version or ''}'."
    return None if fits else told


def verdict(
    options: VersioningOptions | None, version: str | None
) -> bool | durable_async.FailureDetails:
    """Return whether an orchestration of a version is run here, is left to others, or fails and how."""
    why = mismatch(options, version)
    if options is None or why is None:
        return True
    if options.failure_strategy is VersionFailureStrategy.FAIL:
        return durable_async.FailureDetails(MISMATCH, why, non_retryable=True)
    return False
