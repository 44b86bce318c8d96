"""Doubts about a connection that does not answer.

A connection can be half open: the server, or something on the way, has forgotten it and did not say so. What was sent on it is then waited for until the
limit of time, which is long, for the server may be busy. So somebody else asks the server, after a short while, whether it works on anything for it.
"""

from __future__ import annotations

from durable_async.errors import BackendUnavailableError, ConfigurationError

from .address import PostgresTarget
from .connecting import connect
from .failures import DRIVER_ERRORS

_WORKS = "select coalesce(state, 'active') = 'active' from pg_stat_activity where pid = $1"


class Doubts:
    """Asks by a connection that is made for it, and for one connection of the process at a time."""

    def __init__(self, target: PostgresTarget, *, after_seconds: float = 2.0) -> None:
        """Describe it; nothing happens yet.

        Args:
            target: Where to.
            after_seconds: How long to wait for an answer before asking; twice as long before asking again, and so on.
        """
        self.after_seconds = after_seconds
        self._target = target
        self._is_asking = False

    async def is_working_for(self, pid: int) -> bool:
        """Tell whether the server works on anything for the connection of a server process; also if that cannot be found out."""
        if self._is_asking or self._target.facts(direct=False).is_pooled:
            return True
        self._is_asking = True
        try:
            asking = await connect(self._target, "doubts", statement_cache=False)
            try:
                return bool(await asking.fetchval(_WORKS, pid, timeout=self.after_seconds))
            finally:
                asking.terminate()
        except (BackendUnavailableError, ConfigurationError, *DRIVER_ERRORS):
            return True
        finally:
            self._is_asking = False
