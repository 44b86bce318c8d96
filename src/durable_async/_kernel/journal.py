"""The journal: where what the code does meets what history says it did.

Live, a command is recorded. In a replay it must be found in the *window*: the commands that history holds between one input and the next.
A command takes the first entry of the window that is equal in kind and content, and with it the recorded sequence number; the
window must be empty when the code has come to rest. So a mere reordering inside a window replays (it happens between Python
versions), and anything missing, added or changed is a `NonDeterminismError` before any effect.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum
from operator import attrgetter
from typing import Any

from durable_async.errors import NonDeterminismError, OutsideOrchestrationError
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityScheduled,
    EntityCallAbandoned,
    EntityCalled,
    EntityLocksReleased,
    EntityLocksRequested,
    EntitySignaled,
    EventSent,
    HistoryEvent,
    SubOrchestrationCancelRequested,
    SubOrchestrationScheduled,
    TimerCancelled,
    TimerCreated,
)
from durable_async.model.identity import child_instance_id
from durable_async.model.policy import ReusePolicy

from .futures import (
    ActivityFuture,
    DurableFuture,
    EntityCallFuture,
    EventFuture,
    SubOrchestrationFuture,
    TimerFuture,
)
from .loop import DeterministicLoop, DurableTimerHandle
from .places import user_line
from .sections import CriticalSection, LockFuture, SectionState
from .window import Window

MICROSECONDS = 1_000_000

_content: dict[type[Any], Callable[[Any], Any]] = {
    ActivityScheduled: attrgetter("name", "input"),
    TimerCreated: attrgetter("fire_at_us"),
    SubOrchestrationScheduled: attrgetter("name", "version", "input", "reuse"),
    EventSent: attrgetter("instance_id", "name", "payload"),
    EntitySignaled: attrgetter("entity_id", "operation", "input", "due_us"),
    EntityCalled: attrgetter("entity_id", "operation", "input", "section"),
    EntityLocksRequested: attrgetter("entity_ids", "hold_us"),
}
"""What makes two commands the same, beside their kind."""

_seq_of = attrgetter("seq")
_contents_of_children: dict[tuple[bool, bool], Callable[[Any], Any]] = {
    (False, False): _content[SubOrchestrationScheduled],
    (False, True): attrgetter("name", "input", "reuse"),
    (True, False): attrgetter("name", "version", "input", "reuse", "instance_id"),
    (True, True): attrgetter("name", "input", "reuse", "instance_id"),
}
"""The same of children, by whether the code gave an id, and whether any version will do."""


class Due(IntEnum):
    """What an entry of the heap is for."""

    TIMER = 0
    RETRY = 1
    DEADLINE = 2


class Journal:
    """Records commands, or checks them against a window; keeps what is pending.

    Attributes:
        recorded: Events of the turn so far (live).
        pending: Operations by sequence number.
        waiters: Waits for external events by name, in order.
        section: The critical section that is asked for or held, or ``None``.
        released: Entities of the lock requests that were released in the turn so far (live), by sequence number.
        clock_us: Orchestrator time; comes from history and never goes back.
        evicting: Nothing is recorded any more, and nothing new will ever resolve.
        replaying: Whether commands are being checked instead of recorded.
        window: What they are checked against. If it goes on, what the code does beyond it is new, and recorded.
        position: Index of the input, in the whole history, that the code was shown last.
        divergence: The first mismatch; set, the turn must not be committed.
    """

    __slots__ = (
        "__weakref__",
        "clock_us",
        "divergence",
        "evicting",
        "execution",
        "heap",
        "instance_id",
        "loop",
        "next_seq",
        "pending",
        "position",
        "recorded",
        "released",
        "replaying",
        "section",
        "start_us",
        "versions",
        "waiters",
        "window",
    )

    def __init__(self, instance_id: str, execution: int) -> None:
        self.instance_id = instance_id
        self.execution = execution
        self.loop = DeterministicLoop(instance_id, self)  # type: ignore[abstract]
        self.recorded: list[HistoryEvent] = []
        self.pending: dict[int, DurableFuture[Any] | DurableTimerHandle] = {}
        self.waiters: dict[str, list[EventFuture[Any]]] = {}
        self.section: CriticalSection | None = None
        self.released: dict[int, tuple[str, ...]] = {}
        self.heap: list[tuple[int, int, Due]] = []
        self.start_us = 0
        self.clock_us = 0
        self.next_seq = 1
        self.position = 0
        self.evicting = False
        self.divergence: NonDeterminismError | None = None
        self.versions = ""
        self.replaying = False
        self.window = Window()

    # -- the window

    def check_window(self) -> None:
        """Check that the code did all that history holds.

        Raises:
            NonDeterminismError: Something was left out.
        """
        if not self.window.is_empty:
            raise self.diverge(next(self.window.left()), None, self.loop.where())

    def go_live(self) -> None:
        """Record from here on."""
        self.replaying = False

    def diverge(self, expected: Any, actual: Any, source: str | None) -> NonDeterminismError:
        """Note a mismatch; the loop stops after the callback that is running."""
        error = NonDeterminismError(
            self.instance_id,
            self.position,
            None if expected is None else describe(expected),
            None if actual is None else describe(actual),
            source,
            self.versions,
        )
        if self.divergence is None:
            self.divergence = error
            self.loop.abandon(error)
        return error

    def command(self, command: Any, content: Callable[[Any], Any] | None = None) -> Any:
        """Record a command that was given the next free sequence number, or find it in the window; returns what history holds.

        Raises:
            NonDeterminismError: History holds no such command here.
        """
        if not self.replaying:
            if not self.loop.entered:
                self.check_inside()
            self.recorded.append(command)
            self.next_seq += 1
            return command
        entry = self.window.take(command, content or _content[type(command)])
        if entry is None and self._goes_beyond():
            return self.command(command)
        if entry is None:
            raise self._mismatch(command)
        if entry.seq >= self.next_seq:
            self.next_seq = entry.seq + 1
        return entry

    @property
    def is_inside(self) -> bool:
        """Whether the orchestration's code is running."""
        return self.loop.entered

    def check_inside(self) -> None:
        """Refuse a call that does not come from the code, in its turn.

        Raises:
            OutsideOrchestrationError: Somebody kept the context.
        """
        if not self.is_inside:
            raise OutsideOrchestrationError(
                f"a durable call for {self.instance_id!r} from outside of its turn",
                "make it in the orchestrator itself, or use the client",
            )

    def cancellation(self, command: Any, operation: Any) -> None:
        """Record that an operation, which is not pending any more, was given up, or find that in the window.

        Raises:
            NonDeterminismError: History holds no such command here.
        """
        if not self.replaying:
            self.recorded.append(command)
        elif self.window.take(command, _seq_of) is None and not self._trade_numbers(
            command, operation
        ):
            if not self._goes_beyond():
                raise self._mismatch(command)
            self.recorded.append(command)

    def _goes_beyond(self) -> bool:
        """Go live, if the code did all that an open window holds."""
        if self.window.goes_on:
            self.go_live()
            return True
        return False

    def _trade_numbers(self, command: Any, operation: Any) -> bool:
        """Find the cancellation of another timer for the same moment, and let the two trade numbers.

        Versions of Python differ in the order in which they create timers that are otherwise alike (``gather`` of ``wait_for``).
        """
        moment = self._moment(operation)
        for entry in self.window.left():
            other = self.pending.get(entry.seq) if isinstance(entry, TimerCancelled) else None
            if other is not None and self._moment(other) == moment:
                self.window.take(entry, _seq_of)
                del self.pending[other.seq]
                other.seq = command.seq
                self.pending[other.seq] = other
                return True
        return False

    def _moment(self, operation: Any) -> int | None:
        match operation:
            case TimerFuture():
                return operation.fire_at_us
            case DurableTimerHandle():
                return self._due_us(operation)
            case _:
                return None

    def _due_us(self, handle: DurableTimerHandle) -> int:
        return self.start_us + round(handle.when() * MICROSECONDS)

    def _mismatch(self, command: Any) -> NonDeterminismError:
        return self.diverge(next(self.window.left(), None), command, user_line())

    # -- operations

    def schedule_activity(self, future: ActivityFuture[Any]) -> None:
        """Record the call of an activity; its outcome will come to ``future``."""
        future.scheduled_at_us = self.clock_us
        entry = self.window.take_activity(future.name, future.input) if self.replaying else None
        if entry is None:
            payload = exact(future.input)
            entry = self.command(ActivityScheduled(self.next_seq, future.name, payload))
        elif entry.seq >= self.next_seq:
            self.next_seq = entry.seq + 1
        future.input = entry.input
        future.seq = seq = entry.seq
        self.pending[seq] = future
        limit = future.options.schedule_to_close
        if limit is not None:
            from_now = limit if isinstance(limit, (int, float)) else limit.total_seconds()
            self.push(self.clock_us + round(from_now * MICROSECONDS), seq, Due.DEADLINE)

    def create_timer(self, future: TimerFuture, *, any_time: bool = False) -> None:
        """Record a timer; one that is not in the future fires in this turn, unrecorded.

        If ``any_time``, a replay takes whichever time is recorded.
        """
        if future.fire_at_us <= self.clock_us:
            future._owner = None
            future.set_result(None)
            return
        command = TimerCreated(self.next_seq, future.fire_at_us)
        entry = self.command(command, type if any_time else None)
        future.seq = entry.seq
        future.fire_at_us = entry.fire_at_us
        self.pending[future.seq] = future
        self.push(future.fire_at_us, future.seq, Due.TIMER)

    def schedule_child(
        self,
        future: SubOrchestrationFuture[Any],
        instance_id: str | None,
        version: str | None,
        payload: bytes,
        reuse: ReusePolicy = ReusePolicy.REJECT,
        *,
        any_version: bool = False,
    ) -> None:
        """Record the start of a sub-orchestration; without an id of its own it gets one from its sequence number.

        If ``any_version``, a replay takes whichever version is recorded.
        """
        derived = instance_id or child_instance_id(self.instance_id, self.execution, self.next_seq)
        entry = self.command(
            SubOrchestrationScheduled(self.next_seq, future.name, derived, version, payload, reuse),
            _contents_of_children[instance_id is not None, any_version],
        )
        future.seq = entry.seq
        future.instance_id = entry.instance_id
        self.pending[future.seq] = future

    def wait_for_event(self, future: EventFuture[Any]) -> None:
        """Queue for an external event; waiting is not recorded, taking is."""
        self.check_inside()
        self.waiters.setdefault(future.name, []).append(future)

    def send_event(self, instance_id: str, name: str, payload: bytes) -> None:
        """Record an event to another instance."""
        self.command(EventSent(self.next_seq, instance_id, name, payload))

    # -- entities

    def signal_entity(
        self, entity_id: str, operation: str, payload: bytes | None, due_us: int
    ) -> None:
        """Record a signal to an entity; ``due_us`` is 0 for at once."""
        self.command(EntitySignaled(self.next_seq, entity_id, operation, payload, due_us))

    def call_entity(self, future: EntityCallFuture[Any], payload: bytes | None) -> None:
        """Record the call of an entity; its answer will come to ``future``."""
        section = self.section
        future.section = 0 if section is None else section.seq
        command = EntityCalled(
            self.next_seq, future.entity_id, future.name, payload, future.section
        )
        future.seq = self.command(command).seq
        self.pending[future.seq] = future
        if section is not None:
            section.begin(future)

    def lock_entities(self, lock: LockFuture, hold_us: int) -> None:
        """Record the request of a critical section, which will come to ``lock``."""
        section = lock.section
        command = EntityLocksRequested(self.next_seq, section.entity_ids, hold_us)
        section.seq = lock.seq = self.command(command).seq
        self.section = section
        self.pending[lock.seq] = lock

    def answer(self, future: EntityCallFuture[Any]) -> None:
        """Take note that a call of an entity is not under way any more."""
        if self.section is not None:
            self.section.end(future)

    def release(self, section: CriticalSection) -> None:
        """Record the end of a critical section."""
        if self.evicting:
            return
        self.check_inside()
        self.section = None
        section.state = SectionState.OVER
        self.cancellation(EntityLocksReleased(section.seq), section)
        if not self.replaying:
            self.released[section.seq] = section.entity_ids

    # -- giving up

    def give_up(self, future: DurableFuture[Any]) -> None:
        """Record that the code no longer waits for an operation."""
        if self.evicting:
            return
        if isinstance(future, EventFuture):
            self._leave_queue(future)
        elif self.pending.pop(future.seq, None) is None:
            return
        elif isinstance(future, LockFuture):
            self.release(future.section)
            future.stop_timer()
        else:
            if isinstance(future, EntityCallFuture):
                self.answer(future)
            self.cancellation(_cancellation(future), future)

    def _leave_queue(self, future: EventFuture[Any]) -> None:
        queue = self.waiters.get(future.name)
        if queue is not None and future in queue:
            queue.remove(future)
            if not queue:
                del self.waiters[future.name]

    # -- timers of the loop

    def arm(self, handle: DurableTimerHandle) -> None:
        """Record a timer that asyncio asked for."""
        if self.evicting:
            handle._scheduled = False  # type: ignore[attr-defined]
            return
        fire_at_us = self._due_us(handle)
        handle.seq = self.command(TimerCreated(self.next_seq, fire_at_us)).seq
        self.pending[handle.seq] = handle
        self.push(fire_at_us, handle.seq, Due.TIMER)

    def disarm(self, handle: DurableTimerHandle) -> None:
        """Record that asyncio cancelled a timer."""
        if not self.evicting and self.pending.pop(handle.seq, None) is not None:
            self.cancellation(TimerCancelled(handle.seq), handle)

    def push(self, at_us: int, seq: int, due: Due) -> None:
        """Put something that is due at a time onto the heap."""
        heapq.heappush(self.heap, (at_us, seq, due))

    def earliest(self) -> tuple[int, int, Due] | None:
        """Return what is due first; entries whose operation is over are dropped on the way."""
        while self.heap:
            first = self.heap[0]
            if self._is_alive(*first):
                return first
            heapq.heappop(self.heap)
        return None

    def _is_alive(self, at_us: int, seq: int, due: Due) -> bool:
        operation = self.pending.get(seq)
        if operation is None:
            return False
        if isinstance(operation, DurableTimerHandle):
            return True
        if operation.settled:
            return False
        if due is Due.RETRY:
            return isinstance(operation, ActivityFuture) and operation.retry_at_us == at_us
        return True

    def set_clock(self, at_us: int) -> None:
        """Move orchestrator time forward; earlier times are ignored."""
        if at_us <= self.clock_us:
            return  # the loop's time does not lag behind
        self.clock_us = at_us
        seconds = (at_us - self.start_us) / MICROSECONDS
        if seconds > self.loop.seconds:
            self.loop.seconds = seconds


def _cancellation(future: DurableFuture[Any]) -> Any:
    match future:
        case ActivityFuture():
            return ActivityCancelRequested(future.seq)
        case TimerFuture():
            return TimerCancelled(future.seq)
        case SubOrchestrationFuture():
            return SubOrchestrationCancelRequested(future.seq, future.instance_id)
        case EntityCallFuture():
            return EntityCallAbandoned(future.seq)
        case _:
            raise AssertionError(f"a pending operation of an unknown kind: {future!r}")


def exact(payload: bytes) -> bytes:
    """Return bytes that own no more memory than they need: what orjson returns owns 4 KiB however short it is."""
    return b"".join((payload, b""))


def describe(event: Any) -> str:
    """Render a command for an error: its kind, number and content."""
    fields = ", ".join(f"{name}={_short(getattr(event, name))}" for name in event.__struct_fields__)
    return f"{type(event).__name__}({fields})"


def _short(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
