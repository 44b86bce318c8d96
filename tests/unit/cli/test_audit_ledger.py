from __future__ import annotations

import os
from pathlib import Path

import pytest

from durable_async.cli.audit.ledger import (
    ExecutionBegan,
    Ledger,
    ProcessEnded,
    ProcessStarted,
    note_execution,
)


def test_lines_come_back_from_another_ledger_object(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    Ledger(path).process_started(7)
    Ledger(path).execution_began("audit.a", 3)
    Ledger(path).process_ended(7, -9)

    started, began, ended = Ledger(path).read()

    assert isinstance(started, ProcessStarted)
    assert isinstance(began, ExecutionBegan)
    assert isinstance(ended, ProcessEnded)
    assert started.pid == ended.pid == 7
    assert (began.pid, began.instance_id, began.seq) == (os.getpid(), "audit.a", 3)
    assert ended.status == -9
    assert 0 < started.at_us <= began.at_us <= ended.at_us


def test_a_new_audit_begins_with_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.read() == []
    ledger.process_started(7)
    ledger.clear()
    ledger.clear()
    assert ledger.read() == []


def test_nothing_is_noted_unless_somebody_records() -> None:
    note_execution()  # would raise outside an activity if it looked for its context


def test_of_those_that_offer_to_be_killed_it_is_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.victim() is None
    assert ledger.await_kill()
    assert ledger.victim() == os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: 7)
    assert not Ledger(ledger.path).await_kill()
    assert ledger.victim() != 7
