"""I4 and I5: each commit moves one worker's fence by one, and nobody commits, claims or renews who was taken over."""

from __future__ import annotations

from collections.abc import Mapping

from durable_async.backends.memory.state import HubState
from durable_async.model.records import Fence
from durable_async.testing.simulation.violations import Violation

from ._calls import Call
from .rows import Change


class Fences:
    """Where the fence of each worker stands, as answers have told."""

    def __init__(self) -> None:
        self._fences: dict[str, Fence] = {}
        self._lease_until_us: dict[str, int] = {}
        self._identities: dict[str, list[str]] = {}

    def see(self, call: Call) -> None:
        """Take in a call.

        Raises:
            Violation: It should have been refused.
        """
        match call.verb:
            case "register_worker":
                self._register(call.answer, call)
            case "commit":
                self._move(call)
            case "fetch" | "take_over" | "take_stock":
                self._known(call.fence)
                errands = call.options.get("errands")
                if errands is not None and errands.lease_seconds is not None:
                    self._renew(call.fence, errands.lease_seconds, call)
            case "renew_lease":
                self._known(call.fence)
                self._renew(call.fence, call.args[1], call)
            case "retire_worker":
                self._known(call.fence)
                del self._fences[call.fence.worker_id]
            case _:
                pass

    def forget_those_taken_over(self, hub: HubState) -> None:
        """Take note of whom the store has forgotten: nothing may come from them any more."""
        for worker_id in [one for one in self._fences if one not in hub.workers]:
            del self._fences[worker_id]

    def is_deposed(self, node: str, now_us: int) -> bool:
        """Tell whether a process was a worker, and is none any more, or may be taken over at any moment: its lease is over."""
        identities = self._identities.get(node, [])
        return bool(identities) and not any(
            one in self._fences and now_us < self._lease_until_us[one] for one in identities
        )

    def _register(self, fence: Fence, call: Call) -> None:
        if fence.worker_id in self._lease_until_us:
            raise Violation("I4", "an identity comes twice", where=fence.worker_id)
        self._fences[fence.worker_id] = fence
        self._identities.setdefault(call.node, []).append(fence.worker_id)
        self._lease_until_us[fence.worker_id] = call.now_us + round(call.args[1] * 1e6)

    def _known(self, fence: Fence) -> Fence:
        known = self._fences.get(fence.worker_id)
        if known is None or known.epoch != fence.epoch:
            raise Violation(
                "I5", "a worker acts that was taken over", where=fence.worker_id, fence=fence
            )
        return known

    def _move(self, call: Call) -> None:
        known, fence = self._known(call.fence), call.fence
        moved: Fence = call.answer.fence
        if fence.seq != known.seq or moved.seq != known.seq + 1 or moved.epoch != known.epoch:
            raise Violation(
                "I4",
                "commits of a worker are not one chain",
                where=fence.worker_id,
                stands_at=known.seq,
                believed=fence.seq,
                moved_to=moved.seq,
            )
        self._fences[fence.worker_id] = moved

    def _renew(self, fence: Fence, seconds: float, call: Call) -> None:
        until_us = self._lease_until_us.get(fence.worker_id, 0)
        if until_us <= call.now_us:
            raise Violation(
                "I5", "a lease that had run out was extended", where=fence.worker_id, until=until_us
            )
        self._lease_until_us[fence.worker_id] = call.now_us + round(seconds * 1e6)


def check_owners(call: Call, changes: Mapping[str, Change], hub: HubState) -> None:
    """See that turns come from those who own the instances, and that each has one owner, who knows.

    Raises:
        Violation: It is not so.
    """
    if call.verb == "commit":
        for turn in call.turns():
            if turn.instance_id not in changes:  # nothing is said of those that are excused
                continue
            before = changes[turn.instance_id].before
            owner = None if before is None else before.owner
            if (
                before is None
                or owner != call.fence.worker_id
                or before.execution != turn.execution
            ):
                raise Violation(
                    "I5",
                    "a turn of what is not the worker's",
                    where=turn.instance_id,
                    worker=call.fence.worker_id,
                    owner=owner,
                    execution=None if before is None else before.execution,
                    turn=(turn.execution, turn.turn),
                )
    for instance_id, change in changes.items():
        owner = None if change.after is None else change.after.owner
        owners = [row.worker_id for row in hub.workers.values() if instance_id in row.owned]
        if owners != ([] if owner is None else [owner]):
            raise Violation("I5", "not one owner", where=instance_id, owner=owner, owners=owners)
