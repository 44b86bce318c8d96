"""Small stories with a crash at a call to the store: some of all those that ``./dev simulate --sweep`` goes through."""

from __future__ import annotations

import pytest

from durable_async.testing.simulation.sweep import all_crashes, try_crash
from durable_async.testing.simulation.workloads.stories import STORIES

EVERY = {"memory": 7, "sqlite": 60}


@pytest.mark.parametrize("store", EVERY)
@pytest.mark.parametrize("story", STORIES)
def test_a_story_is_told_to_its_end_whenever_somebody_dies(story: str, store: str) -> None:
    crashes = list(all_crashes([story], store=store))  # type: ignore[arg-type]
    assert len({(crash.loss.node, crash.loss.kind) for crash in crashes}) == 9
    found = {
        f"{crash.loss}": report.violation
        for crash, report in map(try_crash, crashes[list(STORIES).index(story) % 7 :: EVERY[store]])
        if report.violation
    }
    assert not found
