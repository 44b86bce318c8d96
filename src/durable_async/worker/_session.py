"""A session: one identity of a worker, from its registration to its retirement or its fencing."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import anyio
from anyio.abc import TaskStatus

from durable_async._engine.ends import Ends
from durable_async._kernel import guard
from durable_async._kernel.orchestration import Orchestration
from durable_async.backend import Backend, Hearing
from durable_async.environment import Environment
from durable_async.errors import BackendError, BackendUnavailableError, FencedError
from durable_async.model.history import Letter
from durable_async.model.records import ClaimedInstance, Fence, Mail, Release, Work
from durable_async.model.retention import Retention
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.telemetry import Signals, WorkerLoad
from durable_async.telemetry.logs import enter_worker

from ._activities import ActivityRunner, Attempt
from ._adoption import adopt, turn_away
from ._alarms import Alarms
from ._committer import Committer
from ._complaints import Complaints
from ._patience import Patience
from ._queued import QueuedActivities
from ._retention import Retaining
from ._rhythm import Rhythm
from ._slots import Slot, Slots
from ._starts import Starts
from ._suspects import Suspects
from ._telling import Teller
from ._tools import Tools, ignore
from ._turns import Turns
from ._versions import Versions
from ._watchdog import Watchdog
from .settings import WorkerSettings

ROOM_SHARE = 10
DRAIN_POLL_SECONDS = 0.001
NEARLY = 0.99
"""What share of a heartbeat a renewal must be ago for the next, lest the clock's grain decide."""

SIGNALS_GAP_SECONDS = 0.004
"""So long from one fetch to the next in a stream of signals: those that come one after the other are taken several at a time, for each fetch and
each commit costs as much as some of them."""
SIGNALS_STREAM_FETCHES = 2
"""So many fetches in a row that bring only signals are a stream. Between two who signal each other there is none: each also looks after its own
commit, and finds nothing."""
HISTORY_BYTES_PER_CLAIM = 1024 * 1024
ACTIVITIES_PER_INSTANCE = 4
"""Queued activities are many and small: so many are claimed where one instance would be. What one worker puts into the queue in one commit,
another takes out in one fetch, or nearly."""


_log = logging.getLogger("durable_async")


