"""Fallback: what stands in for names that a registry does not hold."""

from __future__ import annotations

from typing import Any, Protocol

from .activities import Activity
from .entities import EntityDefinition
from .orchestrators import Orchestrator


class Fallback(Protocol):
    """Stands in for code that a registry does not hold: ``Registry(fallback=...)``.

    A worker of such a registry takes work of any name, also what another worker registers: so it is for hubs whose workers all run the
    same code, or where whatever nobody knows is to fail at once instead of waiting. The activities that its orchestrations
    call it runs itself, if there is room.

    A method is asked about a name when it comes up, and now and then again. It answers always, and raises nothing: what it returns may
    raise when it is run. The guard does not read the code of its orchestrators.
    """

    def orchestrator(self, name: str) -> Orchestrator[Any, Any]:
        """Return what runs orchestrations of this name."""
        ...

    def activity(self, name: str) -> Activity[Any, Any]:
        """Return what runs activities of this name."""
        ...

    def entity(self, stored_name: str) -> EntityDefinition:
        """Return what carries out the operations of entities of this name, which begins with ``@`` and is in lower case."""
        ...
