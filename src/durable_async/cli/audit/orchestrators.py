"""The orchestrators: they decide, and touch nothing. What they await is in the history when they go on."""

from __future__ import annotations

import asyncio

from durable_async import OrchestrationContext

from .activities import check_files, find_distributions, read_record
from .model import (
    AuditReport,
    AuditRequest,
    Distribution,
    DistributionReport,
    Progress,
    Tally,
)
from .registry import registry


@registry.orchestrator
async def audit_environment(ctx: OrchestrationContext, request: AuditRequest) -> AuditReport:
    """Audit every distribution, a few at a time, in a sub-orchestration each."""
    installed = await ctx.call_activity(find_distributions, request)
    with_record = [one for one in installed if one.chunks]
    slots = asyncio.Semaphore(request.at_a_time)
    reports: list[DistributionReport] = []

    async def audit(one: Distribution) -> None:
        async with slots:
            child = f"{ctx.instance_id}.{one.key}"
            report = await ctx.call_sub_orchestrator(audit_distribution, one, instance_id=child)
        reports.append(report)
        files_done = sum(done.tally.total for done in reports)
        ctx.set_custom_status(Progress(len(reports), len(with_record), files_done))

    async with asyncio.TaskGroup() as group:
        for one in with_record:
            group.create_task(audit(one))
    return AuditReport(
        distributions=len(reports),
        without_record=[one.key for one in installed if not one.chunks],
        tally=sum((report.tally for report in reports), Tally()),
        findings=[finding for report in reports for finding in report.findings],
    )


@registry.orchestrator
async def audit_distribution(ctx: OrchestrationContext, one: Distribution) -> DistributionReport:
    """Check all files of one distribution, its chunks at the same time; the custom status counts the files done."""
    chunks = await ctx.call_activity(read_record, one)
    report = DistributionReport(one.key, Tally(), [])
    for checked in asyncio.as_completed([ctx.call_activity(check_files, c) for c in chunks]):
        part = await checked
        report = DistributionReport(
            one.key, report.tally + part.tally, report.findings + part.findings
        )
        ctx.set_custom_status(report.tally.total)
    return report
