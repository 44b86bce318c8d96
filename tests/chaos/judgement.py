"""What `test_judgement` plays: each thing that must not be is put into records that are otherwise sound, and found."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from audit import Audit, read_audit
from bank.accounts import Ear
from bank.books import compare_talk
from checker import Verdict, check
from crowds.customers import Crowd
from everything.figures import Figures, make_figures, markdown, text
from everything.plan import SECONDS, draw, first_server_strike
from everything.quotas import POSTGRES, SQLITE, TEN_MINUTES, scaled
from faults import Fault, Times
from ledger import Entry, Ledger
from load import Acknowledged, Found
from logs import surprises
from stories import Operation, Story
from world import Findings

from durable_async import Client, Status, TaskHub
from durable_async.client import OrchestrationState

# -- plans and quotas


def test_quotas_are_those_of_ten_minutes_and_shrink_with_the_time() -> None:
    assert scaled(POSTGRES, TEN_MINUTES) == dict(POSTGRES)
    a_minute = scaled(POSTGRES, 1)
    assert (a_minute["kills"], a_minute["zombies"], a_minute["operations"]) == (10, 2, 10_000)


@pytest.mark.parametrize("quotas", [POSTGRES, SQLITE])
def test_a_plan_has_all_strikes_in_order_of_time(quotas: dict[str, int]) -> None:
    plan = draw(quotas, random.Random(1))
    assert plan == draw(quotas, random.Random(1))
    assert Counter(strike.kind for strike in plan) == {
        kind: number for kind, number in quotas.items() if kind in SECONDS
    }
    times = [strike.at for strike in plan]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert times[-1] < 1.0


def test_the_server_is_left_alone_at_first() -> None:
    plan = draw(POSTGRES, random.Random(1))
    first = first_server_strike(plan)
    before = {strike.kind for strike in plan if strike.at < first}
    assert first > 0.3
    assert "kills" in before
    assert "crashes" not in before


# -- logs


def log_of(folder: Path, *lines: str) -> Path:
    log = folder / "worker-1.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    return log


def record(level: str, message: str) -> str:
    return f"2026-01-01 00:00:00,123.123 77 {level} {message}"


def test_what_is_known_surprises_nobody(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        record("INFO", "took over 7 instances of a dead worker"),
        record("WARNING", "can fetch work again, after 1.5 s"),
        record("WARNING", "worker 'ab12' lost its lease: why; going on under a new identity"),
        record("WARNING", "cannot register: postgres x/y (schema 's', hub 'h') does not answer: E"),
        record("WARNING", "cannot register: postgres x/y (schema 's') does not answer in time"),
    )
    assert surprises(log) == []


@pytest.mark.parametrize(
    "lines",
    [
        [record("ERROR", "Task exception was never retrieved")],
        [record("WARNING", "can fetch work again"), record("INFO", "after that")],
        ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>'],
        [record("ERROR", "x failed; it is called again"), "Traceback ...", "KeyError: 1"],
    ],
)
def test_what_is_not_known_surprises(tmp_path: Path, lines: list[str]) -> None:
    assert surprises(log_of(tmp_path, record("INFO", "begun"), *lines))[0].endswith(lines[0])


# -- the server's own ledger


def row(kind: str, at_us: int, *, worker: str = "w", process: str = "1", **more: Any) -> Any:
    return {"kind": kind, "at_us": at_us, "worker": worker, "process": process, **more}


def commit(at_us: int, seq: int, *, session: int = 1, **more: Any) -> Any:
    return row("commit", at_us, seq=seq, session=session, epoch=1, **more)


def test_a_commit_that_was_sent_twice_is_found() -> None:
    assert read_audit([commit(1, 1), commit(2, 2)], []).broken == []
    assert read_audit([commit(1, 1), commit(2, 1)], []).broken
    assert read_audit([commit(1, 1), commit(2, 3)], []).broken


def test_a_zombie_that_writes_is_found() -> None:
    fault = Fault(10, process=1, identity="w")
    sound = [commit(5, 1), row("gone", 20, process="2"), row("came", 40, worker="v")]
    assert read_audit(sound, [fault]).broken == []
    late = row("turn", 30, instance="i", execution=1, turn=3)
    assert len(read_audit([*sound[:2], late, sound[2]], [fault]).broken) == 1
    assert read_audit(sound[:1], [fault]).broken, "nobody took it over"


def test_an_answer_counts_as_lost_if_its_commit_stands_and_the_next_one_came_another_way() -> None:
    audit = read_audit([commit(10, 1), commit(50, 2, session=2), commit(90, 3, session=2)], [])
    assert audit.has_landed(1, 20)
    assert audit.has_landed(1, 51), "noted a moment late"
    assert not audit.has_landed(1, 95)
    assert not audit.has_landed(2, 20)


# -- customers and stories


def test_what_was_said_and_not_heard_or_heard_twice_is_found() -> None:
    found = Found()
    compare_talk("t0", Ear({"a": 3}), {"a": 3}, found)
    assert (found.lost, found.doubled) == ([], [])
    ear = Ear()
    for number in (1, 2, 2):
        ear.hear("a", number)
    compare_talk("t0", ear, {"a": 3}, found)
    assert len(found.lost) == len(found.doubled) == 1


async def test_what_customers_know_comes_back_from_another_process() -> None:
    async with TaskHub.open("memory://") as hub:
        crowd = Crowd(hub.client, "ledger", customers=1, seed=1, name="c-")
        crowd.said["c-crowd-0"] = Counter(t0=2)
        copy = pickle.loads(pickle.dumps(crowd))
        found = await copy.examine(hub, {}, [])
    assert not any(isinstance(value, Client) for value in vars(copy).values())
    assert found.lost == ["t0: heard 0 of c-crowd-0 instead of 2"]


def story(status: Status = Status.COMPLETED) -> Story:
    state = OrchestrationState.__new__(OrchestrationState)
    for name, value in {"status": status, "parked": None, "parent_instance_id": None}.items():
        object.__setattr__(state, name, value)
    return Story(state, turns_us=[10])


def judged(ledger: dict[str, list[Entry]], *faults: Fault, story: Story, **results: Any) -> Verdict:
    verdict = Verdict()
    acknowledged = Acknowledged(results=results)
    check(verdict, acknowledged, {"i": story}, Ledger(began=ledger), list(faults))
    return verdict


def test_a_story_that_does_not_end_or_ends_for_nobody_is_found() -> None:
    assert not any(judged({}, story=story(), i=1).broken)
    assert judged({}, story=story(Status.RUNNING), i=1).stuck
    assert judged({}, story=story()).doubled
    assert judged({}, story=story(), i=1, j=2).lost


def test_an_activity_that_ran_twice_for_no_reason_is_found() -> None:
    sound = story()
    sound.activities[1] = Operation(10, "k", outcomes_us=[90])
    once = {"k": [Entry(20, 7)]}
    twice = {"k": [Entry(20, 7), Entry(60, 8)]}
    kill = Fault(50, frozenset({7}), until_us=51)
    assert not any(judged(once, story=sound, i=1).broken)
    assert not any(judged(twice, kill, story=sound, i=1).broken)
    assert judged(twice, story=sound, i=1).repeated
    assert judged({}, story=sound, i=1).lost
    sound.activities[1].outcomes_us.append(95)
    assert judged(once, story=sound, i=1).doubled


# -- the judgement of a run

WANTED = {"kills": 2, "fenced": 1, "lost-answers": 3, "operations": 10}


def figures_of(
    *, kills: int = 2, fenced: int = 1, landed: int = 3, operations: int = 10, **more: Any
) -> Figures:
    findings = Findings(
        verdict=more.get("verdict", Verdict()),
        times=Times(more.get("times", {"kills": [0.5, 0.6]})),
        faults=[],
        audit=Audit(),
        surprises=more.get("surprises", []),
        notes={"fenced": fenced, "answers_lost_and_landed": landed, **more.get("notes", {})},
    )
    return make_figures(
        "everything",
        seed=1,
        minutes=1,
        seconds=60.0,
        limits={"kills": (1.0, 2.0)},
        quotas=WANTED,
        injected=Counter(kills=kills),
        operations={"start": operations},
        findings=findings,
        errors=more.get("errors", []),
    )


def test_a_run_that_meets_its_quotas_is_sound() -> None:
    figures = figures_of()
    assert (figures.idle, figures.slow, figures.broken) == ([], [], [])
    assert "0 lost" in text(figures)
    assert "| kills | 2 | 0.60 | 0.60 | 1, 2 |" in markdown(figures)


@pytest.mark.parametrize(
    "short", [{"kills": 1}, {"fenced": 0}, {"landed": 2}, {"operations": 9}, {"times": {}}]
)
def test_a_run_that_falls_short_proves_nothing(short: dict[str, Any]) -> None:
    assert len(figures_of(**short).idle) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": Verdict(lost=["x"])},
        {"verdict": Verdict(stuck=["x"])},
        {"verdict": Verdict(doubled=["x"])},
        {"verdict": Verdict(repeated=["x"])},
        {"surprises": ["x"]},
        {"errors": ["x"]},
        {"notes": {"leases_lost_to_blocks": 1}},
    ],
)
def test_whatever_is_wrong_breaks_a_promise(wrong: dict[str, Any]) -> None:
    assert len(figures_of(**wrong).broken) == 1


def test_times_over_their_limits_are_slow() -> None:
    figures = figures_of(times={"kills": [1.5, 1.5, 2.5], "kills, slow": [9.0]})
    assert figures.slow == ["kills: p50 1.50 s, over 1 s", "kills: p99 2.50 s, over 2 s"]