class Session:
    """Owns instances under one fence; ends when it is stopped, or with ``FencedError`` when another worker took over."""

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        registry: Registry,
        payloads: DataConverter,
        settings: WorkerSettings,
        hub: str,
        ends: Ends,
        signals: Signals | None = None,
        retention: Retention = Retention.OFF,
    ) -> None:
        self._backend = backend
        self._environment = environment
        self._registry = registry
        self._payloads = payloads
        self._settings = settings
        self._hub = hub
        self._ends = ends
        self._retention = retention
        self._hint = anyio.Event()
        self._rhythm = Rhythm(environment, settings, self._is_deaf)
        self._found_dead = anyio.Event()
        self._graveyard: list[Orchestration] = []
        self._fenced: FencedError | None = None
        self._lost = anyio.Event()
        self._stopping = anyio.Event()
        self._is_behind = False
        self._is_awaited = False
        self._signals_in_a_row = 0
        self._claimed_at = environment.monotonic()
        self._loop = asyncio.get_running_loop()
        self._complaints = Complaints(environment)
        self._moved_at = environment.monotonic()
        self.worker_id = environment.new_id()
        self._signals = signals
        self._teller = (
            None
            if signals is None
            else Teller(signals, environment, backend.now_us, hub, self.worker_id)
        )
        self.is_registered = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until ``stop``.

        Raises:
            FencedError: Another worker took over. Everything that was owned has been dropped.
        """
        settings = self._settings
        enter_worker(self._hub, self.worker_id)
        guard.install(self._registry.guard)
        fence = await self._backend.register_worker(self.worker_id, settings.lease_seconds)
        self.is_registered = True
        self._tools = self._make_tools(fence)
        self._turns = Turns(self._tools, self._graveyard.append, self._on_room)
        lease = self._environment.every(
            settings.heartbeat_seconds, self._renew, f"durable-async-lease-{self.worker_id[-8:]}"
        )
        watch = self._tools.watchdog.start()
        unlisten = self._backend.listen(self._on_work, lambda changed: None)
        self._starts = Starts(self._tools, self._adopt, self._receive)
        withdraw = self._backend.offer(fence, self._starts)
        fenced = False
        try:
            await self._work(task_status)
        except FencedError:
            fenced = True
            raise
        finally:
            withdraw()
            unlisten()
            lease.stop()
            watch.stop()
            self._drop_all()
            if self._teller is not None:
                self._teller.worker_ended(is_fenced=fenced)
            await (self._withdraw() if fenced else self._retire())

    @property
    def silent_seconds(self) -> float:
        """How long ago its lease was extended last."""
        return self._rhythm.silent_seconds

    @property
    def lease_seconds(self) -> float:
        """How long its lease lasts."""
        return self._settings.lease_seconds

    def stop(self) -> None:
        """Ask it to drain and to hand everything back."""
        self._stopping.set()
        self._hint.set()

    def _make_tools(self, fence: Fence) -> Tools:
        slots = Slots()
        return Tools(
            backend=self._backend,
            environment=self._environment,
            registry=self._registry,
            payloads=self._payloads,
            settings=self._settings,
            committer=Committer(
                self._backend,
                self._environment,
                self._settings,
                fence,
                None if self._teller is None else self._teller.batch_committed,
            ),
            slots=slots,
            alarms=Alarms(slots, self._backend.now_us),
            watchdog=Watchdog(self._environment, self._settings.turn_seconds_max),
            versions=Versions(self._registry),
            ends=self._ends,
            signals=self._signals,
            teller=self._teller,
        )

    async def _work(self, task_status: TaskStatus[None]) -> None:
        try:
            async with anyio.create_task_group() as group:
                await group.start(self._make_runner().run)
                await group.start(self._turns.entities.run)
                group.start_soon(self._tools.committer.run)
                group.start_soon(self._turns.run)
                group.start_soon(self._tools.alarms.run, self._turns.calls.alarm)
                group.start_soon(self._queued.watch)
                group.start_soon(self._suspects.run)
                group.start_soon(self._starts.run)
                group.start_soon(self._fetch_forever)
                group.start_soon(self._sweep_forever)
                group.start_soon(self._make_retaining().run)
                group.start_soon(self._watch_lease)
                if self._teller is not None:
                    self._teller.worker_began(self._registry, self._load)
                task_status.started()
                await self._stopping.wait()
                self._starts.close()
                self._suspects.close()
                await self._drain()
                group.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            fenced, others = errors.split(FencedError)
            if others is None and fenced is not None:
                raise FencedError(self.worker_id) from errors
            raise

    def _make_runner(self) -> ActivityRunner:
        runner = ActivityRunner(
            self._hub,
            self._environment,
            self._payloads,
            self._settings,
            self._backend.now_us,
            self._deliver,
            self._holds_lease,
            None if self._teller is None else self._teller.activities,
        )
        self._turns.calls.runner = runner
        self._queued = QueuedActivities(self._tools, runner, self.worker_id)
        self._suspects = Suspects(self._tools, self._queued, self._adopt, self._receive)
        return runner

    def _load(self) -> WorkerLoad:
        """Say what is held now; from any thread."""
        runner = self._turns.calls.runner
        assert runner is not None
        return WorkerLoad(
            instances=len(self._tools.slots),
            turns_waiting=self._tools.slots.waiting,
            activities=runner.running,
            activities_waiting=runner.waiting,
            activities_free=runner.free,
            operations=self._turns.entities.running,
            commits_waiting=self._tools.committer.waiting,
        )

    def _make_retaining(self) -> Retaining:
        return Retaining(
            self._backend, self._environment, self._retention, self._rhythm, self._tell_deleted
        )

    def _tell_deleted(self, counts: Counter[str]) -> None:
        _log.debug("retention deleted %d orchestrations", counts.total())
        if self._teller is not None:
            self._teller.purged(counts.total())

    # -- the lease

    def _renew(self) -> None:
        """Renew the lease; in a thread of its own, but not for an event loop that is stuck for good."""
        if self._environment.monotonic() - self._moved_at > self._settings.stall_seconds_max:
            _log.error(
                "the event loop is blocked: worker %s lets its lease run out", self.worker_id
            )
            return
        if self._rhythm.silent_seconds < self._settings.heartbeat_seconds * NEARLY:
            return  # a fetch has done it along the way
        begun_at = self._environment.monotonic()
        try:
            self._backend.renew_lease(self._tools.committer.fence, self._settings.lease_seconds)
            self._rhythm.renewed(begun_at)
        except FencedError as error:
            self._lose(error)
        except BackendUnavailableError:
            silent = self._rhythm.silent_seconds
            if silent > self._settings.lease_seconds - self._settings.heartbeat_seconds:
                self._lose(FencedError(self.worker_id))

    def _holds_lease(self) -> bool:
        """Tell whether the lease may still stand; a process that slept, or a loop that was blocked, may not have noticed that it is over."""
        if self._rhythm.silent_seconds > self._settings.lease_seconds:
            self._lose(FencedError(self.worker_id))
        return self._fenced is None

    def _lose(self, error: FencedError) -> None:
        if self._fenced is None:
            self._fenced = error
            self._loop.call_soon_threadsafe(self._lost.set)

    async def _watch_lease(self) -> None:
        """Stop at once when the lease is lost, or when no renewal came back for as long as it lasts."""
        settings = self._settings
        pause = min(settings.heartbeat_seconds, settings.stall_seconds_max / 2)
        while self._fenced is None:
            self._moved_at = self._environment.monotonic()
            with anyio.move_on_after(pause):
                await self._lost.wait()
            if self._rhythm.silent_seconds > settings.lease_seconds:
                self._fenced = FencedError(self.worker_id)
        raise self._fenced

    # -- finding work

    def _on_work(self) -> None:
        self._hint.set()
        self._queued.hint()

    async def _fetch_forever(self) -> None:
        while not self._stopping.is_set():
            self._hint = anyio.Event()  # before the query: what comes after it is heard
            begun_at = self._environment.monotonic()
            try:
                work = await self._fetch()
            except BackendUnavailableError as error:
                self._complaints.cannot("fetch work", error)
                await self._take_stock()
                continue
            self._complaints.can("fetch work")
            full = await self._take(work)
            if full:
                continue
            if work.claimed or work.mail or work.activities:
                self._rhythm.stir()
            is_stream = work.mail and self._are_only_signals(work)
            self._signals_in_a_row = self._signals_in_a_row + 1 if is_stream else 0
            heard = await self._listen(self._rhythm.wait_seconds(), work.next_ready_us)
            if heard:
                self._rhythm.stir()
                gap = begun_at + SIGNALS_GAP_SECONDS - self._environment.monotonic()
                if gap > 0 and self._signals_in_a_row >= SIGNALS_STREAM_FETCHES:
                    await anyio.sleep(gap)

    def _are_only_signals(self, work: Work) -> bool:
        """Tell whether nobody waits for the letters that a fetch brought: then the next may as well tell of several."""
        return not (work.claimed or work.activities or self._is_awaited)

    def _is_deaf(self) -> bool:
        return self._backend.hearing is Hearing.NEVER

    async def _take_stock(self) -> None:
        """Undo what nobody heard of, as soon as the store answers.

        What was claimed with an answer that was lost would wait for ever, and letters that it told of would be overtaken by later ones.
        """
        patience = Patience(self._environment)
        while True:
            try:
                await self._backend.take_stock(
                    self._tools.committer.fence, self._tools.fetches.begun
                )
            except BackendUnavailableError:
                await patience.pause()
            else:
                return

    async def _fetch(self) -> Work:
        self._make_room()
        self._turns.forget_consumed()
        runner = self._turns.calls.runner
        assert runner is not None
        room = self._settings.instances_max - (
            len(self._tools.slots) + len(self._suspects) + len(self._starts)
        )
        if not self._keeps_up():
            room = 0
        asked = max(0, min(room, self._settings.claim_batch))
        errands = self._rhythm.errands()
        begun_at = self._environment.monotonic()
        activities = min(runner.free, self._settings.claim_batch * ACTIVITIES_PER_INSTANCE)
        runner.promised += activities
        try:
            work = await self._backend.fetch(
                self._tools.committer.fence,
                number=self._tools.fetches.begin(asked),
                instances=asked,
                activities=activities,
                names=self._registry.names,
                activity_names=self._registry.activity_names,
                history_bytes_max=HISTORY_BYTES_PER_CLAIM,
                passed_over=self._tools.versions.ask(),
                errands=errands,
            )
        finally:
            runner.promised -= activities
        if errands.lease_seconds is not None:
            self._rhythm.renewed(begun_at)
        if self._teller is not None:
            self._teller.fetched(work, begun_at)
        if work.census is not None:
            self._rhythm.learn(work.census)
            if work.census.dead:
                self._found_dead.set()
        return work

    def _keeps_up(self) -> bool:
        """Tell whether few turns wait here, so that whatever is claimed is soon begun; if not, from time to time a few all the same."""
        now = self._environment.monotonic()
        is_behind = self._tools.slots.waiting >= self._settings.turns_ahead
        self._is_behind = is_behind and now - self._claimed_at < self._settings.poll_seconds
        if not self._is_behind:
            self._claimed_at = now
        return not self._is_behind

    def _on_room(self) -> None:
        if self._is_behind:
            self._is_behind = False
            self._hint.set()

    async def _listen(self, seconds: float, next_ready_us: int | None) -> bool:
        """Wait for a hint, or until it is time to look again."""
        if next_ready_us is not None:
            until = (next_ready_us - self._backend.now_us()) / 1e6
            seconds = min(seconds, max(until, 0.0))
        with anyio.move_on_after(seconds):
            await self._hint.wait()
            return True
        return False

    async def _take(self, work: Work) -> bool:
        """Take in what was fetched; returns whether there may be more at once."""
        self._is_awaited = False
        for mail in work.mail:
            self._receive(mail)
        for item in work.activities:
            if self._suspects.suspects(item):
                self._suspects.add(item)
            else:
                self._queued.begin(item)
        for claimed in work.claimed:
            if turn_away(claimed, self._tools, self._turns):
                self._suspects.forget(claimed.instance_id)
            elif self._suspects.suspects(claimed):
                self._suspects.add(claimed)
            else:
                self._suspects.forget(claimed.instance_id)
                await self._adopt(claimed)
        self._tools.fetches.take()
        batch = self._settings.claim_batch
        self._starts.is_open = len(work.claimed) < batch
        return len(work.claimed) >= batch or len(work.activities) >= batch * ACTIVITIES_PER_INSTANCE

    def _receive(self, mail: Mail) -> None:
        slot = self._tools.slots.get(mail.instance_id)
        if slot is not None:
            self._is_awaited |= self._turns.receive(slot, mail)
        elif not self._starts.receive(mail):
            self._suspects.receive(mail)

    async def _adopt(self, claimed: ClaimedInstance, speaks_after: int = 0) -> None:
        await adopt(claimed, self._tools, self._turns, speaks_after)

    async def _sweep_forever(self) -> None:
        """Take over from dead workers when a look has told of some; now and then also to have forgotten what is old."""
        patience = Patience(self._environment)
        while True:
            self._found_dead = anyio.Event()  # before the call: who dies after it is found again
            try:
                freed = await self._backend.take_over(self._tools.committer.fence)
                self._complaints.can("look for dead workers")
            except BackendUnavailableError as error:
                self._complaints.cannot("look for dead workers", error)
                await patience.pause()
                continue
            patience = Patience(self._environment)
            if freed:
                _log.info("took over %d instances of a dead worker", freed)
                self._hint.set()
            with anyio.move_on_after(self._rhythm.upkeep_seconds):
                await self._found_dead.wait()

    # -- bounded memory

    def _make_room(self) -> None:
        """Let the least recently used idle instances go, a tenth at a time, when a bound is near."""
        settings = self._settings
        slots = self._tools.slots
        few = max(1, settings.instances_max // ROOM_SHARE)
        surplus = len(slots) + min(few, settings.claim_batch) - settings.instances_max
        if surplus <= 0 and slots.history_bytes <= settings.history_bytes_max:
            return
        for released, slot in enumerate(slots.idle()):
            if released >= surplus and slots.history_bytes <= settings.history_bytes_max:
                break
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        instance = slot.instance
        release = Release(
            instance_id=instance.instance_id,
            wake_at_us=self._turns.calls.wake_at_us(slot),
            seen=instance.seen(),
            execution=instance.execution,
        )
        self._turns.drop(slot)
        self._tools.committer.submit(release, ignore)

    def _deliver(self, attempt: Attempt, letter: Letter) -> None:
        if attempt.item_id is None:
            self._turns.calls.deliver(attempt, letter)
        else:
            self._queued.deliver(attempt, letter)

    # -- the end

    async def _drain(self) -> None:
        """Begin nothing new; let running activities end within the grace time, and what is decided become durable.

        What only waits is handed back at once: others need not wait for those that are busy.
        """
        runner = self._turns.calls.runner
        assert runner is not None
        entities = self._turns.entities
        runner.closed = entities.closed = True
        with anyio.move_on_after(self._settings.shutdown_seconds):
            while runner.running or entities.running:
                for slot in self._tools.slots.idle():
                    self._release(slot)
                await anyio.sleep(DRAIN_POLL_SECONDS)
        with anyio.move_on_after(self._settings.shutdown_seconds):
            while not self._is_settled():  # noqa: ASYNC110 - two conditions, soon over
                await anyio.sleep(DRAIN_POLL_SECONDS)

    def _is_settled(self) -> bool:
        is_idle = self._tools.committer.is_idle and not self._starts
        return is_idle and not self._tools.slots.waiting

    def _drop_all(self) -> None:
        for slot in list(self._tools.slots):
            self._turns.drop(slot)

    async def _withdraw(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._settings.shutdown_seconds):
            try:
                await self._backend.withdraw(self.worker_id)
            except BackendError as error:
                _log.warning("could not withdraw the sign of life: %s", error)

    async def _retire(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._settings.shutdown_seconds):
            try:
                await self._backend.retire_worker(self._tools.committer.fence)
            except (FencedError, BackendUnavailableError) as error:
                _log.warning("could not hand back what was owned: %s", error)
