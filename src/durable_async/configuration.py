"""Settings: all that can be set about a hub from outside of the program, in one object, read from environment variables.

settings = Settings.from_environment()  # DURABLE_ASYNC_URL, DURABLE_ASYNC_ACTIVITIES_MAX, …
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from durable_async.errors import ConfigurationError, ValidationError
from durable_async.model.arguments import check_limit
from durable_async.model.identity import check_name, check_version
from durable_async.model.retention import DEFAULT_RETENTION, Retention
from durable_async.worker import WorkerSettings

PREFIX = "DURABLE_ASYNC_"

URL = "URL"
_RETENTION = "RETENTION_"

_OF_TOOLS = ("BENCH_", "CHAOS_", "DEMO_", "EXPECT_", "FUZZ_")
_TOOLS = frozenset({"APP", "PG_BIN", "PYTHONS", "SCREENSHOTS", "SEEDS", "SOAK"})
"""What is no setting: of the command line, the demo, and durable_async's own tests."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting, as a variable has it.

    Attributes:
        field: What it is called in its part of the settings.
        kind: What its text is read as: a type that msgspec knows; maps are JSON.
        check: Refuses what only has the type.
    """

    field: str
    kind: Any
    check: Callable[[Any], Any] | None = None

    @property
    def choices(self) -> str:
        """What it has to be, if that is one of a few words."""
        if not (isinstance(self.kind, type) and issubclass(self.kind, Enum)):
            return ""
        return f"must be {' or '.join(one.value for one in self.kind)}"

    def read(self, text: str) -> Any:
        """Return what a text stands for; ``msgspec.ValidationError``, or our own, if it stands for nothing of the kind."""
        if get_origin(self.kind) is dict:
            return msgspec.json.decode(text, type=self.kind)
        if type(None) in get_args(self.kind) and text.lower() == "none":
            return None
        value = msgspec.convert(text, self.kind, strict=False)
        return value if self.check is None else self.check(value)


_OF_THE_HUB = {
    URL: Variable("url", str),
    "HUB": Variable("hub", str, partial(check_name, field="hub")),
    "DEFAULT_VERSION": Variable("default_version", str | None, check_version),
    "PENDING_MAX": Variable("pending_max", int | None, partial(check_limit, field="pending_max")),
}
_OF_RETENTION = {
    "RETENTION_AGE": Variable("age", float | None),
    "RETENTION_FAILED": Variable("failed", float | None),
    "RETENTION_BY_NAME": Variable("by_name", dict[str, float | None]),
    "RETENTION_BATCH": Variable("batch", int),
}
_OF_WORKERS = {
    name.upper(): Variable(name, kind) for name, kind in get_type_hints(WorkerSettings).items()
}

VARIABLES: Mapping[str, Variable] = {**_OF_THE_HUB, **_OF_RETENTION, **_OF_WORKERS}
"""All settings by the names of their variables, without the prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a hub in a program.

    Attributes:
        url: Where the store is, as for `TaskHub.open`. It may hold a password, so that it is never shown whole.
        hub: Name of the hub in the store.
        default_version: The version of what is started without one.
        pending_max: How many orchestrations may be pending before starts are refused; ``None`` for any number.
        retention: How long what has ended is kept.
        worker: Bounds and times of its workers.
    """

    url: str | None = field(default=None, repr=False)
    hub: str | None = None
    default_version: str | None = None
    pending_max: int | None = None
    retention: Retention = DEFAULT_RETENTION
    worker: WorkerSettings = field(default_factory=WorkerSettings)

    def __repr__(self) -> str:
        shown = None if self.url is None else place_of(self.url)
        rest = ", ".join(
            f"{one.name}={getattr(self, one.name)!r}"
            for one in dataclasses.fields(self)
            if one.name != "url"
        )
        return f"Settings(url={shown!r}, {rest})"

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, prefix: str = PREFIX
    ) -> Settings:
        """Read settings from variables; what no variable says is as by default.

        Args:
            environ: Where the variables are; those of the process by default.
            prefix: What their names begin with.

        Raises:
            ConfigurationError: A value makes no sense, or there is no such setting. It names the variable, and quotes nothing of its value but a number.
        """
        given = dict(_given(os.environ if environ is None else environ, prefix))
        values = {name: _read(prefix, name, text) for name, text in given.items()}
        try:
            return cls(
                **_part(values, _OF_THE_HUB),
                retention=Retention(**_part(values, _OF_RETENTION)),
                worker=_worker(prefix, _part(values, _OF_WORKERS)),
            )
        except ValidationError as error:
            # Of the retention: what is wrong with a worker's settings is a ConfigurationError already.
            name = error.field.partition("[")[0].upper()
            raise ConfigurationError(f"{prefix}{_RETENTION}{name}: {error.reason}") from error


def url_from(environ: Mapping[str, str] | None = None) -> str:
    """Return the URL that a variable tells.

    Raises:
        ConfigurationError: There is no such variable.
    """
    url = (os.environ if environ is None else environ).get(f"{PREFIX}{URL}")
    if not url:
        raise ConfigurationError(
            f"no URL of a store: pass one, as sqlite:///file.db, or set {PREFIX}{URL}"
        )
    return url


def place_of(url: str) -> str:
    """Return what may be shown of a URL: never a user, a password or an option."""
    try:
        parts = urlsplit(url)
        if "@" in parts.path + parts.query + parts.fragment:
            return f"{parts.scheme}://…"  # a password with a character in it that should have been escaped
        if "@" not in parts.netloc and parts.netloc:
            _ = parts.port  # what should be a port may be a password, too
    except ValueError:
        return "…"
    if not parts.scheme:
        return "…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _given(environ: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    for variable, text in environ.items():
        if not variable.startswith(prefix):
            continue
        name = variable.removeprefix(prefix)
        if name in VARIABLES:
            yield name, text
        elif name not in _TOOLS and not name.startswith(_OF_TOOLS):
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.5)
            hint = f": did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigurationError(f"there is no setting {variable}{hint}")


def _read(prefix: str, name: str, text: str) -> Any:
    variable = VARIABLES[name]
    try:
        return variable.read(text)
    except msgspec.MsgspecError as error:
        reason = variable.choices or str(error)
    except ValidationError as error:
        reason = error.reason
    except UnicodeError:
        reason = "is no text in UTF-8"
    raise ConfigurationError(f"{prefix}{name}: {reason}")  # out of reach of an error that may quote


def _worker(prefix: str, values: Mapping[str, Any]) -> WorkerSettings:
    try:
        return WorkerSettings(**values)
    except ConfigurationError as error:
        field, _, reason = str(error).partition(" ")
        raise ConfigurationError(f"{prefix}{field.upper()} {reason}") from error


def _part(values: Mapping[str, Any], variables: Mapping[str, Variable]) -> dict[str, Any]:
    return {variable.field: values[name] for name, variable in variables.items() if name in values}
