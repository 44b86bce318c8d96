"""The story of ``durable-async demo``: begin, be killed, go on, and show that nothing was lost or done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
from rich.console import Console

from durable_async import (
    ConfigurationError,
    OrchestrationState,
    Status,
    TaskHub,
)
from durable_async.cli.audit import (
    AuditReport,
    AuditRequest,
    Distribution,
    Ledger,
    audit_environment,
    registry,
)
from durable_async.cli.audit.records import find_distributions
from durable_async.environment import SystemEnvironment

from . import view
from .crew import Crew, DemoFailedError
from .facts import (
    AuditFacts,
    Cut,
    count_files,
    process_facts,
    prove,
    read_facts,
    spells,
    unseen_ends,
)
from .files import HUB, DemoPlace, environment_folders, target_folders

KILL_SHARE = 0.4
"""How much of the job is to be done before the kill."""

POLL_SECONDS = 0.05

EXIT_CLEAN = 0
EXIT_FINDINGS = 1
EXIT_REFUSED = 2
EXIT_KILLED = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What was asked for.

    Attributes:
        target: What to audit; by default the environment that runs this.
        crash: ``True`` begins and is killed, ``False`` is never killed, ``None`` is killed and goes on.
        resume: Only go on with what is unfinished.
    """

    target: Path | None = None
    crash: bool | None = None
    resume: bool = False


async def run_demo(place: DemoPlace, options: DemoOptions, console: Console) -> int:
    """Tell the story and return the exit status."""
    place.ledger.parent.mkdir(parents=True, exist_ok=True)
    folders = environment_folders() if options.target is None else target_folders(options.target)
    async with TaskHub.open(place.url, hub=HUB, registry=registry) as hub:
        demo = Demo(hub, place, console)
        unfinished = await demo.find_unfinished()
        if unfinished is not None:
            if options.target is not None and unfinished.input(AuditRequest).folders != folders:
                raise ConfigurationError(
                    f"there is an unfinished audit of something else in {place.title}: "
                    f"finish it with --resume, or {place.anew}"
                )
            return await demo.resume(unfinished)
        if options.resume:
            console.print(f"Nothing to resume in {place.title}.", highlight=False)
            return EXIT_REFUSED
        return await demo.begin(AuditRequest(folders), options.crash)


