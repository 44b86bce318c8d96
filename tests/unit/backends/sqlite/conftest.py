"""Fixtures of the tests of the embedded store."""

from __future__ import annotations

from collections import Counter

import pytest

from durable_async.backends.sqlite.transaction import Statements


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the statements that are handed to the driver."""
    seen: Counter[str] = Counter()
    for verb in ("rows", "all", "one", "count", "each"):
        original = getattr(Statements, verb)

        def counting(self: Statements, name: str, /, *args: object, _of=original, **values: object):  # type: ignore[no-untyped-def]
            if args != ([],):
                seen[name] += 1
            return _of(self, name, *args, **values)

        monkeypatch.setattr(Statements, verb, counting)
    return seen
