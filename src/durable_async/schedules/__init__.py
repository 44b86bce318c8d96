"""Schedules: orchestrations that are started at times, by whichever worker is there, each time once.

A schedule is an entity, whose operations are `_entity`: it sleeps on a signal to itself, and what it starts at a tick is in the commit that
says that the tick was dealt with. `spec` is what users say, `_ticks` when that is, `_due` what becomes of the ticks that are past.
Begin with `_schedules`, the face.
"""

from __future__ import annotations

from ._entity import system_of
from ._schedules import Schedules
from ._ticks import tick_of
from .spec import CatchUp, IfExists, Overlap, ScheduleChanges, ScheduleOptions, ScheduleSpec
from .state import ScheduleRun, ScheduleState

__all__ = (
    "CatchUp",
    "IfExists",
    "Overlap",
    "ScheduleChanges",
    "ScheduleOptions",
    "ScheduleRun",
    "ScheduleSpec",
    "ScheduleState",
    "Schedules",
    "system_of",
    "tick_of",
)
