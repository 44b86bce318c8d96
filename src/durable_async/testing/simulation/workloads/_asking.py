"""Asking: what workloads ask about ids that several clients fight over, and what they are told; `_lives` judges it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from durable_async.client import Client, OrchestrationHandle
from durable_async.errors import InstanceExistsError, InstanceNotFoundError, InvalidTransitionError
from durable_async.model.policy import ReusePolicy
from durable_async.testing.simulation.stage import Stage, Unknown
from durable_async.testing.simulation.violations import Violation

from ._lives import (
    CHANGING,
    CREATED,
    DONE,
    FOUND,
    NOT_FOUND,
    REFUSED,
    Answer,
    Call,
    Nature,
    unexplained,
)

INVARIANTS = {
    "start": "I16", "restart": "I16", "rewind": "I4", "purge": "I15", "terminate": "I15", "suspend": "I12", "resume": "I12",
    "raise": "I12", "get": "I18",
}  # fmt: skip
"""Which one an answer breaks that nothing explains, by what was asked."""


class Start:
    """A start as a plan has it, so that whoever repeats it asks for the same.

    Attributes:
        orchestrator: What to start.
        given: Its input, which has its label.
        instance_id: The id.
        nature: What its code may do.
        reuse: The reuse policy.
        request: The id of the request.
    """

    def __init__(self, orchestrator: Any, args: dict[str, Any], nature: Nature) -> None:
        self.orchestrator = orchestrator
        self.given: dict[str, Any] = args["given"]
        self.instance_id: str = args["id"]
        self.nature = nature
        self.reuse = ReusePolicy(args["reuse"])
        self.request: str = args["request"]


class Questions:
    """All that was asked about ids in one run.

    Attributes:
        calls: By id, in the order of asking.
    """

    def __init__(self, stage: Stage) -> None:
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self._natures: dict[str, dict[str, Nature]] = defaultdict(dict)
        self._stage = stage
        self._starts: dict[str, tuple[Start, Call]] = {}

    async def start(self, start: Start, client: Client) -> OrchestrationHandle[Any] | None:
        """Start something, until there is an answer; return the handle, if the answer is one.

        Raises:
            Violation: The request was answered otherwise before.
        """
        label = start.given["label"]
        if start.request not in self._starts:
            self._natures[start.instance_id][label] = start.nature
            call = Call("start", self._stage.tick(), label, start.reuse)
            self._starts[start.request] = start, call
            self.calls[start.instance_id].append(call)
        call = self._starts[start.request][1]

        async def ask() -> OrchestrationHandle[Any] | None:
            handle, answer = await _start(start, client)
            if call.told is not None and call.answer != answer:
                raise Violation(
                    "I16",
                    "one request has two answers",
                    where=start.instance_id,
                    first=call.answer,
                    then=answer,
                )
            call.tell(answer, self._stage.tick())
            return handle

        return await self._stage.persist(ask)

    async def find_out(self, client: Client) -> None:
        """Repeat those starts whose clients were killed before they heard the answer."""
        for start, call in list(self._starts.values()):
            if call.told is None:
                await self.start(start, client)

    async def ask(self, verb: str, instance_id: str, call: Callable[[], Awaitable[Answer]]) -> bool:
        """Ask once, and note the answer, if there is one; tell whether there was.

        Args:
            verb: As in ``_lives.effects``.
            instance_id: About what.
            call: Asks, and puts the answer into words.
        """
        asked = Call(verb, self._stage.tick())
        self.calls[instance_id].append(asked)
        answer = await self._stage.once(lambda: _in_words(call))
        if isinstance(answer, Unknown):
            return False
        asked.tell(answer, self._stage.tick())
        return True

    def check(self) -> None:
        """Look for a course of events that explains all answers.

        Raises:
            Violation: There is none.
        """
        for instance_id, calls in self.calls.items():
            self._mark_vague(instance_id)
            wrong = unexplained(calls, self._natures[instance_id])
            if wrong is not None:
                raise Violation(
                    INVARIANTS[wrong.verb],
                    f"nothing explains the answer to {wrong.verb}",
                    where=instance_id,
                    answer=wrong.answer,
                    calls=[_brief(call) for call in calls],
                )

    def _mark_vague(self, instance_id: str) -> None:
        """Mark rewinds of what may go on without a trace of them: as the next execution, or as another life."""
        calls = self.calls[instance_id]
        is_followed = len(self._natures[instance_id]) > 1 or any(
            call.verb in {"purge", "restart"} for call in calls
        )
        renews = any(nature.renewals for nature in self._natures[instance_id].values())
        for call in calls:
            call.is_vague = call.verb == "rewind" and (is_followed or renews)


async def _start(start: Start, client: Client) -> tuple[OrchestrationHandle[Any] | None, Answer]:
    try:
        handle = await client.start(
            start.orchestrator,
            start.given,
            instance_id=start.instance_id,
            reuse=start.reuse,
            request_id=start.request,
        )
    except InstanceExistsError as error:
        return None, ("exists", error.status)
    return handle, CREATED if handle.created else FOUND


async def _in_words(call: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        return await call()
    except InstanceNotFoundError:
        return NOT_FOUND
    except InstanceExistsError as error:
        return ("exists", error.status)
    except InvalidTransitionError as error:
        return CHANGING if error.status == CHANGING else REFUSED


async def done(call: Awaitable[Any]) -> Answer:
    """Say that something was done, if it was."""
    await call
    return DONE


async def created(call: Awaitable[Any]) -> Answer:
    """Say that something was started, if it was."""
    await call
    return CREATED


def _brief(call: Call) -> str:
    name = f"{call.verb} {call.label} {call.reuse.value}" if call.label else call.verb
    return f"{call.asked} to {call.told}: {name}: {call.answer}"
