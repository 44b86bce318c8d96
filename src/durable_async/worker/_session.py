"""A session: one identity of a worker, from its registration to its retirement or its fencing."""

from __future__ import annotations

import asyncio
import logging

import anyio
from anyio.abc import TaskStatus

from durable_async._engine.options import decode_options
from durable_async._kernel import guard
from durable_async._kernel.orchestration import Orchestration
from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.failure import FailureDetails
from durable_async.model.history import ActivityFailed, Letter
from durable_async.model.records import (
    ActivityResult,
    ClaimedActivity,
    Fence,
    Outgoing,
    Release,
    Work,
)
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.serialization.events import encode_letter

from ._activities import ActivityRunner, Attempt
from ._adoption import adopt
from ._alarms import Alarms
from ._committer import Committer
from ._slots import Slot, Slots
from ._turns import Tools, Turns
from ._watchdog import Watchdog
from .settings import WorkerSettings

POLLS_PER_PERIOD = 50
ROOM_SHARE = 10
DRAIN_POLL_SECONDS = 0.001
HISTORY_BYTES_PER_CLAIM = 1024 * 1024

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
    ) -> None:
        self._backend = backend
        self._environment = environment
        self._registry = registry
        self._payloads = payloads
        self._settings = settings
        self._hub = hub
        self._hint = anyio.Event()
        self._poll = settings.poll_seconds / POLLS_PER_PERIOD
        self._graveyard: list[Orchestration] = []
        self._fenced: FencedError | None = None
        self._lost = anyio.Event()
        self._stopping = anyio.Event()
        self._loop = asyncio.get_running_loop()
        self._renewed_at = environment.monotonic()
        self.worker_id = environment.new_id()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until ``stop``.

        Raises:
            FencedError: Another worker took over. Everything that was owned has been dropped.
        """
        settings = self._settings
        guard.install(self._registry.guard)
        fence = await self._backend.register_worker(self.worker_id, settings.lease_seconds)
        self._tools = self._make_tools(fence)
        self._turns = Turns(self._tools, self._graveyard.append)
        lease = self._environment.every(
            settings.heartbeat_seconds, self._renew, f"durable-async-lease-{self.worker_id[:8]}"
        )
        watch = self._tools.watchdog.start()
        unlisten = self._backend.listen(self._on_work, lambda changed: None)
        fenced = False
        try:
            await self._work(task_status)
        except FencedError:
            fenced = True
            raise
        finally:
            unlisten()
            lease.stop()
            watch.stop()
            self._drop_all()
            if not fenced:
                await self._retire()

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
            committer=Committer(self._backend, self._environment, self._settings, fence),
            slots=slots,
            alarms=Alarms(slots, self._backend.now_us),
            watchdog=Watchdog(self._environment, self._settings.turn_seconds_max),
        )

    async def _work(self, task_status: TaskStatus[None]) -> None:
        try:
            async with anyio.create_task_group() as group:
                self._turns.activities = ActivityRunner(
                    self._hub,
                    group,
                    self._environment,
                    self._payloads,
                    self._settings,
                    self._backend.now_us,
                    self._deliver,
                )
                group.start_soon(self._tools.committer.run)
                group.start_soon(self._turns.run)
                group.start_soon(self._tools.alarms.run, self._turns.alarm)
                group.start_soon(self._fetch_forever)
                group.start_soon(self._sweep_forever)
                group.start_soon(self._watch_lease)
                task_status.started()
                await self._stopping.wait()
                await self._drain()
                group.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            fenced, others = errors.split(FencedError)
            if others is None and fenced is not None:
                raise FencedError(self.worker_id) from errors
            raise

    # -- the lease

    def _renew(self) -> None:
        """Renew the lease; in a thread of its own."""
        try:
            self._backend.renew_lease(self._tools.committer.fence, self._settings.lease_seconds)
            self._renewed_at = self._environment.monotonic()
        except FencedError as error:
            self._lose(error)
        except BackendUnavailableError:
            silent = self._environment.monotonic() - self._renewed_at
            if silent > self._settings.lease_seconds - self._settings.heartbeat_seconds:
                self._lose(FencedError(self.worker_id))

    def _lose(self, error: FencedError) -> None:
        if self._fenced is None:
            self._fenced = error
            self._loop.call_soon_threadsafe(self._lost.set)

    async def _watch_lease(self) -> None:
        """Stop at once when the lease is lost, or when no renewal came back for as long as it lasts."""
        while self._fenced is None:
            with anyio.move_on_after(self._settings.heartbeat_seconds):
                await self._lost.wait()
            silent = self._environment.monotonic() - self._renewed_at
            if silent > self._settings.lease_seconds:
                self._fenced = FencedError(self.worker_id)
        raise self._fenced

    # -- finding work

    def _on_work(self) -> None:
        self._hint.set()

    async def _fetch_forever(self) -> None:
        wait = self._poll
        while not self._stopping.is_set():
            self._hint = anyio.Event()  # before the query: what comes after it is heard
            try:
                work = await self._fetch()
            except BackendUnavailableError as error:
                _log.warning("cannot fetch work: %s; going on under a new identity", error)
                await self._hear_again()
                self.stop()
                return
            full = await self._take(work)
            if full:
                continue
            if work.claimed or work.mail or work.activities:
                wait = self._poll
            heard = await self._listen(wait, work.next_ready_us)
            wait = self._poll if heard else min(wait * 2, self._settings.poll_seconds)

    async def _hear_again(self) -> None:
        """Wait until the store answers.

        What was claimed with an answer that was lost, nobody knows; and letters that it told of would be overtaken by later ones. So
        everything has to be handed back.
        """
        while True:
            try:
                await self._backend.read_fence(self.worker_id)
            except BackendUnavailableError:
                await anyio.sleep(self._settings.poll_seconds * self._environment.random().random())
            else:
                return

    async def _fetch(self) -> Work:
        self._make_room()
        self._turns.forget_consumed()
        runner = self._turns.activities
        assert runner is not None
        room = self._settings.instances_max - len(self._tools.slots)
        return await self._backend.fetch(
            self._tools.committer.fence,
            instances=max(0, min(room, self._settings.claim_batch)),
            activities=min(runner.free, self._settings.claim_batch),
            orchestrators=self._registry.orchestrators,
            activity_names=self._registry.activities,
            history_bytes_max=HISTORY_BYTES_PER_CLAIM,
        )

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
        for mail in work.mail:
            slot = self._tools.slots.get(mail.instance_id)
            if slot is not None:
                self._turns.receive(slot, mail)
        for item in work.activities:
            self._start_queued(item)
        for claimed in work.claimed:
            await adopt(claimed, self._tools, self._turns)
        batch = self._settings.claim_batch
        return len(work.claimed) >= batch or len(work.activities) >= batch

    async def _sweep_forever(self) -> None:
        while True:
            try:
                freed = await self._backend.take_over(self._tools.committer.fence)
            except BackendUnavailableError as error:
                _log.warning("cannot look for dead workers: %s", error)
                freed = 0
            if freed:
                _log.info("took over %d instances of a dead worker", freed)
                self._hint.set()
            spread = 0.8 + 0.4 * self._environment.random().random()
            await anyio.sleep(self._settings.sweep_seconds * spread)

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
            wake_at_us=self._turns.wake_at_us(slot),
            seen=instance.mailbox.seen(),
            execution=instance.execution,
        )
        self._turns.drop(slot)
        self._tools.committer.submit(release, lambda dropped: None)

    # -- activities

    def _start_queued(self, item: ClaimedActivity) -> None:
        queued = item.activity
        activity = self._registry.find_activity(queued.name)
        runner = self._turns.activities
        assert activity is not None
        assert runner is not None
        options, stored = decode_options(queued.options)
        attempt = Attempt(
            activity,
            queued.instance_id,
            queued.execution,
            queued.seq,
            queued.attempt,
            queued.input,
            options,
            stored.expires_us,
            stored.last_heartbeat,
            item.item_id,
        )
        if item.attempts > self._settings.attempts_max:
            details = FailureDetails(
                "durable_async.errors.BackendError",
                f"activity {queued.name!r} was begun {self._settings.attempts_max} times, and its worker never came through",
                non_retryable=True,
            )
            self._deliver(attempt, ActivityFailed(queued.seq, queued.attempt, details))
        else:
            runner.start(attempt)

    def _deliver(self, attempt: Attempt, letter: Letter) -> None:
        if attempt.item_id is None:
            self._turns.deliver(attempt, letter)
            return
        outgoing = Outgoing(
            instance_id=attempt.instance_id,
            execution=attempt.execution,
            letter=encode_letter(letter),
        )
        result = ActivityResult(item_id=attempt.item_id, outgoing=outgoing)
        self._tools.committer.submit(result, lambda dropped: None)

    # -- the end

    async def _drain(self) -> None:
        """Begin nothing new; let running activities end within the grace time, and what is decided become durable."""
        runner = self._turns.activities
        assert runner is not None
        runner.closed = True
        with anyio.move_on_after(self._settings.shutdown_seconds):
            await runner.wait_until_idle()
        with anyio.move_on_after(self._settings.shutdown_seconds):
            while not self._is_settled():  # noqa: ASYNC110 - two conditions, soon over
                await anyio.sleep(DRAIN_POLL_SECONDS)

    def _is_settled(self) -> bool:
        return self._tools.committer.is_idle and self._tools.slots.none_ready

    def _drop_all(self) -> None:
        for slot in list(self._tools.slots):
            self._turns.drop(slot)

    async def _retire(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._settings.shutdown_seconds):
            try:
                await self._backend.retire_worker(self._tools.committer.fence)
            except (FencedError, BackendUnavailableError) as error:
                _log.warning("could not hand back what was owned: %s", error)
