"""Versions: which orchestrations this worker leaves to others, by their name and version.

What was claimed before that was known is handed back at once, as if nothing had been; from then on the worker's fetches pass over all of
that name and version, so that others come to them without delay and nothing goes round in circles.
"""

from __future__ import annotations

import logging

from durable_async.failure import FailureDetails
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import Abandon, ClaimedInstance, Recount, uncounted
from durable_async.registry import Registry

PASSED_MAX = 1_000
"""So many pairs of a name and a version are passed over; beyond that, the first ones come again, from time to time."""

AGAIN_SECONDS = 1.0
"""How long what comes again has to wait before anybody takes it."""

_log = logging.getLogger("durable_async")


class Versions:
    """What one session takes, and what it passes over."""

    def __init__(self, registry: Registry) -> None:
        self._accepts = registry.accepts
        self._passed: dict[tuple[str, str], None] = {}
        self._asked: frozenset[tuple[str, str]] = frozenset()

    def may_begin(self, name: str, version: str | None) -> bool:
        """Tell whether a start of a name and a version is run here; if it is left to others, so is all that is like it from now on."""
        if (name, version or "") in self._passed:
            return False
        verdict = self._verdict(name, version)
        if verdict is False:
            self.pass_over(name, version)
        return verdict is True

    def takes(self, name: str, version: str | None) -> bool:
        """Tell whether orchestrations of a name and a version are run here."""
        return self._verdict(name, version) is True

    def leaves(self, name: str, version: str | None) -> bool:
        """Tell whether orchestrations of a name and a version are left to others."""
        return self._verdict(name, version) is False

    def failure_of(self, claimed: ClaimedInstance) -> FailureDetails | None:
        """Return how a claimed orchestration is to fail, if it is neither run here nor left to others."""
        verdict = self._verdict(claimed.name, claimed.version)
        return verdict if isinstance(verdict, FailureDetails) else None

    def _verdict(self, name: str, version: str | None) -> bool | FailureDetails:
        """Return what the program says; an error in saying it stands for no."""
        if self._accepts is None:
            return True
        try:
            said = self._accepts(name, version)
            return said if isinstance(said, FailureDetails) else bool(said)
        except Exception:  # noqa: BLE001 - whatever it is, others may know better
            _log.exception("whether %r of version %r is taken here is not known", name, version)
            return False

    def ask(self) -> frozenset[tuple[str, str]]:
        """Return what the next fetch is to pass over: pairs of a name and a version, ``""`` for none."""
        if len(self._asked) != len(self._passed) or len(self._passed) >= PASSED_MAX:
            self._asked = frozenset(self._passed)
        return self._asked

    def pass_over(self, name: str, version: str | None) -> float:
        """Leave a name and a version to others from now on; returns how many seconds they should wait, usually none."""
        pair = (name, version or "")
        comes_again = pair in self._asked or len(self._passed) >= PASSED_MAX
        if pair not in self._passed:
            _log.info("orchestrations %r of version %r are left to other workers", name, version)
        self._passed.pop(pair, None)
        self._passed[pair] = None
        if len(self._passed) > PASSED_MAX:
            del self._passed[next(iter(self._passed))]
        return AGAIN_SECONDS if comes_again else 0.0

    def leaves_claimed(self, claimed: ClaimedInstance) -> bool:
        """Tell whether a claimed instance is left to others; entities have no version."""
        is_entity = claimed.instance_id.startswith(ENTITY_MARK)
        return not is_entity and self.leaves(claimed.name, claimed.version)


def hand_back(claimed: ClaimedInstance, retry_at_us: int) -> tuple[Recount, Abandon]:
    """Describe giving a claimed instance back as if it had not been claimed: earlier attempts stand."""
    of = {"instance_id": claimed.instance_id, "execution": claimed.execution}
    return (
        Recount(attempts=uncounted(claimed.attempts), **of),  # type: ignore[arg-type]
        Abandon(retry_at_us=retry_at_us, **of),  # type: ignore[arg-type]
    )
