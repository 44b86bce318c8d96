"""I19: nothing grows beyond its bound: mailboxes, batches, what a worker owns, runs, and lets wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from durable_async.model.records import TurnCommit
from durable_async.testing.simulation.violations import Violation
from durable_async.worker import WorkerSettings

from ._calls import Call
from .rows import Change


class Bounds:
    """The bounds of a run.

    Args:
        settings: Those of the workers.
        letters_max: How many letters a mailbox takes from clients.
    """

    def __init__(self, settings: WorkerSettings, letters_max: int) -> None:
        self._settings = settings
        self._letters_max = letters_max

    def see(self, call: Call) -> None:
        """Take in a call.

        Raises:
            Violation: It is too large.
        """
        if call.verb == "commit":
            self._check_batch(call)
        elif call.verb == "fetch":
            asked = call.options["instances"]
            _bound("claimed in one fetch", call, len(call.answer.claimed), asked)
            _bound("asked for in one fetch", call, asked, self._settings.claim_batch)

    def check_mailboxes(self, call: Call, changes: Mapping[str, Change]) -> None:
        """See that a client's call has not filled a mailbox beyond its bound; a final letter may be one too many.

        Raises:
            Violation: It has.
        """
        if call.verb != "send":
            return
        for change in changes.values():
            before = 0 if change.before is None else len(change.before.mailbox)
            after = 0 if change.after is None else len(change.after.mailbox)
            if after > before:
                _bound("letters in a mailbox", call, after, max(self._letters_max, before) + 1)

    def check_session(self, session: Any) -> None:
        """See that a worker's session keeps to its bounds.

        Raises:
            Violation: It does not.
        """
        tools = getattr(session, "_tools", None)
        if tools is None:
            return
        settings, runner = self._settings, session._turns.calls.runner
        _check(session, "instances", len(tools.slots), settings.instances_max)
        _check(session, "activities at a time", runner.running, settings.activities_max)
        room = settings.activities_max + settings.backlog_max
        _check(session, "activities in line", len(runner._line), room)

    def _check_batch(self, call: Call) -> None:
        groups = {item.group for item in call.items if isinstance(item, TurnCommit) and item.group}
        loose = sum(getattr(item, "group", 0) == 0 for item in call.items)
        units = loose + len(groups)  # what cannot be parted may be more than a batch holds
        _bound("units in a batch", call, units, self._settings.batch_turns_max)
        size = sum(len(item.events) for item in call.items if isinstance(item, TurnCommit))
        if units > 1:
            _bound("bytes in a batch", call, size, self._settings.batch_bytes_max)


def _bound(what: str, call: Call, found: int, most: int) -> None:
    if found > most:
        raise Violation("I19", f"too many {what}", where=call.node, found=found, most=most)


def _check(session: Any, what: str, found: int, most: int) -> None:
    if found > most:
        raise Violation("I19", f"too many {what}", where=session.worker_id, found=found, most=most)
