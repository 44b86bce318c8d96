from __future__ import annotations

from collections import Counter

from durable_async import FailureDetails
from durable_async.cli._demo.facts import (
    AuditFacts,
    Cut,
    InstanceFacts,
    ProcessFacts,
    instance_facts,
    process_facts,
    prove,
    spells,
    unseen_ends,
)
from durable_async.cli._timeline import Span
from durable_async.cli.audit.ledger import Entry, ExecutionBegan, ProcessEnded, ProcessStarted
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    ExecutionCompleted,
    ExecutionStarted,
    TurnStarted,
)


def facts(*seqs: int, failures: dict[int, int] | None = None) -> AuditFacts:
    times = {seq: seq * 10 for seq in seqs}
    return AuditFacts([InstanceFacts("a", 1, 99, len(seqs), times, Counter(failures or {}))])


def began(pid: int, *seqs: int) -> list[Entry]:
    return [ExecutionBegan(seq, pid, "a", seq) for seq in seqs]


def calls(*seqs: int) -> set[tuple[str, int]]:
    return {("a", seq) for seq in seqs}


def test_what_follows_a_turns_start_has_its_time() -> None:
    failure = FailureDetails("E", "no")
    found = instance_facts(
        "a",
        [
            ExecutionStarted("x", None, None),
            TurnStarted(10),
            ActivityScheduled(1, "check", b""),
            ActivityScheduled(2, "check", b""),
            TurnStarted(20),
            ActivityCompleted(2, None),
            ActivityFailed(1, 1, failure, 25),
            TurnStarted(30),
            ActivityCompleted(1, None),
            ExecutionCompleted(None),
        ],
    )
    assert found == InstanceFacts("a", 10, 30, 2, {2: 20, 1: 30}, Counter({1: 1}))


def cut(recorded: set[tuple[str, int]], entries: list[Entry], pid: int) -> Cut:
    """Cut where a process was killed."""
    lines = next(
        n for n, one in enumerate(entries) if isinstance(one, ProcessEnded) and one.pid == pid
    )
    return Cut(recorded, lines)


def test_a_crash_between_two_processes() -> None:
    entries = [
        ProcessStarted(0, 7),
        *began(7, 1, 2, 3, 4),
        ProcessEnded(5, 7, -9),
        ProcessStarted(6, 8),
        *began(8, 3, 4, 5),
    ]
    proof = prove(cut(calls(1, 2), entries, 7), facts(1, 2, 3, 4, 5), entries)
    assert (proof.calls, proof.kept, proof.executed_after, proof.interrupted) == (5, 2, 3, 2)
    assert proof.undisturbed == 0
    assert proof.holds


def test_a_crash_of_one_of_two() -> None:
    entries = [
        ProcessStarted(0, 7),
        ProcessStarted(0, 8),
        *began(7, 1, 2),
        *began(8, 3, 4),
        ProcessEnded(100, 7, -9),
        ExecutionBegan(110, 8, "a", 5),
        ExecutionBegan(160, 8, "a", 2),
        ProcessEnded(200, 8, 0),
    ]
    proof = prove(cut(calls(1, 3), entries, 7), facts(1, 2, 3, 4, 5), entries)
    assert (proof.kept, proof.executed_after, proof.interrupted, proof.undisturbed) == (2, 2, 1, 1)
    assert proof.resumed_us == 60
    assert proof.holds


def test_what_a_living_process_has_in_hand_is_not_to_be_begun_by_another() -> None:
    entries = [ProcessStarted(0, 7), ProcessStarted(0, 8), *began(7, 1), *began(8, 1)]
    assert prove(Cut(), facts(1), entries).doubled == 1


def test_a_recorded_call_that_is_executed_again_is_found() -> None:
    entries = [ProcessStarted(0, 7), *began(7, 1, 2), ProcessEnded(3, 7, -9), *began(8, 2, 3)]
    proof = prove(cut(calls(1, 2), entries, 7), facts(1, 2, 3), entries)
    assert (proof.doubled, proof.holds) == (1, False)


def test_a_call_that_one_process_executes_twice_is_found() -> None:
    entries = [ProcessStarted(0, 7), *began(7, 1, 2, 2)]
    assert prove(Cut(), facts(1, 2), entries).doubled == 1
    assert prove(Cut(), facts(1, 2, failures={2: 1}), entries).doubled == 0


def test_a_process_whose_end_nobody_saw_is_gone_when_others_resume() -> None:
    before = [ProcessStarted(0, 7), *began(7, 1, 2)]
    entries = [*before, ProcessStarted(1, 8), *began(8, 2)]
    assert unseen_ends(before) == {7}
    found = prove(Cut(calls(1), len(before), {7}), facts(1, 2), entries)
    assert (found.interrupted, found.doubled, found.resumed_us) == (1, 0, None)
    assert prove(Cut(calls(1), len(before)), facts(1, 2), entries).doubled == 1


def test_a_result_without_an_execution_is_found() -> None:
    proof = prove(Cut(), facts(1, 2), [ProcessStarted(0, 7), *began(7, 1)])
    assert (proof.unseen, proof.holds) == (1, False)


def test_a_last_process_with_nothing_left_to_do_has_doubled_nothing() -> None:
    entries = [ProcessStarted(0, 7), *began(7, 1, 2), ProcessEnded(3, 7, -9), ProcessStarted(4, 8)]
    proof = prove(cut(calls(1, 2), entries, 7), facts(1, 2), entries)
    assert (proof.kept, proof.executed_after, proof.holds) == (2, 0, True)


def test_who_had_an_orchestration_in_hand() -> None:
    entries = [
        *began(7, 1, 3),
        ExecutionBegan(4, 8, "b", 1),
        ExecutionBegan(9, 8, "a", 2),
    ]
    processes = [ProcessFacts(7, 0, 1, 5, -9), ProcessFacts(8, 0, 4, 9, 0)]
    assert spells(entries, processes) == {"a": [Span(1, 5), Span(9, 9)], "b": [Span(4, 4)]}


def test_processes_by_their_lines() -> None:
    entries = [
        ProcessStarted(1, 7),
        ExecutionBegan(4, 7, "a", 1),
        ExecutionBegan(5, 7, "a", 2),
        ProcessEnded(6, 7, -9),
        ProcessStarted(8, 9),
        ExecutionBegan(9, 9, "a", 2),
    ]
    assert process_facts(entries) == [ProcessFacts(7, 1, 4, 6, -9), ProcessFacts(9, 8, 9, 9, None)]
