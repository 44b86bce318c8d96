"""The statements of this package in one schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from durable_async.backends._migrations import Migration, load_migrations
from durable_async.backends._sqlfile import included, load_statements

PACKAGE = "durable_async.backends.postgres"
_SCHEMA = "{schema}"


@cache
def statements_in(schema: str) -> Mapping[str, str]:
    """Return the named statements with a schema's name, which must have been checked, in its place."""
    texts = load_statements(PACKAGE)
    return MappingProxyType({name: _placed(text, schema) for name, text in texts.items()})


@cache
def migrations_in(schema: str) -> tuple[Migration, ...]:
    """Return the migrations with a schema's name, which must have been checked, in its place."""
    texts = load_statements(PACKAGE)
    return tuple(
        replace(step, sql=_placed(included(step.sql, texts), schema))
        for step in load_migrations(PACKAGE)
    )


def _placed(text: str, schema: str) -> str:
    return text.replace(_SCHEMA, f'"{schema}"')
