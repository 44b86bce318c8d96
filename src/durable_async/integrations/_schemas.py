"""Schemas: what OpenAPI says of a type that an orchestrator is annotated with."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import TypeAdapter

from ._http.openapi import Schema

_DEFINITIONS = "#/$defs/"


def schema_of(annotation: Any) -> Schema:
    """Return the JSON schema of a type, whole; that of any value where the type cannot be told in one.

    A type that holds itself is told to the point where it begins again.
    """
    for schema_by in (msgspec.json.schema, _schema_by_pydantic):
        try:
            schema = schema_by(annotation)
        except Exception:  # noqa: BLE001, S112 - an annotation may be anything, and this is documentation
            continue
        whole: Schema = _inlined(schema, schema.get("$defs", {}), ())
        return whole
    return {}


def _schema_by_pydantic(annotation: Any) -> Schema:
    return TypeAdapter(annotation).json_schema()


def _inlined(value: Any, definitions: Schema, inside: tuple[str, ...]) -> Any:
    """Return a schema with what it refers to in place: a page of OpenAPI has definitions of its own, elsewhere."""
    match value:
        case {"$ref": str(reference), **rest} if reference.startswith(_DEFINITIONS):
            name = reference.removeprefix(_DEFINITIONS)
            if name in inside or name not in definitions:
                return {"title": name}
            whole = {**definitions[name], **rest}
            return _inlined(whole, definitions, (*inside, name))
        case dict():
            return {
                key: _inlined(one, definitions, inside)
                for key, one in value.items()
                if key != "$defs" and not _is_mapping_of_references(key, one)
            }
        case list():
            return [_inlined(one, definitions, inside) for one in value]
        case _:
            return value


def _is_mapping_of_references(key: str, value: Any) -> bool:
    return key == "discriminator" and isinstance(value, dict) and "propertyName" in value
