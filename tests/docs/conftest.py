"""Documentation registers functions under everyday names: each page and each test begins with nothing registered."""

from __future__ import annotations

import pytest

from durable_async.registry import default_registry


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_registry, "_activities", {})
    monkeypatch.setattr(default_registry, "_orchestrators", {})
