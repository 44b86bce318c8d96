"""Tells whose code it was: the orchestrator's, a library's, or one that may ask the world."""

from __future__ import annotations

import asyncio
import enum
import sys
from dataclasses import dataclass
from types import CodeType, FrameType


class Owner(enum.Enum):
    """Whose code a frame runs."""

    USER = "user"
    """The orchestrator and what it calls."""
    LIBRARY = "library"
    """An installed package that the orchestrator calls."""
    STDLIB = "stdlib"
    """The standard library: judged by who called it."""
    BYSTANDER = "bystander"
    """Loggers, importers, debuggers, test runners: they ask the world, and no orchestrator hears the answer."""
    OURS = "ours"
    """This package."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who did it.

    Attributes:
        file: The file of the nearest user code.
        line: The line in it.
        in_library: Whether a library did it for the user's code.
    """

    file: str
    line: int
    in_library: bool


_OWN_PACKAGE = __name__.partition(".")[0]

BYSTANDERS = frozenset({
    # of the standard library
    "bdb", "cProfile", "code", "doctest", "faulthandler", "importlib", "linecache", "logging", "pdb", "pkgutil", "profile",
    "trace", "traceback", "tracemalloc", "unittest", "warnings", "zipimport", "zoneinfo",
    # logs, metrics, traces
    "datadog", "ddtrace", "elasticapm", "logfire", "loguru", "newrelic", "opentelemetry", "prometheus_client", "rich",
    "sentry_sdk", "statsd", "structlog",
    # debuggers, coverage, test runners
    "_pydev_bundle", "_pydevd_bundle", "_pydevd_frame_eval", "_pytest", "coverage", "debugpy", "execnet", "freezegun",
    "hypothesis", "ipdb", "pluggy", "pydevd", "pytest", "pytest_asyncio", "pytest_timeout", "time_machine", "xdist",
})  # fmt: skip

# Where the deterministic loop calls into the orchestrator: who called the loop is nobody's fault.
_ENTRANCE: CodeType = asyncio.Handle._run.__code__
_GUARDED = frozenset({Owner.USER, Owner.LIBRARY})
_owners: dict[str, Owner] = {}
_also_bystanders: set[str] = set()

guarded_files: set[str] = set()
"""Files of which ``is_guarded`` said so."""


def trust(packages: frozenset[str]) -> None:
    """Let more packages ask the world."""
    _also_bystanders.clear()
    _also_bystanders.update(packages)
    _owners.clear()
    guarded_files.clear()


def owner(frame: FrameType) -> Owner:
    """Say whose code a frame runs."""
    file = frame.f_code.co_filename
    known = _owners.get(file)
    if known is None:
        known = _classify(str(frame.f_globals.get("__name__", "")), file)
        if not file.startswith("<string"):  # generated code, which has no file to be known by
            _owners[file] = known
    return known


def is_guarded(frame: FrameType) -> bool:
    """Say whether a call written in a frame's code can be the orchestrator's at all."""
    guarded = owner(frame) in _GUARDED
    if guarded:
        guarded_files.add(frame.f_code.co_filename)
    return guarded


def culprit(frame: FrameType | None) -> Culprit | None:
    """Return who is to blame for what a frame does, or ``None`` if nobody is.

    The nearest frame outside the standard library did it. It goes free when it is ours, or when a bystander or a finalizer
    stands between it and the loop.
    """
    doer: FrameType | None = None
    user: FrameType | None = None
    while frame is not None and frame.f_code is not _ENTRANCE:
        kind = owner(frame)
        if kind is Owner.BYSTANDER or frame.f_code.co_name == "__del__":
            return None
        if kind is Owner.OURS:
            break
        if kind is not Owner.STDLIB:
            doer = doer or frame
            if user is None and kind is Owner.USER and _has_file(frame):
                user = frame
        frame = frame.f_back
    if doer is None:
        return None
    shown = user or doer
    return Culprit(shown.f_code.co_filename, shown.f_lineno, owner(doer) is Owner.LIBRARY)


def _classify(module: str, file: str) -> Owner:
    top = module.partition(".")[0]
    if top == _OWN_PACKAGE:
        return Owner.OURS
    if top in BYSTANDERS or top in _also_bystanders:
        return Owner.BYSTANDER
    if top in sys.stdlib_module_names or file.startswith("<frozen"):
        return Owner.STDLIB
    if is_library(file):
        return Owner.LIBRARY
    return Owner.USER


def is_library(file: str) -> bool:
    """Say whether a file belongs to an installed package."""
    return "site-packages" in file or "dist-packages" in file


def _has_file(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith("<")
