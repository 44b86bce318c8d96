"""What is read of an orchestration: its history, what today's code says to that, and its mailbox."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import anyio.lowlevel

from durable_async._engine.reenactment import Reenactment, WatchTurn
from durable_async.backend import Backend
from durable_async.client._reading import HISTORY_PAGE_BYTES
from durable_async.errors import CorruptHistoryError, TurnBudgetError
from durable_async.model.explanation import Stand
from durable_async.model.history import EventRaised, ExecutionStarted, HistoryEvent
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.serialization.events import decode_events, decode_letter

LETTERS_MAX = 1_000
EVENTS_AT_ONCE = 100
"""After so many events, at the end of a turn, other tasks get a chance."""


@dataclass(slots=True)
class Story:
    """The history of one execution, turn by turn, as far as it can be read."""

    execution: int = 1
    turns: list[list[HistoryEvent]] = field(default_factory=list)
    damage: str | None = None

    @property
    def started(self) -> ExecutionStarted | None:
        """What it begins with."""
        first = self.turns[0][0] if self.turns and self.turns[0] else None
        return first if isinstance(first, ExecutionStarted) else None


@dataclass(slots=True)
class Code:
    """What today's code says to a history: where it stands, or why that cannot be told."""

    unknown: str | None = None
    error: str | None = None
    reenactment: Reenactment | None = None

    @property
    def stands(self) -> tuple[Stand, ...]:
        """The places at which it stands, if that can be told."""
        return () if self.reenactment is None else self.reenactment.stands()

    @property
    def awaited_events(self) -> list[tuple[str, int]]:
        """The names of external events that it waits for, and since when."""
        return [] if self.reenactment is None else self.reenactment.awaited_events()

    def close(self) -> None:
        """Let it go."""
        if self.reenactment is not None:
            self.reenactment.close()


async def read_story(instance_id: str, backend: Backend) -> Story:
    story = Story()
    after, more, execution = -1, True, None
    while more:
        page = await backend.read_history(
            instance_id, execution=execution, after_turn=after, bytes_max=HISTORY_PAGE_BYTES
        )
        story.execution = execution = page.execution
        for row in page.rows:
            after = row.turn
            try:
                story.turns.append(decode_events(instance_id, row.events))
            except CorruptHistoryError as error:
                story.damage = str(error)
                return story
        more = page.more
    return story


async def read_mail(instance_id: str, execution: int, backend: Backend) -> tuple[int, Counter[str]]:
    """Return how many letters lie in a mailbox, and how often which event is among them."""
    mail = await backend.read_letters(instance_id, limit=LETTERS_MAX)
    raised: Counter[str] = Counter()
    for one in mail:
        with suppress(CorruptHistoryError):
            letter = decode_letter(instance_id, one.letter)
            if isinstance(letter, EventRaised) and one.execution in (None, execution):
                raised[letter.name] += 1
    return len(mail), raised


async def reenact(
    instance_id: str, story: Story, registry: Registry, payloads: DataConverter, watch: WatchTurn
) -> Code:
    started = story.started
    if story.damage is not None or started is None:
        return Code(unknown="its history cannot be read")
    if started.name not in registry.orchestrators:
        return Code(unknown=f"no orchestrator {started.name!r} is registered in this process")
    if registry.accepts is not None and registry.accepts(started.name, started.version) is not True:
        return Code(unknown=f"the version {started.version!r} is none that runs in this process")
    if len(story.turns) < 2:
        return Code(unknown="its code has not begun")
    orchestrator = registry.find_orchestrator(started.name)
    assert orchestrator is not None
    program = orchestrator.program(payloads)
    reenactment = Reenactment(instance_id, story.execution, started, program, watch)
    try:
        shown = 0
        for turn in story.turns:
            reenactment.show(turn)
            shown += len(turn)
            if shown >= EVENTS_AT_ONCE:
                shown = 0
                await anyio.lowlevel.checkpoint()
    except BaseException:
        reenactment.close()
        raise
    if reenactment.error is not None:
        error = reenactment.error
        reenactment.close()
        is_restless = isinstance(error, TurnBudgetError)
        unknown = f"its code does not {'come to rest' if is_restless else 'fit its history'}"
        return Code(unknown=unknown, error=f"{type(error).__name__}: {error}")
    return Code(reenactment=reenactment)
