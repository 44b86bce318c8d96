"""What one session shares between its parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from durable_async._engine.ends import Ends
from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.telemetry import Signals

from ._alarms import Alarms
from ._committer import Committer
from ._fetches import Fetches
from ._slots import Slots
from ._telling import Teller
from ._versions import Versions
from ._watchdog import Watchdog
from .settings import WorkerSettings


@dataclass(slots=True)
class Tools:
    """What one session shares between its parts.

    Attributes:
        teller: Tells what is durable, if anybody listens.
    """

    backend: Backend
    environment: Environment
    registry: Registry
    payloads: DataConverter
    settings: WorkerSettings
    committer: Committer
    slots: Slots
    alarms: Alarms
    watchdog: Watchdog
    versions: Versions
    ends: Ends
    signals: Signals | None = None
    teller: Teller | None = None
    fetches: Fetches = field(default_factory=Fetches)
    pause_at: float = 0.0


def ignore(dropped: bool) -> None:
    """What follows a commit that nothing follows."""
