"""What a process finds in its environment: variables that name a store, the host of a server, the folder of its programs."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from durable_async import ConfigurationError, ValidationError
from durable_async.backends.postgres.address import unprotected_hosts
from durable_async.backends.postgres.embedded import BINARIES_VARIABLE, find_binaries
from durable_async.environment import SystemEnvironment
from durable_async.errors import DurableError
from durable_async.hub._stores import store_of
from durabletask._runtime.addresses import URL_VARIABLE, resolve

from . import strategies as s
from .config import tells_nothing, urls
from .target import Target


def _can_be_set(text: str) -> bool:
    """Tell whether a system lets a variable have such a value."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


_values = st.one_of(urls(), s.texts(), s.one_of(["verify-full", "a,b", "[::1", "::1", "/tmp"]))


def _probe_url(told: str) -> None:
    """Let a program be told its store by the environment alone."""
    with patch.dict(os.environ, {URL_VARIABLE: told}):
        found = resolve(None, None)
        again = resolve(found.url, found.hub)
        assert again == found, "what was found leads elsewhere"
        store_of(found.url, found.hub, SystemEnvironment())


def _probe_host(told: str) -> None:
    """Ask whether the host is to be trusted that the driver would go to."""
    for name in ("PGHOST", "PGSSLMODE"):
        with patch.dict(os.environ, {name: told}):
            found = unprotected_hosts("postgresql:///database")
            assert all(isinstance(host, str) for host in found)


def _probe_programs(told: str) -> None:
    with patch.dict(os.environ, {BINARIES_VARIABLE: told}):
        assert isinstance(find_binaries(), Path)


_PROBES = (_probe_url, _probe_host, _probe_programs)


def _probe(case: tuple[int, str]) -> None:
    place, told = case
    try:
        _PROBES[place](told)
    except DurableError as error:
        tells_nothing(str(error))
        raise


TARGETS = (
    Target(
        name="environment",
        inputs=st.tuples(st.sampled_from([0, 0, 1, 2]), _values.filter(_can_be_set)),
        probe=_probe,
        refusals=(ConfigurationError, ValidationError),
        examples=150,
        share=5,
    ),
)
