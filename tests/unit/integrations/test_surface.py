"""What a module exports is there, is explained, and can be named by whoever annotates it."""

from __future__ import annotations

import inspect

import pytest

from durable_async.integrations import aiohttp, fastapi, opentelemetry, prometheus, starlette
from durable_async.integrations._http.routes import Operation

MODULES = [aiohttp, fastapi, opentelemetry, prometheus, starlette]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_name_is_explained(module: object) -> None:
    names = getattr(module, "__all__")  # noqa: B009 - of a module that a type checker does not know
    assert "\n\n    " in (inspect.getdoc(module) or ""), "a module begins with an example"
    for name in names:
        if name != "Operation":
            assert inspect.getdoc(getattr(module, name)), name


def test_the_three_offer_the_same_operations() -> None:
    assert aiohttp.Operation is fastapi.Operation is starlette.Operation is Operation
