"""Each public name of the SDK is here what the table says: same, better, or declined."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .compare import gaps
from .page import PAGE, page
from .table import BETTER, DECLINED, ROOT, SAME, Entry, Table, count, stale_lines

# What a program of the SDK's own documentation needs; nothing of it may be declined.
PROMISED = [
    "durabletask.task.OrchestrationContext",
    "durabletask.task.ActivityContext",
    "durabletask.task.Task",
    "durabletask.task.when_all",
    "durabletask.task.when_any",
    "durabletask.task.RetryPolicy",
    "durabletask.task.FailureDetails",
    "durabletask.client.TaskHubGrpcClient",
    "durabletask.client.AsyncTaskHubGrpcClient",
    "durabletask.client.Orchestration",
    "durabletask.entities",
    "durabletask.worker.TaskHubGrpcWorker",
    "durabletask.worker.Versioning",
    "durabletask.worker.ConcurrencyOptions",
    "durabletask.serialization",
    "durabletask.payload.PayloadStore",
    "durabletask.scheduled",
    "durabletask.history",
    "durabletask.azuremanaged.client",
    "durabletask.azuremanaged.worker",
]


def test_each_name_is_what_the_table_says(names: list[Entry], ours: dict[str, Any]) -> None:
    wrong = [str(gap) for gap in gaps(names, ours["modules"])]
    reasons = {
        error for error in ours["broken"].values() if "No module named 'durabletask" not in error
    }
    assert wrong == [], reasons


def test_the_table_says_nothing_of_what_is_not(table: Table, snapshot: dict[str, Any]) -> None:
    assert stale_lines(table, snapshot["modules"]) == []


def test_every_deviation_has_a_reason_that_is_a_sentence(table: Table) -> None:
    for section in table.sections:
        assert re.fullmatch(r"[A-Z].*\.", section.about), section.pattern
        for status in (BETTER, DECLINED):
            for name, reason in section.reasons[status].items():
                assert re.fullmatch(r"[A-Z`].{20,}\.", reason), name
    assert all(re.fullmatch(r"[A-Z].*\.", why) for why in table.outside.values())


@pytest.mark.parametrize("promised", PROMISED)
def test_nothing_that_programs_live_on_is_declined(names: list[Entry], promised: str) -> None:
    meant = [entry for entry in names if entry.path.startswith(promised)]
    assert meant
    assert [entry.path for entry in meant if entry.status == DECLINED] == []


def test_the_page_is_made_from_the_table(table: Table, snapshot: dict[str, Any]) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(table, snapshot), "./dev python -m tests.compat.surface page"


def test_the_page_states_the_counts(names: list[Entry]) -> None:
    counts = count(names)
    written = PAGE.read_text(encoding="utf-8")
    for status in (SAME, BETTER, DECLINED):
        assert f"| {status} | {counts[status]:,} |" in written
    assert counts[DECLINED] < counts.total() / 5


def test_the_package_offers_the_names_that_the_sdk_does_and_loads_them_late() -> None:
    import subprocess
    import sys

    code = """
import sys, durabletask
assert len(durabletask.__all__) == 11
assert set(durabletask.__all__) <= set(dir(durabletask))
assert [name for name in sys.modules if name.startswith("durabletask.")] == []
assert "worker" in dir(durabletask) and "client" not in dir(durabletask)
for name in durabletask.__all__:
    assert getattr(durabletask, name) is vars(durabletask)[name]
for name in ("entities", "grpc_options", "internal", "payload", "serialization", "task", "worker"):
    assert getattr(durabletask, name) is sys.modules["durabletask." + name]
try:
    durabletask.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "module 'durabletask' has no attribute 'nothing'\n"


def test_links_of_the_readme_lead_somewhere() -> None:
    readme = ROOT / "compat" / "README.md"
    found = re.findall(r"\]\(([^)#]+)\)", readme.read_text(encoding="utf-8"))
    assert len(found) >= 3
    assert [link for link in found if not (readme.parent / link).exists()] == []
