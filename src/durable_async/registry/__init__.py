"""Authoring: the decorators, and the registry that finds what they made by its name."""

from __future__ import annotations

from durable_async._kernel.entities.authoring import Entity

from ._fallback import Fallback
from ._naming import is_system_name
from ._registry import Registry, SystemRegistry
from .activities import Activity
from .entities import EntityDefinition, EntityMethod, FunctionEntity
from .orchestrators import Orchestrator

__all__ = (
    "Activity",
    "Entity",
    "EntityDefinition",
    "EntityMethod",
    "Fallback",
    "FunctionEntity",
    "Orchestrator",
    "Registry",
    "SystemRegistry",
    "activity",
    "default_registry",
    "entity",
    "is_system_name",
    "orchestrator",
)

default_registry = Registry()
"""Where the module-level decorators register, and what a hub's worker runs unless told otherwise."""

activity = default_registry.activity
entity = default_registry.entity
orchestrator = default_registry.orchestrator
