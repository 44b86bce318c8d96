"""Whatever a test made is evicted, so that nothing of it runs when the garbage is collected in another test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .driver import made


@pytest.fixture(autouse=True)
def all_evicted() -> Iterator[None]:
    yield
    while made:
        made.pop().evict()
