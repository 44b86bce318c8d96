"""Errors go from process to process with their facts."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest

from durable_async import (
    ActivityFailedError,
    BackendUnavailableError,
    DurableError,
    FailureDetails,
    MissingExtraError,
    PayloadTooLargeError,
    WaitTimeoutError,
)

ERRORS = [
    ActivityFailedError("charge", FailureDetails("ValueError", "no money")),
    BackendUnavailableError("it does not answer"),
    MissingExtraError("rich", "cli", "the command"),
    PayloadTooLargeError("input", 5, 4),
    WaitTimeoutError("order-1", "end", 1.5, "it is pending"),
]


def classes(root: type[DurableError] = DurableError) -> Iterator[type[DurableError]]:
    yield root
    for kind in root.__subclasses__():
        yield from classes(kind)


def pickled(error: DurableError) -> DurableError:
    return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_arrives_with_its_facts(
    error: DurableError, way: Callable[[DurableError], DurableError]
) -> None:
    arrived = way(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


@pytest.mark.parametrize(
    "kind", sorted(set(classes()), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
)
def test_every_error_can_be_sent(kind: type[DurableError]) -> None:
    error = kind.__new__(kind)
    error.args = ("what happened",)
    error.fact = 1  # type: ignore[attr-defined]
    arrived = pickled(error)
    assert (type(arrived), arrived.args, vars(arrived)) == (kind, ("what happened",), {"fact": 1})