class Demo:
    """One telling of the story, on one hub.

    This process is a client: it starts the orchestration, watches, and kills. The work is done by worker processes that it starts.
    """

    def __init__(self, hub: TaskHub, place: DemoPlace, console: Console) -> None:
        self._client = hub.client
        self._place = place
        self._ledger = Ledger(place.ledger)
        self._console = console

    async def find_unfinished(self) -> OrchestrationState | None:
        """Return the audit that has not ended, if there is one."""
        unfinished = (Status.PENDING, Status.RUNNING, Status.SUSPENDED)
        names = [audit_environment.name]
        async for state in self._client.query(statuses=unfinished, names=names, payloads=True):
            return state
        return None

    # -- the ways through

    async def begin(self, request: AuditRequest, crash: bool | None) -> int:
        """Begin a new audit; with a kill in the middle unless ``crash`` is ``False``, and no further if it is ``True``."""
        installed = await self._find(request)
        view.introduce(self._console, installed, "\n".join(request.folders), self._place)
        await self._client.purge_where()
        self._ledger.clear()
        instance_id = f"audit-{SystemEnvironment().new_id()[-6:]}"
        job = Job(instance_id, installed)
        async with Crew(self._place, instance_id) as crew:
            if crash is False:
                view.heading(self._console, "The audit")
                await crew.start(self._place.workers)
                await self._client.start(audit_environment, request, instance_id=instance_id)
                return await self._finish(job, crew, Cut())
            view.heading(self._console, view.beginning(self._place))
            await crew.start(self._place.workers, hang_at=job.hang_at(self._place.workers))
            await self._client.start(audit_environment, request, instance_id=instance_id)
            cut = await self._kill_one(job, crew)
            if crash:
                return await self._leave(crew)
            view.heading(self._console, view.going_on(self._place))
            if not crew.living:
                await crew.start(1)
            return await self._finish(job, crew, cut)

    async def resume(self, state: OrchestrationState) -> int:
        """Go on with an audit that other processes left unfinished."""
        installed = await self._find(state.input(AuditRequest))
        facts = await read_facts(self._client, state.instance_id)
        view.line(
            self._console,
            f"There is an unfinished audit in {self._place.title}: [bold]{len(facts.recorded)}[/] of "
            f"{view.activities(installed)} activities are recorded in it.",
        )
        view.heading(self._console, view.resuming(self._place))
        entries = self._ledger.read()
        cut = Cut(facts.recorded, len(entries), unseen_ends(entries))
        async with Crew(self._place, state.instance_id) as crew:
            await crew.start(self._place.workers)
            return await self._finish(Job(state.instance_id, installed), crew, cut)

    async def _find(self, request: AuditRequest) -> list[Distribution]:
        installed = await anyio.to_thread.run_sync(find_distributions, request.folders)
        if not any(one.chunks for one in installed):
            raise ConfigurationError(f"nothing is installed in {', '.join(request.folders)}")
        return installed

    async def _kill_one(self, job: Job, crew: Crew) -> Cut:
        """Kill a process that is in the midst of its work; what was recorded is read before, while it lives."""
        await self._watch(job, crew, lambda: crew.victim() is not None)
        victim = crew.victim()
        if victim is None:
            raise DemoFailedError("the audit was over before the kill")
        facts = await read_facts(self._client, job.instance_id)
        lines = len(self._ledger.read())
        status = await crew.kill(victim)
        if self._place.workers == 1:  # nobody else works: this is what the next one finds
            facts = await read_facts(self._client, job.instance_id)
        view.tell_death(self._console, victim, status)
        view.tell_what_is_left(self._console, self._place, facts, job.installed)
        return Cut(facts.recorded, lines)

    async def _leave(self, crew: Crew) -> int:
        for pid in crew.living:
            view.tell_death(self._console, pid, await crew.kill(pid))
        self._console.print()
        view.line(self._console, "The job is not done. Run the same command again, and it goes on.")
        return EXIT_KILLED

    async def _finish(self, job: Job, crew: Crew, cut: Cut) -> int:
        await self._watch(job, crew, lambda: not crew.living)
        report = await self._client.wait(job.instance_id, AuditReport)
        facts = await read_facts(self._client, job.instance_id)
        return self._conclude(report, facts, cut)

    def _conclude(self, report: AuditReport, facts: AuditFacts, cut: Cut) -> int:
        entries = self._ledger.read()
        proof = prove(cut, facts, entries)
        processes = process_facts(entries)
        if cut.lines:
            view.tell_proof(self._console, self._place, proof)
        view.tell_timeline(self._console, facts, processes, spells(entries, processes))
        view.tell_result(self._console, report)
        view.tell_more(self._console, facts.instances[0].instance_id, self._place)
        if not proof.holds:
            raise DemoFailedError(f"the promise was broken: {proof}")
        return EXIT_CLEAN if report.is_clean else EXIT_FINDINGS

    # -- watching

    async def _watch(self, job: Job, crew: Crew, reached: Callable[[], bool]) -> None:
        """Show progress until something is reached, or nobody works any more."""
        with view.progress_bar(self._console) as progress:
            bar = progress.add_task("", total=job.files)
            while True:
                crew.check()
                files = await count_files(self._client, job.instance_id)
                progress.update(bar, completed=files)
                if not crew.living or reached():
                    return
                await self._refuse_parked(job.instance_id)
                await anyio.sleep(POLL_SECONDS)

    async def _refuse_parked(self, instance_id: str) -> None:
        """Stop waiting for what was taken out of circulation."""
        async for state in self._client.query(id_prefix=instance_id, parked=True):
            raise DemoFailedError(
                f"the audit cannot go on: {state.parked}\nTo begin anew, {self._place.anew}."
            )


@dataclass(frozen=True, slots=True)
class Job:
    """What is being done.

    Attributes:
        instance_id: The audit.
        installed: What is audited.
    """

    instance_id: str
    installed: list[Distribution]

    @property
    def files(self) -> int:
        """How many files are looked at."""
        return sum(one.files for one in self.installed if one.chunks)

    def hang_at(self, workers: int) -> int:
        """Return at which of its executions the first of some processes waits to be killed; one of them comes so far."""
        return max(1, round(view.activities(self.installed) * KILL_SHARE / workers))
