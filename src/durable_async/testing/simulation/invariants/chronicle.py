"""Chronicle: what the commits of a run add up to, execution by execution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import (
    ClaimedInstance,
    HistoryPage,
    HistoryRow,
    Mail,
    NewInstance,
    TurnCommit,
)

from ._calls import Call
from .executions import Execution
from .requests import Requests, firsts
from .rows import Change, Row
from .uses import check_answers, check_use

Changes: TypeAlias = Mapping[str, Change]


class Chronicle:
    """Follows the calls of one run.

    Args:
        requests: Is told of each execution that begins.

    Attributes:
        executions: All that there were, by id and number.
        excused: Instances that are not followed.
    """

    def __init__(self, requests: Requests) -> None:
        self.executions: dict[tuple[str, int], Execution] = {}
        self.excused: set[str] = set()
        self._requests = requests

    def follow(self, call: Call, changes: Changes, repeated: set[str]) -> None:
        """Take in a call; on a store in memory, with what it has changed.

        Args:
            call: The call.
            changes: What became of the instances that it was about.
            repeated: Ids of requests that were answered before.

        Raises:
            Violation: It cannot follow what is there.
        """
        match call.verb:
            case "commit":
                self._follow_commit(call, changes)
            case "create":
                self._follow_starts(call, repeated)
            case "rewrite" if call.answer:
                for rewrite in call.args[0]:
                    self._begin_next(rewrite.instance_id, rewrite.execution + 1, rewrite.events)
            case "fetch":
                for claimed in call.answer.claimed:
                    self._follow_claim(claimed)
            case "read_history":
                self._follow_page(call, call.answer)
            case _:
                pass

    def _follow_commit(self, call: Call, changes: Changes) -> None:
        turns = list(call.turns())
        for turn in turns:
            self._follow_turn(call, turn, changes.get(turn.instance_id))
        for turn in turns:
            self._follow_children(turn, changes)

    def _follow_starts(self, call: Call, repeated: set[str]) -> None:
        for new, answer in firsts(call.args[0], call.answer, repeated):
            if answer.created:
                self._begin(new.instance_id, answer.execution, new.events)

    def _follow_turn(self, call: Call, turn: TurnCommit, change: Change | None) -> None:
        instance_id = turn.instance_id
        if instance_id in self.excused:
            return
        before = None if change is None else change.before
        taken: list[Mail] = []
        if before is not None:
            taken = [before.mailbox[one] for one in turn.consumed if one in before.mailbox]
        if instance_id.startswith(ENTITY_MARK):
            check_answers(call, turn, taken)
            return
        execution = self.executions.get((instance_id, turn.execution))
        if execution is None:
            return  # a child's, which a claim has not told of
        pending = dict(execution.pending)
        events = execution.extend(turn, call.now_us)
        self._check_stored(execution, change)
        if before is not None:
            check_use(turn, events, taken, pending)
        if turn.next_execution is not None:
            self._begin_next(instance_id, turn.execution + 1, turn.next_execution.events)

    @staticmethod
    def _check_stored(execution: Execution, change: Change | None) -> None:
        after = None if change is None else change.after
        if after is not None and after.execution == execution.execution:
            execution.check_all_rows(after.history)

    def _follow_children(self, turn: TurnCommit, changes: Changes) -> None:
        for child in turn.children:
            change = changes.get(child.instance_id)
            if change is None or change.after is None:
                continue
            before = 0 if change.before is None else change.before.execution
            is_new = change.after.execution != before
            if is_new and _began_with(change.after, child):  # two may have wanted the same id
                self._begin_next(child.instance_id, change.after.execution, child.events)

    def _follow_claim(self, claimed: ClaimedInstance) -> None:
        instance_id = claimed.instance_id
        if instance_id.startswith(ENTITY_MARK) or instance_id in self.excused:
            return
        execution = self.executions.get((instance_id, claimed.execution))
        if execution is None:
            self._begin_next(instance_id, claimed.execution, claimed.history[0].events)
        elif claimed.more_history:
            execution.check_rows(claimed.history)
        else:
            execution.check_all_rows(claimed.history)

    def _follow_page(self, call: Call, page: HistoryPage) -> None:
        execution = self.executions.get((call.args[0], page.execution))
        if execution is not None and call.args[0] not in self.excused and page.rows:
            execution.check_rows(page.rows, begin=call.options.get("after_turn", -1) + 1)

    def _begin(self, instance_id: str, execution: int, events: bytes) -> None:
        first = HistoryRow(turn=0, events=events)
        self.executions[instance_id, execution] = Execution(instance_id, execution, first)

    def _begin_next(self, instance_id: str, execution: int, events: bytes) -> None:
        self._requests.begin(instance_id, execution)
        self._begin(instance_id, execution, events)


def _began_with(row: Row, child: NewInstance) -> bool:
    return bool(row.history) and row.history[0].events == child.events
