"""The guard at run time: notices forbidden operations while orchestrator code runs in this thread.

Three nets, because none sees everything. Call sites are watched by ``sys.monitoring`` (Python 3.12 and later). Audit events
catch files, sockets, processes and threads that C code or a library opens. On 3.11, which has no event for threads,
``Thread.start`` is wrapped. All are put up by ``install`` and cost next to nothing outside of turns.
"""

from __future__ import annotations

import functools
import sys
from _thread import get_ident
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from durable_async.errors import ForbiddenOperationError

from . import frames, lookup, monitoring
from .catalogue import EVENTS, Operation, Severity
from .policy import Finding, GuardPolicy, is_tolerated, warn_once

Report = Callable[[ForbiddenOperationError], object]

_active: dict[int, Report] = {}


@dataclass(slots=True)
class _Nets:
    policy: GuardPolicy = GuardPolicy.WARN
    are_up: bool = False
    is_hooked: bool = False
    thread_start: Any = None


_nets = _Nets()


def install(policy: GuardPolicy = GuardPolicy.WARN, *, trusted: Iterable[str] = ()) -> None:
    """Put up the nets in this process; again, to change the policy.

    Args:
        policy: What is done about soft operations.
        trusted: Further top-level packages that may ask the world, such as a metrics library of your own.
    """
    _nets.policy = policy
    frames.trust(frozenset(trusted))
    if _nets.are_up:
        monitoring.look_again()
        return
    lookup.load()
    _hook_audit()
    _wrap_thread_start()
    monitoring.start(_on_call, _on_entry)
    _nets.are_up = True


def uninstall() -> None:
    """Take the nets down; the audit hook stays, as Python cannot remove one, and does nothing."""
    if not _nets.are_up:
        return
    monitoring.stop()
    if _nets.thread_start is not None:
        sys.modules["threading"].Thread.start = _nets.thread_start
        _nets.thread_start = None
    _nets.are_up = False


def is_installed() -> bool:
    """Say whether the nets are up."""
    return _nets.are_up


def activate(report: Report) -> None:
    """Say that orchestrator code runs in this thread from now on.

    Args:
        report: Told of each refusal before it is raised, because the code may swallow the error; the turn must be abandoned.
    """
    _active[get_ident()] = report


def deactivate() -> None:
    """Say that orchestrator code does not run in this thread any more."""
    _active.pop(get_ident(), None)


def is_active() -> bool:
    """Say whether orchestrator code runs in this thread."""
    return get_ident() in _active


def _judge(operation: Operation, frame: FrameType | None, report: Report) -> None:
    """Let it pass, warn, or report and raise."""
    if operation.severity is Severity.SOFT and _nets.policy is GuardPolicy.OFF:
        return
    if is_tolerated():
        return
    culprit = frames.culprit(frame)
    if culprit is None or (culprit.in_library and operation.severity is Severity.SOFT):
        return
    finding = Finding.of(operation, culprit.file, culprit.line)
    if not finding.is_refused(_nets.policy) and warn_once(finding):
        return
    error = finding.error()
    report(error)
    raise error


# -- call sites


def _on_call(code: CodeType, _offset: int, callee: Any, first: Any) -> Any:
    # Called at each time.time() of the process: the first two lines are all that most calls cost.
    operation = lookup.known(id(callee)) or lookup.find(callee, first)
    if operation is not None and not _active and code.co_filename in frames.guarded_files:
        return None
    if operation is None or not frames.is_guarded(sys._getframe(1)):
        return monitoring.DISABLE
    report = _active.get(get_ident())
    if report is not None and lookup.applies(operation, monitoring.argument(first)):
        _judge(operation, sys._getframe(1), report)
    return None


def _on_entry(entered: dict[CodeType, Operation], code: CodeType) -> None:
    """Judge a function that was entered, however it was called."""
    report = _active.get(get_ident())
    if report is not None:
        _judge(entered[code], sys._getframe(2).f_back, report)


# -- audit events


def _hook_audit() -> None:
    if not _nets.is_hooked:
        sys.addaudithook(_on_event)
        _nets.is_hooked = True


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active or not _nets.are_up or event not in EVENTS:
        return
    report = _active.get(get_ident())
    if report is None or (event == "open" and not isinstance(arguments[0], str | bytes)):
        return  # a file descriptor is opened already
    _judge(EVENTS[event], sys._getframe(1), report)


# -- threads


def _wrap_thread_start() -> None:
    if sys.version_info >= (3, 12):
        return
    thread = sys.modules["threading"].Thread
    original = thread.start
    operation = EVENTS["_thread.start_new_thread"]

    @functools.wraps(original)
    def start(self: Any) -> None:
        report = _active.get(get_ident())
        if report is not None:
            _judge(operation, sys._getframe(1), report)
        original(self)

    _nets.thread_start = original
    thread.start = start
    lookup.stand_in(start, original)
