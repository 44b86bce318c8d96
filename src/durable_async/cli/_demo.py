"""The story of ``durable-async demo``: begin, be killed, go on, and show that nothing was lost or done twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process
from rich.console import Console
from rich.progress import Progress, TaskID

from durable_async import (
    ConfigurationError,
    DurableError,
    OrchestrationState,
    Status,
    TaskHub,
)
from durable_async.environment import SystemEnvironment

from . import _demo_view as view
from ._demo_facts import AuditFacts, Call, count_files, process_facts, prove, read_facts
from ._demo_files import HUB, DemoFiles, default_database, environment_folders, target_folders
from ._demo_worker import KILL, Middle
from .audit import AuditReport, AuditRequest, Distribution, Ledger, audit_environment, registry
from .audit.records import find_distributions

KILL_SHARE = 0.4
KILL_SHARE_AT_LAST = 0.8
POLL_SECONDS = 0.05
LOG_LINES = 20

EXIT_CLEAN = 0
EXIT_FINDINGS = 1
EXIT_REFUSED = 2
EXIT_KILLED = 137


class DemoFailedError(DurableError):
    """Raised when a worker process did not do what it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What was asked for.

    Attributes:
        database: The SQLite file; by default one in the user's cache folder.
        target: What to audit; by default the environment that runs this.
        crash: ``True`` begins and is killed, ``False`` is never killed, ``None`` is killed and goes on.
        resume: Only go on with what is unfinished.
    """

    database: Path | None = None
    target: Path | None = None
    crash: bool | None = None
    resume: bool = False


async def run_demo(options: DemoOptions, console: Console) -> int:
    """Tell the story and return the exit status."""
    files = DemoFiles(options.database or default_database())
    files.database.parent.mkdir(parents=True, exist_ok=True)
    folders = environment_folders() if options.target is None else target_folders(options.target)
    async with TaskHub.open(files.url, hub=HUB, registry=registry) as hub:
        demo = Demo(hub, files, console)
        unfinished = await demo.find_unfinished()
        if unfinished is not None:
            if options.target is not None and unfinished.input(AuditRequest).folders != folders:
                raise ConfigurationError(
                    f"{files.database} holds an unfinished audit of something else: "
                    "finish it with --resume, or choose another --db"
                )
            return await demo.resume(unfinished)
        if options.resume:
            console.print(f"Nothing to resume in {files.database}.", highlight=False)
            return EXIT_REFUSED
        return await demo.begin(AuditRequest(folders), options.crash)


class Demo:
    """One telling of the story, on one hub.

    This process is a client: it starts the orchestration and watches. The work is done by worker processes that it starts.
    """

    def __init__(self, hub: TaskHub, files: DemoFiles, console: Console) -> None:
        self._client = hub.client
        self._files = files
        self._ledger = Ledger(files.ledger)
        self._console = console

    async def find_unfinished(self) -> OrchestrationState | None:
        """Return the audit that has not ended, if there is one."""
        unfinished = (Status.PENDING, Status.RUNNING, Status.SUSPENDED)
        names = [audit_environment.name]
        async for state in self._client.query(statuses=unfinished, names=names, payloads=True):
            return state
        return None

    # -- the three ways through

    async def begin(self, request: AuditRequest, crash: bool | None) -> int:
        """Begin a new audit; with a kill in the middle unless ``crash`` is ``False``, and no further if it is ``True``."""
        installed = await anyio.to_thread.run_sync(find_distributions, request.folders)
        if not any(one.chunks for one in installed):
            raise ConfigurationError(f"nothing is installed in {', '.join(request.folders)}")
        view.introduce(
            self._console, installed, "\n".join(request.folders), str(self._files.database)
        )
        instance_id = await self._start(request)
        before: set[Call] = set()
        if crash is not False:
            before = await self._be_killed(instance_id, installed)
            if crash:
                return self._leave()
        heading = "2. Another process opens the same file and goes on" if before else "The audit"
        return await self._finish(instance_id, installed, before, heading)

    async def resume(self, state: OrchestrationState) -> int:
        """Go on with an audit that another process left unfinished."""
        request = state.input(AuditRequest)
        installed = await anyio.to_thread.run_sync(find_distributions, request.folders)
        facts = await read_facts(self._client, state.instance_id)
        view.line(
            self._console,
            f"{self._files.database} holds an unfinished audit: [bold]{len(facts.recorded)}[/] of "
            f"{view.activities(installed)} activities are recorded in it.",
        )
        return await self._finish(
            state.instance_id, installed, facts.recorded, "A new process goes on from there"
        )

    async def _start(self, request: AuditRequest) -> str:
        await self._client.purge_where()
        self._ledger.clear()
        instance_id = f"audit-{SystemEnvironment().new_id()[:6]}"
        await self._client.start(audit_environment, request, instance_id=instance_id)
        return instance_id

    async def _be_killed(self, instance_id: str, installed: list[Distribution]) -> set[Call]:
        view.heading(self._console, "1. A process begins, and gets a kill -9 in the middle")
        middle = Middle(
            files=max(1, round(_files(installed) * KILL_SHARE)),
            executions=max(1, round(view.activities(installed) * KILL_SHARE_AT_LAST)),
        )
        pid, status = await self._run_worker(instance_id, installed, middle)
        if status not in (-KILL, KILL):
            raise self._failed(pid, status)
        facts = await read_facts(self._client, instance_id)
        view.tell_death(self._console, pid, status, facts, installed)
        return facts.recorded

    def _leave(self) -> int:
        self._console.print()
        view.line(self._console, "The job is not done. Run the same command again, and it goes on.")
        return EXIT_KILLED

    async def _finish(
        self, instance_id: str, installed: list[Distribution], before: set[Call], heading: str
    ) -> int:
        view.heading(self._console, heading)
        pid, status = await self._run_worker(instance_id, installed, None)
        if status != 0:
            raise self._failed(pid, status)
        report = await self._client.wait(instance_id, AuditReport)
        facts = await read_facts(self._client, instance_id)
        return self._conclude(report, facts, before)

    def _conclude(self, report: AuditReport, facts: AuditFacts, before: set[Call]) -> int:
        entries = self._ledger.read()
        proof = prove(before, facts, entries)
        processes = process_facts(entries)
        if len(processes) > 1:
            view.tell_proof(self._console, proof)
        view.tell_timeline(self._console, facts, processes)
        view.tell_result(self._console, report)
        view.tell_more(self._console, facts.instances[0].instance_id, self._files.url)
        if not proof.holds:
            raise DemoFailedError(f"the promise was broken: {proof}")
        return EXIT_CLEAN if report.is_clean else EXIT_FINDINGS

    # -- worker processes

    async def _run_worker(
        self, instance_id: str, installed: list[Distribution], middle: Middle | None
    ) -> tuple[int, int]:
        """Run a worker process to its end, show its progress, and return its pid and exit status."""
        command = [sys.executable, "-m", "durable_async", "demo-worker"]
        command += ["--db", str(self._files.database), "--instance", instance_id]
        if middle is not None:
            command += ["--kill-at", f"{middle.files},{middle.executions}"]
        with self._files.log.open("wb") as log, view.progress_bar(self._console) as progress:
            bar = progress.add_task("", total=_files(installed))
            process = await anyio.open_process(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            self._ledger.process_started(process.pid)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watch, instance_id, process, progress, bar)
                    await process.wait()
                    group.cancel_scope.cancel()
            finally:
                if process.returncode is None:
                    process.kill()
            status = process.returncode or 0
            self._ledger.process_ended(process.pid, status)
            progress.update(bar, completed=await count_files(self._client, instance_id))
        await self._refuse_parked(instance_id)
        return process.pid, status

    async def _watch(
        self, instance_id: str, process: Process, progress: Progress, bar: TaskID
    ) -> None:
        """Show progress; end a process that waits for what has been taken out of circulation."""
        while True:
            progress.update(bar, completed=await count_files(self._client, instance_id))
            if await self._parked(instance_id) is not None:
                process.kill()
            await anyio.sleep(POLL_SECONDS)

    async def _refuse_parked(self, instance_id: str) -> None:
        reason = await self._parked(instance_id)
        if reason is not None:
            raise DemoFailedError(
                f"the audit cannot go on: {reason}\nTo begin anew, delete {self._files.database}."
            )

    async def _parked(self, instance_id: str) -> str | None:
        """Return why the audit, or a part of it, was taken out of circulation."""
        async for state in self._client.query(id_prefix=instance_id, parked=True):
            return state.parked
        return None

    def _failed(self, pid: int, status: int) -> DemoFailedError:
        said = self._files.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return DemoFailedError("\n".join([f"process {pid}: {view.ending(status)}", *said]))


def _files(installed: list[Distribution]) -> int:
    return sum(one.files for one in installed if one.chunks)
