"""The job of ``durable-async demo``: is every installed file still what its installer put there?

A stranger can read it as an example: `model` are the values, `activities` touch the disk, `orchestrators` decide.
"""

from __future__ import annotations

from .ledger import Ledger, recording
from .model import AuditReport, AuditRequest, Distribution, Finding, Progress, Tally, Verdict
from .orchestrators import audit_distribution, audit_environment
from .registry import registry

__all__ = (
    "AuditReport",
    "AuditRequest",
    "Distribution",
    "Finding",
    "Ledger",
    "Progress",
    "Tally",
    "Verdict",
    "audit_distribution",
    "audit_environment",
    "recording",
    "registry",
)
