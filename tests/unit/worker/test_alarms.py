"""Alarms ring when they are due, and do not pile up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from durable_async.worker._alarms import Alarms
from durable_async.worker._slots import Slots


def slot(name: str, wake_at_us: int) -> Any:
    return SimpleNamespace(
        instance_id=name, instance=SimpleNamespace(wake_at_us=wake_at_us), history_bytes=0
    )


def test_the_same_alarm_set_again_and_again_is_kept_once() -> None:
    """An instance with one far timer sets it anew after each of its turns."""
    slots = Slots()
    one = slot("one", 1_000_000_000)
    slots.add(one)
    alarms = Alarms(slots, lambda: 0)
    for turn in range(10_000):
        alarms.set(1_000_000_000, one)
        alarms.set(1_000 + turn, one)
        alarms.set(2_000_000_000, one, (1, 1, 1))
    assert len(alarms._heap) <= 2_000
    kept = {(at_us, about) for at_us, _, _, about in alarms._heap}
    assert {(1_000_000_000, None), (2_000_000_000, (1, 1, 1))} <= kept
