"""Under which names functions and classes are registered, and when a name is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable_async.errors import RegistrationError
from durable_async.model.identity import ENTITY_MARK


def name_of(definition: Callable[..., Any], name: str | None) -> str:
    """Return the name to register a function or a class under.

    Raises:
        RegistrationError: It is neither, or has no name and none was given.
    """
    if not callable(definition):
        raise RegistrationError(repr(definition), "it is not a function")
    own = name or getattr(definition, "__name__", "")
    if not own or own == "<lambda>":
        raise RegistrationError(own or repr(definition), "it has no name of its own: pass name=...")
    return own


SYSTEM_PREFIX = "durable_async."
"""What names begin with that durable_async keeps for itself."""


def is_system_name(name: str) -> bool:
    """Tell whether an orchestrator, an activity or an entity, by its registered or its stored name, is durable_async's own."""
    return name.removeprefix(ENTITY_MARK).lower().startswith(SYSTEM_PREFIX)


def refuse_system_name(name: str) -> None:
    """Raise ``RegistrationError`` for a name that users cannot have."""
    if is_system_name(name):
        raise RegistrationError(
            name, f"names that begin with {SYSTEM_PREFIX!r} are durable_async's own"
        )


def refuse_another(name: str, new: Any, old: Any) -> None:
    """Raise ``RegistrationError`` if a name has other code already; the same may come again, as when its module is reloaded."""
    if old is not None and _place(old) != _place(new):
        raise RegistrationError(
            name, f"the name is taken by {_place(old)}; pass name=... or use another Registry"
        )


def _place(code: Any) -> str:
    return f"{code.__module__}.{getattr(code, '__qualname__', code)}"
