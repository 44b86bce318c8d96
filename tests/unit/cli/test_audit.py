"""The audit as a whole, in memory."""

from __future__ import annotations

from pathlib import Path

from durable_async import TaskHub
from durable_async.cli.audit import (
    AuditReport,
    AuditRequest,
    Finding,
    Progress,
    Tally,
    Verdict,
    audit_environment,
    recording,
    registry,
)

from .site_packages import install_some


async def audit(site: Path) -> tuple[AuditReport, Progress | None, int]:
    async with (
        TaskHub.open("memory://", registry=registry) as hub,
        hub.worker(),
    ):
        handle = await hub.client.start(audit_environment, AuditRequest([str(site)], at_a_time=2))
        report = await handle.wait(timeout=30)
        state = await hub.client.get(handle)
        assert state is not None
        children = [child async for child in hub.client.query(parent=handle)]
        return report, state.custom_status(Progress), len(children)


async def test_an_intact_environment(tmp_path: Path) -> None:
    install_some(tmp_path)
    (tmp_path / "old.egg-info").write_text("")

    report, progress, children = await audit(tmp_path)

    assert report == AuditReport(3, ["old"], Tally(ok=12, unverifiable=6), [])
    assert report.is_clean
    assert progress == Progress(3, 3, 18)
    assert children == 3


async def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    install_some(tmp_path)
    changed, missing = tmp_path / "pear/part_2.py", tmp_path / "plum/part_0.py"
    changed.write_bytes(changed.read_bytes().replace(b"2", b"3", 1))
    missing.unlink()

    report, _, _ = await audit(tmp_path)

    assert report.tally == Tally(ok=10, changed=1, missing=1, unverifiable=6)
    assert sorted(report.findings, key=lambda finding: finding.path) == [
        Finding(str(changed), Verdict.CHANGED, "same size, another sha256"),
        Finding(str(missing), Verdict.MISSING, "it was installed, and is not there"),
    ]
    assert not report.is_clean


async def test_every_execution_can_be_noted(tmp_path: Path) -> None:
    install_some(tmp_path)
    noted: list[tuple[str, int]] = []

    with recording(lambda instance_id, seq: noted.append((instance_id, seq))):
        await audit(tmp_path)

    assert len(noted) == len(set(noted)) == 1 + 3 + 3
