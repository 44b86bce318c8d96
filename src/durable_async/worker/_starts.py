"""Starts: what this process starts and this worker has claimed as it was created, so that it need not be fetched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio

from durable_async.model.records import ClaimedInstance, Mail, NewInstance, Release

from ._tools import Tools, ignore


class Starts:
    """The line of those that were handed over and wait to be adopted: soon, for it is no longer than what a fetch may claim.

    Attributes:
        is_open: Whether anything is taken. Not while the hub has a backlog: then it is for the fetches to say who is next.
    """

    def __init__(
        self,
        tools: Tools,
        adopt: Callable[[ClaimedInstance, int], Awaitable[None]],
        receive: Callable[[Mail], None],
    ) -> None:
        self.is_open = False
        self._tools = tools
        self._adopt = adopt
        self._receive = receive
        self._line: dict[str, tuple[ClaimedInstance, int]] = {}
        self._mail: dict[str, list[Mail]] = {}
        self._arrived = anyio.Event()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._line)

    def close(self) -> None:
        """Take nothing more, and hand back at once what comes all the same."""
        self._is_closed = True

    # -- what the store is offered

    def choose(self, instances: Sequence[NewInstance]) -> Sequence[bool]:
        """Choose those that a fetch would claim now, no more than one may, and while few wait for a turn here."""
        room = self._room()
        if room <= 0:
            return ()
        chosen = [False] * len(instances)
        for place, new in enumerate(instances):
            if self._is_for_us(new):
                chosen[place] = True
                room -= 1
                if room == 0:
                    break
        return chosen

    def _room(self) -> int:
        if self._is_closed or not self.is_open:
            return 0
        tools, settings = self._tools, self._tools.settings
        waiting = tools.slots.waiting + len(self)
        return min(
            settings.claim_batch - len(self),
            settings.turns_ahead - waiting,
            settings.instances_max - len(tools.slots) - len(self) - tools.fetches.asked,
        )

    def _is_for_us(self, new: NewInstance) -> bool:
        names, versions = self._tools.registry.names, self._tools.versions
        return (
            new.start_at_us == 0
            and (names is None or new.name in names)
            and versions.may_begin(new.name, new.version)
        )

    def take(self, claimed: ClaimedInstance, *, is_told: bool) -> None:
        """Put an instance in line. It keeps to the store until all is told that was sent before it was started: what it causes may not overtake that."""
        if self._is_closed:
            release = Release(
                instance_id=claimed.instance_id,
                wake_at_us=self._tools.backend.now_us(),
                execution=claimed.execution,
            )
            self._tools.committer.submit(release, ignore)
            return
        fetches = self._tools.fetches
        self._line[claimed.instance_id] = (claimed, fetches.begun + (not is_told))
        self._arrived.set()

    # -- taking in

    def receive(self, mail: Mail) -> bool:
        """Keep a letter for one in line; returns whether it is for one."""
        if mail.instance_id not in self._line:
            return False
        self._mail.setdefault(mail.instance_id, []).append(mail)
        return True

    async def run(self) -> None:
        """Adopt one after the other, until cancelled."""
        while True:
            if not self._line:
                self._arrived = anyio.Event()
                await self._arrived.wait()
            instance_id, (claimed, speaks_after) = next(iter(self._line.items()))
            await self._adopt(claimed, speaks_after)
            # Only now: what is told of it while it is adopted is kept here.
            if self._line[instance_id][0] is claimed:
                del self._line[instance_id]
            for mail in self._mail.pop(instance_id, ()):
                self._receive(mail)
