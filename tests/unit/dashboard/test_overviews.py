"""The last hour, counted as far as it may cost."""

from __future__ import annotations

import pytest

from durable_async.dashboard import _overviews
from durable_async.dashboard._overviews import MINUTES, Overviews

from .house import Browser, dashboard, opened


async def test_what_began_and_ended_is_counted_in_its_minute() -> None:
    async with opened() as hub:
        for name in ("welcome", "raising"):
            handle = await hub.client.start(name, "x")
            await hub.client.wait_for_end(handle)
        stopped = await hub.client.start("approval", {})
        await hub.client.terminate(stopped.instance_id)
        await hub.client.wait_for_end(stopped)
        pulse = await Overviews(hub).pulse.get()
    assert len(pulse.started) == MINUTES
    assert sum(pulse.started) == sum(pulse.started[-2:]) == 3
    assert [sum(one) for one in (pulse.completed, pulse.failed, pulse.terminated)] == [1, 1, 1]
    assert pulse.seen_from is None


async def test_of_too_many_the_latest_are_counted_and_it_is_said_since_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_overviews, "PULSE_PAGE", 1)
    monkeypatch.setattr(_overviews, "PULSE_INSTANCES_MAX", 2)
    async with opened() as hub:
        for instance_id in ("a", "b", "c"):
            await hub.client.start("approval", {}, instance_id=instance_id)
        pulse = await Overviews(hub).pulse.get()
        second = await hub.client.get("b")
        assert second is not None
        assert sum(pulse.started) == 2
        assert pulse.seen_from == second.created_at
        assert "There is more than is counted here" in await Browser(dashboard(hub)).get("/")
