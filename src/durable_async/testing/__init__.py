"""What tests of applications and of backends are built from.

It stands on the top floor and may use everything below; nothing in the library imports it. `conformance` is the suite that
makes a backend right, `clock` is time under control. Begin with ``conformance/__init__.py`` to write a backend, with ``clock.py`` to
test what takes a month.
"""

from __future__ import annotations

from .clock import VirtualEnvironment, run_virtual, virtual_time
from .failures import (
    DeadlockError,
    NoOutsideWorldError,
    RunawayError,
    VirtualTimeError,
    VirtualTimeoutError,
)
from .loop import NODE, VirtualTimeLoop
from .settings import CALM

__all__ = (
    "CALM",
    "NODE",
    "DeadlockError",
    "NoOutsideWorldError",
    "RunawayError",
    "VirtualEnvironment",
    "VirtualTimeError",
    "VirtualTimeLoop",
    "VirtualTimeoutError",
    "run_virtual",
    "virtual_time",
)
