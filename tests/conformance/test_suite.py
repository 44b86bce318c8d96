"""The suite checks every promise it names."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

from durable_async.testing import conformance
from durable_async.testing.conformance import BackendConformance


def test_no_promise_hides_another_of_the_same_name() -> None:
    parts = BackendConformance.__mro__
    names = Counter(name for part in parts for name in vars(part) if name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_part_is_in_the_suite() -> None:
    names = [found.name for found in pkgutil.iter_modules(conformance.__path__)]
    modules = [importlib.import_module(f"{conformance.__name__}.{name}") for name in names]
    parts = {
        part
        for module in modules
        for part in vars(module).values()
        if isinstance(part, type) and any(name.startswith("test_") for name in vars(part))
    }
    assert parts - set(BackendConformance.__mro__) == set()
