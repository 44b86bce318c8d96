"""The activities: they touch the disk. Each is a ``def``, so the worker runs it in a thread."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from durable_async import RetryPolicy, activity_context

from . import records
from .ledger import note_execution
from .model import AuditRequest, Chunk, ChunkReport, Distribution, Tally, Verdict
from .registry import registry

DISK_HICCUP = RetryPolicy(max_attempts=3, first_delay=0.2, backoff=3)


@registry.activity(retry=DISK_HICCUP)
def find_distributions(request: AuditRequest) -> list[Distribution]:
    """List what is installed."""
    note_execution()
    return records.find_distributions(request.folders)


@registry.activity(retry=DISK_HICCUP)
def read_record(distribution: Distribution) -> list[Chunk]:
    """Read a RECORD and cut it into chunks."""
    note_execution()
    path = Path(distribution.path)
    return list(records.split(str(path.parent), records.read_record(path)))


@registry.activity(retry=DISK_HICCUP)
def check_files(chunk: Chunk) -> ChunkReport:
    """Read and hash every file of a chunk, and compare."""
    note_execution()
    findings = []
    for file in chunk.files:
        activity_context().raise_if_cancelled()
        findings.append(records.check_file(chunk.root, file))
    counts = Counter(finding.verdict.value for finding in findings)
    harmless = (Verdict.OK, Verdict.UNVERIFIABLE)
    return ChunkReport(
        Tally(**counts), [finding for finding in findings if finding.verdict not in harmless]
    )
