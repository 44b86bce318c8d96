"""What a simulated system has to do. `_workload` says what a workload is; each other module is one."""

from __future__ import annotations

from ._workload import Workload
from .appends import Appends
from .bank import Bank
from .clients import Clients
from .control import Control
from .crossings import Crossings
from .entity_life import EntityLife
from .fan_out import FanOut
from .poison import Poison
from .races import Races
from .schedules import Schedules
from .stories import Stories
from .streams import Streams
from .trees import Trees

WORKLOADS: tuple[type[Workload], ...] = (
    Appends,
    Bank,
    Clients,
    Control,
    Crossings,
    EntityLife,
    FanOut,
    Poison,
    Races,
    Schedules,
    Stories,
    Streams,
    Trees,
)
"""All of them; a seed draws some."""

__all__ = ("WORKLOADS", "Workload")
