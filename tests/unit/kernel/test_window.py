"""The window: taking by cursor is the same as taking the first equal command out of a list."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from hypothesis import given, strategies as st

from durable_async._kernel.window import Window
from durable_async.model.history import (
    ActivityCompleted,
    ActivityScheduled,
    ExecutionRewound,
    HistoryEvent,
    TimerCreated,
    TurnStarted,
)

CONTENT: dict[type[Any], Any] = {
    ActivityScheduled: attrgetter("name", "input"),
    TimerCreated: attrgetter("fire_at_us"),
}

names = st.sampled_from("ab")
entries = st.one_of(
    st.builds(ActivityScheduled, st.integers(1, 9), names, st.sampled_from([b"1", b"2"])),
    st.builds(TimerCreated, st.integers(1, 9), st.integers(1, 2)),
    st.just(ExecutionRewound()),
)
commands = entries.filter(lambda entry: not isinstance(entry, ExecutionRewound))


class Model:
    """A list of what is left, gone through from the start."""

    def __init__(self, events: list[HistoryEvent], begin: int) -> None:
        self.open_end = False
        self.commands: list[Any] = []
        for index in range(begin, len(events)):
            event = events[index]
            if isinstance(event, (TurnStarted, ActivityCompleted)):
                return
            if not isinstance(event, ExecutionRewound):
                self.commands.append(event)
        self.open_end = bool(events) and isinstance(events[-1], ExecutionRewound)

    def take(self, command: Any) -> Any:
        content = CONTENT[type(command)]
        for index, entry in enumerate(self.commands):
            if type(entry) is type(command) and content(entry) == content(command):
                return self.commands.pop(index)
        return None


@given(
    before=st.lists(entries, max_size=2),
    inside=st.lists(entries, max_size=8),
    behind=st.lists(
        st.sampled_from([TurnStarted(1), ActivityCompleted(1, b"1"), ExecutionRewound()]),
        max_size=2,
    ),
    issued=st.lists(st.tuples(commands, st.booleans()), max_size=10),
)
def test_a_window_is_a_list_of_the_commands_before_the_next_input(
    before: list[Any], inside: list[Any], behind: list[Any], issued: list[tuple[Any, bool]]
) -> None:
    events = [*before, *inside, *behind]
    window, model = Window(), Model(events, len(before))
    window.look_at(events)
    window.cursor = len(before)

    for command, directly in [*issued, *((entry, True) for entry in model.commands.copy())]:
        taken = None
        if directly and isinstance(command, ActivityScheduled):
            taken = window.take_activity(command.name, command.input)
        if taken is None:
            taken = window.take(command, CONTENT[type(command)])

        assert taken is model.take(command)
        assert list(window.left()) == model.commands
        assert window.is_empty == (not model.commands)
        assert window.goes_on == (not model.commands and model.open_end)

    assert window.is_empty
    rest = events[window.cursor :]
    assert rest == [] or isinstance(rest[0], (TurnStarted, ActivityCompleted))
