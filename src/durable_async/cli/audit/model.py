"""What travels through the audit: frozen values, stored as JSON in the history."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum


class Verdict(Enum):
    """What became of one file."""

    OK = "ok"
    CHANGED = "changed"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNVERIFIABLE = "unverifiable"
    """RECORD has no hash for it: a compiled ``.pyc``, or RECORD itself."""


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """Input of the whole audit.

    Attributes:
        folders: Folders that hold ``*.dist-info``, such as ``site-packages``.
        at_a_time: Distributions under way at a time.
    """

    folders: list[str]
    at_a_time: int = 6


@dataclass(frozen=True, slots=True)
class Distribution:
    """Something that was installed.

    Attributes:
        key: Name and version as its metadata folder has them; unique in the audit.
        path: Its metadata folder.
        files: Files in its RECORD.
        size_bytes: What they should weigh.
        chunks: Activities it takes to check them; 0 if it came without a RECORD.
    """

    key: str
    path: str
    files: int
    size_bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One line of a RECORD: ``hash`` is ``sha256=...`` or empty, ``size_bytes`` may be unknown."""

    path: str
    hash: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Files that one activity checks; their paths are relative to ``root``."""

    root: str
    files: list[RecordedFile]


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not as it should be."""

    path: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many files got which verdict."""

    ok: int = 0
    changed: int = 0
    missing: int = 0
    unreadable: int = 0
    unverifiable: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def total(self) -> int:
        """All files."""
        return self.ok + self.changed + self.missing + self.unreadable + self.unverifiable


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What one activity found."""

    tally: Tally
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class DistributionReport:
    """What one sub-orchestration found."""

    key: str
    tally: Tally
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Progress:
    """Custom status of the whole audit."""

    distributions_done: int
    distributions: int
    files_done: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Result of the whole audit.

    Attributes:
        distributions: How many were checked.
        without_record: Those that came without a RECORD, so that nothing can be said about them.
        tally: Files by verdict.
        findings: Files that are not as they should be.
    """

    distributions: int
    without_record: list[str]
    tally: Tally
    findings: list[Finding]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings
