"""The kernel of entities: what an entity's mailbox leads to, and what entity code sees of the engine. It does no I/O.

``instance`` says which operation is next; ``authoring`` and ``context`` are what the code of an operation sees.
"""

from __future__ import annotations

from .instance import EntityInstance
from .outcome import EntitySignal, EntityTurn, OperationOutcome, OrchestrationStart

__all__ = (
    "EntityInstance",
    "EntitySignal",
    "EntityTurn",
    "OperationOutcome",
    "OrchestrationStart",
)
