"""Workload: something for a system to do, and what must be true of it afterwards."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from durable_async.client import Client
from durable_async.hub import TaskHub
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage


class Workload(ABC):
    """What clients do, and how that must end. One object plays in one run, and keeps what clients were told.

    Attributes:
        name: Its name in plans; its orchestrators, activities and entities carry it as a prefix of theirs.
        registry: What workers run for it.
        settings: What it needs of the settings of workers.
        is_alone: Whether no other may play in the same run.
        stage: What it stands on.
    """

    name: ClassVar[str]
    registry: ClassVar[Registry]
    settings: ClassVar[dict[str, Any]] = {}
    is_alone: ClassVar[bool] = False

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @classmethod
    @abstractmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw what clients do: about 3 to 15 actions within 5 to 30 seconds of virtual time."""

    @abstractmethod
    async def act(self, action: Action, client: Client) -> None:
        """Do one thing, as a client process that may be killed meanwhile. Any earlier action may be missing from the plan."""

    async def wind_up(self, client: Client) -> None:  # noqa: B027 - most leave nothing
        """Do what is left to do once all faults have ended, before everything settles: release who waits, resume who is suspended."""

    @abstractmethod
    async def check(self, hub: TaskHub) -> None:
        """Look at what is left, after all faults have ended and everything has settled; expect only what was acknowledged.

        Raises:
            Violation: Something is wrong.
        """
