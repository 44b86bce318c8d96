"""Values that somebody typed as JSON."""

from __future__ import annotations

import json
from typing import Any

from durable_async.errors import ValidationError
from durable_async.hub import TaskHub

from .action import Form


def value_of(form: Form, field: str) -> Any:
    """Return what a field holds; ``None`` if it is empty.

    Raises:
        ValidationError: It is no JSON.
    """
    text = form.get(field, "").strip()
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise ValidationError(field, f"that is no JSON: {error}") from error


def input_of(hub: TaskHub, orchestrator: str, form: Form) -> Any:
    """Return the input of an orchestrator; of one that is registered here, refuse what it could not read.

    Raises:
        ValidationError: It is no JSON.
        DecodeError: It does not fit what the orchestrator is annotated with.
    """
    value = value_of(form, "input")
    registry = hub.registry
    is_here = orchestrator in registry.orchestrators  # and not a stand-in for what is elsewhere
    found = registry.find_orchestrator(orchestrator) if is_here else None
    if value is None or found is None or not found.signature.parameters:
        return value
    if found.signature.input_type is Any:
        return value
    data = hub.payloads.encode(value, "input")
    return hub.payloads.decode(data, found.signature.input_type, "input")
