"""``./dev simulate``: what it says, keeps and exits with."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from durable_async.testing.simulation.__main__ import BROKEN, IDLE, NEEDED, main, missing_from
from durable_async.testing.simulation.many import Order, Totals
from durable_async.testing.simulation.plan import Action, Plan, Profile, Strike
from durable_async.testing.simulation.sweep import plan_of
from durable_async.testing.simulation.workloads import WORKLOADS

FAULT = "timers-early"


def test_a_seed_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "steps.txt"
    assert main(["--seed", "3", "--trace", str(trace)]) == 0
    said = capsys.readouterr().out
    assert "seed 3 on memory" in said
    assert "all that was promised held" in said
    assert trace.read_text(encoding="utf-8").count("\n") > 100


def test_several_seeds_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "5-7", "--workload", "stories"]) == 0
    said = capsys.readouterr().out
    assert "3 runs in" in said
    assert "workloads: stories 3" in said


def test_nothing_played_proves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0"]) == IDLE
    assert "too little" in capsys.readouterr().out


def test_each_fault_and_each_workload_has_to_have_its_turn() -> None:
    totals = Totals(runs=1_000, acknowledged=1_000_000)
    names = [kind.name for kind in WORKLOADS]
    missing = missing_from(totals, Order())
    assert missing == [f"no {what}" for what in (*NEEDED, *names)]
    totals.counts.update(NEEDED)
    assert missing_from(totals, Order(workload="bank")) == ["no bank"]
    totals.workloads.update(names)
    assert missing_from(totals, Order()) == []


def test_a_fault_is_found_kept_and_made_small(tmp_path: Path) -> None:
    plan = plan_of("retry")
    plan = msgspec.structs.replace(
        plan,
        actions=(*plan.actions, Action(1.0, 1, "stories", "fan", {"id": "another"})),
        strikes=(Strike(2.0, "kill", "w1", 0.5), Strike(3.0, "deafness", "c1", 2.0)),
        profile=Profile(latency=0.01, hints_lost=0.1),
    )
    big, small = tmp_path / "big.json", tmp_path / "shrunk.json"
    big.write_bytes(plan.to_json())
    assert main(["--plan", str(big)]) == 0
    options = ["--planted", FAULT, "--shrink", "--keep", str(tmp_path)]
    assert main(["--plan", str(big), *options]) == BROKEN
    found = Plan.from_json(small.read_bytes())
    assert [action.kind for action in found.actions] == ["retry"]
    assert found.strikes == ()
    assert found.profile == Profile()
    assert main(["--plan", str(small), "--planted", FAULT]) == BROKEN
    assert main(["--plan", str(small)]) == 0


def test_seeds_that_fail_are_kept(tmp_path: Path) -> None:
    options = ["--workload", "stories", "--planted", FAULT, "--failures", "1", "--keep"]
    assert main(["--seeds", "20", *options, str(tmp_path)]) == BROKEN
    (kept,) = tmp_path.iterdir()
    assert main(["--plan", str(kept), "--planted", FAULT]) == BROKEN


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to play"),
        (["--seeds", "x"], "'x' is no number"),
        (["--plan", "nowhere.json"], "nowhere.json"),
        (["--plan", "{folder}/cut.json"], "cut.json"),
        (["--seeds", "2", "--jobs", "0"], "at least 1"),
        (["--seeds", "2", "--trace", "steps.txt"], "go with --seed or --plan"),
        (["--planted", "nothing"], "no such fault: nothing; there are "),
        (["--planted", "all", "--seed", "1"], "one fault at a time"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.json").write_text('{"seed": 1, "work')
    with pytest.raises(SystemExit) as refused:
        main([argument.format(folder=tmp_path) for argument in arguments])
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
