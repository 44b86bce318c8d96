"""What the guard knows of a callable, however it is come by."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest

from durable_async._kernel.guard import lookup

SHARED: Any = random._inst  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _loaded() -> None:
    lookup.load()


@pytest.mark.parametrize(
    "found",
    [
        random.randint,
        SHARED.randint,
        functools.partial(random.randint, 1),
        functools.partial(random.Random.randint, SHARED),
    ],
    ids=["offered", "bound anew", "partial", "unbound"],
)
def test_methods_of_the_shared_generator_are_known(found: Any) -> None:
    operation = lookup.find(found)
    assert operation is not None
    assert operation.name == "random.randint"


def test_what_they_call_themselves_is_not_known() -> None:
    """It was looked for until the stack was used up."""
    inner = random.Random._randbelow  # type: ignore[attr-defined]
    assert lookup.find(inner, SHARED) is None
    assert lookup.find(SHARED._randbelow) is None
    assert lookup.find(functools.partial(inner, SHARED)) is None


def test_a_generator_of_ones_own_is_nobodys_business() -> None:
    assert lookup.find(random.Random(1).randint) is None
