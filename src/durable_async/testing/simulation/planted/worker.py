"""Faults of a worker: when it acts, what it believes, and what it forgets."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import anyio
import msgspec

from durable_async._engine import fold
from durable_async.errors import BackendUnavailableError
from durable_async.model.history import ExecutionTerminated
from durable_async.model.records import CommitResult, Fence
from durable_async.worker import _session
from durable_async.worker._committer import Committer
from durable_async.worker._conversations import Conversations
from durable_async.worker._drafts import Draft
from durable_async.worker._session import Session
from durable_async.worker._slots import Slot
from durable_async.worker._turns import Turns

from ._planting import Patch, answers, plants


@plants(
    "trusts-hints",
    breaks="a worker looks for work when it hears of some, and at no other time",
    rule="P14",
    caught_by="I14",
    first_seed=3,
)
def _trusts_hints(patch: Patch) -> None:
    async def listen(session: Session, seconds: float, next_ready_us: int | None) -> bool:
        await session._hint.wait()
        return True

    patch.put(Session, "_listen", listen)


@plants(
    "take-over-at-start-only",
    breaks="a worker looks for dead ones when it starts, and never again",
    rule="P35",
    caught_by="I14",
    first_seed=14,
)
def _take_over_at_start_only(patch: Patch) -> None:
    async def sweep(session: Session) -> None:
        while True:
            try:
                await session._backend.take_over(session._tools.committer.fence)
            except BackendUnavailableError:
                await anyio.sleep(0.1)
            else:
                await anyio.sleep_forever()

    patch.put(Session, "_sweep_forever", sweep)


@plants(
    "own-clock",
    breaks="turns go by the clock of the worker's machine, and not by that of the store",
    rule="P18",
    caught_by="I13",
    first_seed=2,
)
def _own_clock(patch: Patch) -> None:
    def look(turns: Turns) -> None:
        tools = turns._tools
        # A clock that is behind only makes it busy.
        turns._now_us = max(tools.environment.now_us(), tools.backend.now_us())

    patch.put(Turns, "_look_at_the_clock", look)


@plants(
    "activities-before-the-commit",
    breaks="an activity begins when its call is decided, before that is durable",
    rule="P6",
    caught_by="I6",
    first_seed=0,
)
def _activities_before_the_commit(patch: Patch) -> None:
    submit = vars(Turns)["submit"]

    def submit_and_begin(turns: Turns, draft: Draft) -> None:
        submit(turns, draft)
        for future in draft.begins:
            turns.calls.start(draft.slot, future)
        draft.begins = ()

    patch.put(Turns, "submit", submit_and_begin)


@plants(
    "blind-retry",
    breaks="a commit whose answer was lost is sent again with a fresh fence, whether or not it landed",
    rule="P2",
    caught_by="I2 I5",
    first_seed=2,
)
def _blind_retry(patch: Patch) -> None:
    async def look_up(committer: Committer, fence: Fence, items: Any) -> CommitResult | None:
        committer.fence = await committer._read_fence(fence)
        return None

    patch.put(Committer, "_look_up", look_up)


@plants(
    "believes-in-commits",
    breaks="a commit whose answer was lost is taken to have landed",
    rule="P5",
    caught_by="I2 I4 I14 I20",
    first_seed=2,
)
def _believes_in_commits(patch: Patch) -> None:
    async def look_up(committer: Committer, fence: Fence, items: Any) -> CommitResult | None:
        found = await committer._read_fence(fence)
        return CommitResult(fence=found)

    patch.put(Committer, "_look_up", look_up)


@plants(
    "keeps-what-was-dropped",
    breaks="a worker goes on with an instance whose turn was left out",
    rule="P5",
    caught_by="I9 I14 I20",
    first_seed=473,
)
def _keeps_what_was_dropped(patch: Patch) -> None:
    answered = vars(Turns)["_answered"]

    def take_for_granted(turns: Turns, draft: Draft, dropped: bool) -> None:
        answered(turns, draft, False)

    patch.put(Turns, "_answered", take_for_granted)


@plants(
    "forgets-letters-early",
    breaks="a worker forgets which letters it took as soon as that is durable, though an answer on its way may tell of them",
    rule="P3",
    caught_by="I2",
    first_seed=22,
)
def _forgets_letters_early(patch: Patch) -> None:
    answered = vars(Turns)["_answered"]

    def answered_and_forgotten(turns: Turns, draft: Draft, dropped: bool) -> None:
        answered(turns, draft, dropped)
        turns.forget_consumed()

    patch.put(Turns, "_answered", answered_and_forgotten)


@plants(
    "never-parks",
    breaks="what kills its workers is tried for ever",
    rule="P34",
    caught_by="I17",
    first_seed=35,
)
def _never_parks(patch: Patch) -> None:
    adopt = vars(_session)["adopt"]

    async def adopt_patiently(claimed: Any, *rest: Any) -> None:
        await adopt(msgspec.structs.replace(claimed, attempts=1), *rest)

    patch.put(_session, "adopt", adopt_patiently)


@plants(
    "letters-overtake",
    breaks="a letter to somebody who is warm here is handed over, although an earlier one is still on its way through the store",
    rule="P11",
    caught_by="I9 I11",
    first_seed=29,
)
def _letters_overtake(patch: Patch) -> None:
    may_hear = vars(Conversations)["_may_hear"]

    def may_hear_at_once(talk: Conversations, slot: Slot) -> bool:
        talk._tools.fetches.owed.clear()
        heard: bool = may_hear(talk, slot)
        return heard

    patch.put(Conversations, "_may_hear", may_hear_at_once)
    patch.put(Conversations, "_may_speak", answers(True))


@plants(
    "half-a-set-of-locks",
    breaks="locks are given in a conversation although not all of the set are free here",
    rule="P29",
    caught_by="I9",
    first_seed=148,
)
def _half_a_set_of_locks(patch: Patch) -> None:
    patch.put(Conversations, "_refused", answers(frozenset[int]()))


@plants(
    "untaken-letters-lost",
    breaks="a letter that was handed over and not taken does not go through the store instead",
    rule="P6",
    caught_by="I1 I2 I14",
    first_seed=3,
)
def _untaken_letters_lost(patch: Patch) -> None:
    patch.put(Conversations, "_take_back", answers(None))


@plants(
    "groups-come-apart",
    breaks="turns that answer each other are committed, but not all or none of them",
    rule="P6",
    caught_by="I1 I2 I14",
    first_seed=2,
)
def _groups_come_apart(patch: Patch) -> None:
    submit = vars(Conversations)["_submit"]

    def submit_apart(talk: Conversations, drafts: Any) -> None:
        talk._groups = repeat(0)  # type: ignore[assignment]
        submit(talk, drafts)

    patch.put(Conversations, "_submit", submit_apart)


@plants(
    "terminate-spares-children",
    breaks="what is terminated leaves its sub-orchestrations going",
    rule="P27",
    caught_by="I1 I15",
    first_seed=34,
)
def _terminate_spares_children(patch: Patch) -> None:
    end = vars(fold)["_end"]

    def end_alone(course: Any, outcome: Any) -> Any:
        if isinstance(outcome, ExecutionTerminated):
            outcome = msgspec.structs.replace(outcome, recursive=False)
        return end(course, outcome)

    patch.put(fold, "_end", end_alone)


@plants(
    "ends-told-early",
    breaks="who waits in the worker's process is told of an end before that is durable",
    rule="P6",
    caught_by="I18",
    first_seed=1,
)
def _ends_told_early(patch: Patch) -> None:
    submit = vars(Turns)["submit"]

    def tell_and_submit(turns: Turns, draft: Draft) -> None:
        turns._tell_end(draft.slot, draft.commit)
        submit(turns, draft)

    patch.put(Turns, "submit", tell_and_submit)


@plants(
    "works-on",
    breaks="a worker does not notice that its lease is over, and begins activities that others have begun",
    rule="P17",
    caught_by="I5",
    first_seed=195,
)
def _works_on(patch: Patch) -> None:
    async def watch(session: Session) -> None:
        await anyio.sleep_forever()

    patch.put(Session, "_holds_lease", answers(True))
    patch.put(Session, "_lose", answers(None))
    patch.put(Session, "_watch_lease", watch)
