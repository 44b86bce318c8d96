"""URLs, names of hubs, and settings of workers."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from durable_async import ConfigurationError, ValidationError, WorkerSettings
from durable_async.backends.postgres.address import for_driver, has_several_hosts
from durable_async.environment import SystemEnvironment
from durable_async.errors import DurableError
from durable_async.hub._stores import name_of, store_of

from . import strategies as s
from .target import Target

_SCHEMES = ["memory", "sqlite", "postgresql", "postgres", "POSTGRESQL", "mysql", "", "sqlite+x"]
_HOSTS = [
    "", "localhost", "user@h", "user:secret@h:5432", "h:99999", "h:x", "[::1]", "[::1", "a,b:1,c",
    "user:se@cret@h", "user:%40@h", "h:-1", "h:" + "9" * 5_000, "%00", "\ud800", "h\0", "[fe80::1%eth0]",
]  # fmt: skip
_QUERIES = [
    "", "schema=x", "schema=", "schema=X", "schema=a;drop", "schema=x&schema=y", "letters_max=0",
    "letters_max=" + "9" * 5_000, "letters_max=\u0663", "migrate=maybe", "migrate=true", "sslmode=nope",
    "direct_dsn=postgresql://u:secret@h/x", "host=a,b", "passfile=/nowhere", "%zz=%zz", "a&b&&", "clients_max=-1",
    "port=x", "sslcert=\0",
]  # fmt: skip


def urls() -> st.SearchStrategy[Any]:
    """URLs of stores, and what only looks like one."""
    made = st.builds(
        lambda scheme, host, path, query: (
            f"{scheme}://{host}/{path}" + (f"?{query}" if query else "")
        ),
        s.one_of(_SCHEMES),
        s.one_of(_HOSTS),
        s.texts(),
        s.one_of(_QUERIES),
    )
    return st.one_of(made, s.texts())


SECRETS = ("secret", "se@cret")


def _probe_url(case: tuple[str, Any]) -> None:
    """Make a backend of a URL, as opening a hub does, without going there; no message tells a password."""
    url, hub = case
    try:
        backend = store_of(url, name_of(url, hub), SystemEnvironment())
        described = backend.description
        if "postgres" in url[:10].lower():
            target: Any = backend
            for_driver(target._target.dsn)
            has_several_hosts(target._target.dsn)
    except DurableError as error:
        described = str(error)
        tells_nothing(described)
        raise
    tells_nothing(described)
    described.encode("utf-8", "surrogatepass")


def tells_nothing(text: str) -> None:
    """Check that a text has no password in it."""
    assert not any(secret in text for secret in SECRETS), "a password is told"


_settings = {
    field.name: st.one_of(s.durations(), s.wrong_types())
    for field in dataclasses.fields(WorkerSettings)
}


def _probe_settings(given: dict[str, Any]) -> None:
    settings = WorkerSettings(**given)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        assert field.name == "divergence" or value > 0


def _some_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in names})
    )


TARGETS = (
    Target(
        name="url",
        inputs=st.tuples(
            urls(), st.integers(0, 4).flatmap(lambda n: st.none() if n else s.names())
        ),
        probe=_probe_url,
        refusals=(ConfigurationError, ValidationError),
        examples=300,
    ),
    Target(
        name="settings",
        inputs=_some_of(_settings),
        probe=_probe_settings,
        refusals=(ConfigurationError,),
        examples=200,
    ),
)
