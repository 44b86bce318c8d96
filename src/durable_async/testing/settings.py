"""Settings for workers in virtual time."""

from __future__ import annotations

from durable_async.worker import WorkerSettings

CALM = WorkerSettings(
    lease_seconds=30 * 86_400.0,
    heartbeat_seconds=86_400.0,
    sweep_seconds=86_400.0,
    poll_seconds=86_400.0,
    turn_seconds_max=86_400.0,
    stall_seconds_max=30 * 86_400.0,
)
"""A worker that hardly looks around: every look is a step of the loop, and virtual time makes a month of them at once.

Work still begins at once, since hints do not get lost in one process.
"""
