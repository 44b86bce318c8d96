"""Errors about names that a worker has not registered."""

from __future__ import annotations

from typing import Final

_MODULE: Final = "durabletask.worker"
"""An exception is recorded by the name of its class, which programs compare with the documented one."""


class OrchestratorNotRegisteredError(ValueError):
    """Fails an orchestration whose orchestrator the worker has not registered."""

    __module__ = _MODULE


class ActivityNotRegisteredError(ValueError):
    """Fails an activity that the worker has not registered."""

    __module__ = _MODULE


class EntityNotRegisteredError(ValueError):
    """Fails an operation of an entity that the worker has not registered."""

    __module__ = _MODULE
