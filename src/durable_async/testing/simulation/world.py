"""World: the processes of one run, the store between them, and what strikes them."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from durable_async.errors import BackendError, BackendUnavailableError, InstanceNotFoundError
from durable_async.model.history import HistoryEvent
from durable_async.registry import Registry
from durable_async.serialization.events import decode_events
from durable_async.testing.clock import VirtualEnvironment
from durable_async.worker import Worker, WorkerSettings

from .fates import Fates
from .invariants import Inspector
from .loop import SimulationLoop
from .nodes import Life, Process
from .plan import EVERYWHERE, Action, Plan, Strike
from .stores import HOMES, Home, at_once
from .violations import CrashedError, Violation
from .witness import witnessed
from .workloads import Workload

A_MOMENT = 0.001
"""What falls due at the end of a plan begins before that end."""

LOOK_AT_WORKERS_EVERY = 16
"""After so many calls, whether workers keep to their bounds."""
_EVERYTHING = 1 << 30
_CHANGING = frozenset(
    {"commit", "create", "send", "purge", "expire", "rewrite", "unpark", "discard_entities"}
)


class Observer(Protocol):
    """Who looks at the store whenever it did something."""

    def applied(
        self, node: str, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        """Look. Called right after the store did it, before the caller hears of it.

        Raises:
            Violation: What was seen is wrong.
        """
        ...


class World:
    """All processes of a run.

    Attributes:
        processes: By name.
        counts: What was injected, and what was acknowledged.
        calls: How many each process had made when the clients were done.
        to_begin: How many actions are due, and wait for their process to live again.
        changed_at: When something changed in the store for the last time.
        violation: The first that was found.
    """

    def __init__(
        self, plan: Plan, loop: SimulationLoop, registry: Registry, settings: WorkerSettings
    ) -> None:
        self.plan = plan
        self.seed = plan.seed
        self.loop = loop
        self.registry = registry
        self.settings = settings
        self.env = VirtualEnvironment(loop, seed=f"{plan.seed}:store")
        self.home: Home = HOMES[plan.store](self.env)
        self.judge = witnessed(self.home.backend(self.env), self._judged)
        self.fates = Fates(plan)
        self.counts: Counter[str] = Counter()
        self.calls: dict[str, int] = {}
        self.changed_at = 0.0
        self.violation: Violation | None = None
        self.is_over = False
        self.inspector = Inspector(
            self.judge.now_us, settings, self.judge.letters_max, self.home.memory
        )
        self.observers: list[Observer] = [self.inspector]
        self.workloads: dict[str, Workload] = {}
        self.acting: dict[asyncio.Task[None], Life] = {}
        self.to_begin = 0
        self.processes = {name: Process(name, self, works=name[0] == "w") for name in self._names()}

    def _names(self) -> list[str]:
        plan = self.plan
        workers = [f"w{number}" for number in range(1, plan.workers + 1)]
        return workers + [f"c{number}" for number in range(plan.residents + 1, plan.clients + 1)]

    def process_of_client(self, number: int) -> Process:
        """Return where a client lives: in a worker's process, or in one of its own."""
        known = min(max(number, 1), self.plan.clients)
        if known <= self.plan.residents:
            return self.processes[f"w{(known - 1) % self.plan.workers + 1}"]
        return self.processes[f"c{known}"]

    # -- a run

    async def begin(self) -> None:
        """Open the store and set all processes going."""
        await self.judge.open()
        for process in self.processes.values():
            process.begin()
        for strike in self.plan.strikes:
            self.loop.call_at(strike.at, self._strike, strike)
        for action in self.plan.actions:
            self.loop.call_at(action.at, self._act, action)

    def workers(self) -> list[Worker]:
        """Return the workers that are alive."""
        lives = [process.life for process in self.processes.values()]
        return [life.worker for life in lives if life is not None and life.worker is not None]

    def calm(self) -> None:
        """End all faults, and let all processes live."""
        self.fates.is_calm = True
        for process in self.processes.values():
            process.calm()

    def ends_at(self) -> float:
        """Return when all that the plan says has begun, and all that it says for how long is over."""
        strikes = [strike.at + strike.seconds for strike in self.plan.strikes]
        return A_MOMENT + max([0.0, *strikes, *(action.at for action in self.plan.actions)])

    # -- what clients do

    def _act(self, action: Action) -> None:
        workload = self.workloads.get(action.workload)
        if workload is not None:
            self.to_begin += 1
            self.process_of_client(action.client).when_alive(
                lambda life: self._act_in(life, workload, action)
            )

    def _act_in(self, life: Life, workload: Workload, action: Action) -> None:
        assert life.hub is not None
        self.to_begin -= 1
        task = self.loop.create_task(
            workload.act(action, life.hub.client),
            name=f"{action.workload} {action.kind}",
            context=life.context.copy(),
        )
        self.acting[task] = life
        self.counts["actions"] += 1
        task.add_done_callback(
            lambda task: self._acted(task, life, action), context=contextvars.Context()
        )

    def _acted(self, task: asyncio.Task[None], life: Life, action: Action) -> None:
        del self.acting[task]
        error = None if task.cancelled() else task.exception()
        if error is None or not isinstance(error, Exception):
            return
        for one in _leaves(error):
            if isinstance(one, Violation):
                self.accuse(one)
            elif not _may_hear(one, life):
                where = f"{action.workload} {action.kind} {action.args}"
                self.accuse(_crash("a client's call ended with an error", where, one))

    # -- what strikes

    def _strike(self, strike: Strike) -> None:
        match strike.kind:
            case "clock":
                self.counts["clock"] += 1
                if self.home.goes_by_own_clock:
                    self.env.skew_us += round(strike.amount * 1_000_000)
            case "outage":
                self.counts["outage"] += 1
                for process in self.processes.values():
                    process.cut_until = max(process.cut_until, self.loop.time() + strike.seconds)
            case _:
                for process in self._struck(strike):
                    self._strike_process(process, strike)

    def _struck(self, strike: Strike) -> list[Process]:
        if strike.node == EVERYWHERE:
            return list(self.processes.values())
        process = self.processes.get(strike.node)
        return [] if process is None else [process]

    def _strike_process(self, process: Process, strike: Strike) -> None:
        until = self.loop.time() + strike.seconds
        match strike.kind:
            case "skew":
                self.counts["skew"] += 1
                process.skew_us = round(strike.amount * 1_000_000)
                if process.life is not None:
                    process.life.env.skew_us = process.skew_us
            case "partition":
                self.counts["partition"] += 1
                process.cut_until = max(process.cut_until, until)
            case "deafness":
                self.counts["deafness"] += 1
                process.deaf_until = max(process.deaf_until, until)
                self.loop.call_at(process.deaf_until, process.hear_again)
            case _:
                if process.life is not None:
                    self._strike_life(process.life, strike)

    def _strike_life(self, life: Life, strike: Strike) -> None:
        match strike.kind:
            case "kill":
                life.process.restart_seconds = strike.seconds
                life.kill(is_noticed=not strike.amount)
            case "stop":
                life.process.restart_seconds = strike.seconds
                life.stop()
            case "cancel":
                life.process.restart_seconds = strike.seconds
                life.cancel()
            case "freeze":
                life.freeze(strike.seconds)
            case "stall":
                life.stall(strike.seconds)
            case _:
                life.evict()

    # -- for processes

    def applied(
        self, life: Life, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        """Let observers look at what the store did for a process, and others overhear it."""
        # A fetch of the dead that arrives late prolongs their lease.
        has_changed = verb == "fetch" and (answer.claimed or answer.activities or life.is_dead)
        if verb in _CHANGING or has_changed:
            self.changed_at = self.loop.time()
            if not self.home.is_shared:
                self._overhear(life)
        self._show(life.label, verb, args, options, answer)

    def _judged(
        self, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        self._show("judge", verb, args, options, answer)

    def _show(
        self, node: str, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        if self.violation is not None or self.is_over:
            return
        try:
            for observer in self.observers:
                observer.applied(node, verb, args, options, answer)
            if self.inspector.calls % LOOK_AT_WORKERS_EVERY == 0:
                self.inspector.check_workers(self.workers())
        except Violation as violation:
            self.accuse(violation)
        except Exception as error:  # noqa: BLE001 - the engine would take it for the store's
            self.accuse(_crash(f"an observer of {verb} failed", node, error))

    def _overhear(self, speaker: Life) -> None:
        for process in self.processes.values():
            if process.life is not None and process.life is not speaker:
                process.life.way.overhear()

    def answered(self, verb: str) -> None:
        """Count an answer."""
        self.counts[f"answered {verb}"] += 1

    def count(self, what: str) -> None:
        """Count something that happened to a process."""
        self.counts[what] += 1

    def ended(self, life: Life, task: asyncio.Task[None]) -> None:
        """Begin the next life after one that was asked to end."""
        if self.is_over:
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.accuse(_crash("a process ended with an error", life.label, error))
        elif not life.is_leaving:
            self.accuse(CrashedError("a process ended of itself", where=life.label))
        life.is_dead = True
        self.loop.kill(life.label)
        if life.process.life is life:
            life.process.life = None
            life.process.begin_later()

    # -- for workloads

    @property
    def store(self) -> Any:
        """Where everything is kept."""
        return self.home.place

    def now_us(self) -> int:
        """Return the clock of the store, which never goes back."""
        return self.judge.now_us()

    def die(self) -> None:
        """Let the process of this step be gone after it."""
        for process in self.processes.values():
            if process.life is not None and process.life.label == self.loop.node:
                process.life.kill()

    def recorded(self, instance_id: str) -> tuple[int, Sequence[HistoryEvent]]:
        """Return the current execution of an instance and its history."""
        try:
            page = at_once(self.judge.read_history(instance_id, bytes_max=_EVERYTHING))
        except InstanceNotFoundError:
            return 0, ()
        return page.execution, [
            event for row in page.rows for event in decode_events(instance_id, row.events)
        ]

    def excuse(self, instance_id: str) -> None:
        """Hold an instance to nothing that its rows say."""
        self.inspector.excuse(instance_id)

    def is_deposed(self) -> bool:
        """Tell whether the process of this step is a worker whose lease is over; where the store's clock jumps, it cannot know."""
        jumps = any(strike.kind == "clock" for strike in self.plan.strikes)
        return not jumps and self.inspector.is_deposed(self.loop.node or "")

    def accuse(self, violation: Violation) -> None:
        """End the run with a violation, unless it has ended with another."""
        if self.violation is None and not self.is_over:
            self.violation = violation
            if self.loop.is_running():
                self.loop.stop()


def _may_hear(error: BaseException, life: Life) -> bool:
    """Tell whether a client may hear an error: nobody answers it, or its process leaves and has closed the store already."""
    return isinstance(error, BackendUnavailableError) or (
        life.is_leaving and isinstance(error, BackendError)
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Return the errors of an error: one, or those of a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _crash(what: str, where: str, error: BaseException) -> CrashedError:
    crash = CrashedError(f"{what}: {_in_words(error)}", where=where)
    crash.__cause__ = error
    return crash


def _in_words(error: BaseException) -> str:
    return "; ".join(f"{type(one).__name__}: {one}" for one in _leaves(error))
