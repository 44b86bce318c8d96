"""Gathering: callers that come while a call is on its way share the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from durable_async.errors import BackendError, OverloadedError

RETURN_TURNS = 2
"""So many turns of the event loop those get who were just answered, to ask again: one is enough for who awaits answer after
answer, the second for who makes a task of each question."""

Q = TypeVar("Q")
A = TypeVar("A")


class _Request(Generic[Q, A]):
    __slots__ = ("answer", "error", "leads", "question", "settled", "woken")

    def __init__(self, question: Q) -> None:
        self.question = question
        self.answer: A | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.settled = False
        self.woken: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let who asked go on, if he waits."""
        if self.woken is not None and not self.woken.done():
            self.woken.set_result(None)


class Gatherer(Generic[Q, A]):
    """Turns single questions into calls with many.

    The first caller makes the call at once; those who come meanwhile wait, and one of them makes the next call for all. Before
    it does, it lets those ask again who have just been answered: senders in a closed loop all share one call. A single caller
    waits for nobody. A caller that is cancelled leaves the others unharmed: if it was making the call, they ask again, so
    questions must bear to be asked twice.

    Args:
        call: Answers many questions, in order.
        at_once: The most questions of one call.
        waiting_max: The most callers that may wait.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        at_once: int = 500,
        waiting_max: int = 100_000,
    ) -> None:
        self._call = call
        self._at_once = at_once
        self._waiting_max = waiting_max
        self._waiting: deque[_Request[Q, A]] = deque()
        self._busy = False
        self._company = 1

    async def ask(self, question: Q) -> A:
        """Return the answer to one question.

        Raises:
            OverloadedError: Too many callers wait.
        """
        if len(self._waiting) >= self._waiting_max:
            raise OverloadedError("the line of waiting calls", self._waiting_max)
        request: _Request[Q, A] = _Request(question)
        self._waiting.append(request)
        if self._busy:
            request.woken = asyncio.get_running_loop().create_future()
            try:
                await request.woken
            except BaseException:
                self._leave(request)
                raise
        else:
            self._busy = True
            request.leads = True
        if request.leads and not request.settled:
            await self._lead(request)
        if request.error is not None:
            raise request.error
        return request.answer  # type: ignore[return-value]

    def _leave(self, request: _Request[Q, A]) -> None:
        """Let a caller go who was cancelled while he waited."""
        self._withdraw(request)
        if request.leads:
            self._pass_on()

    async def _lead(self, request: _Request[Q, A]) -> None:
        batch: list[_Request[Q, A]] = []
        try:
            await self._await_company()
            batch = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
            with anyio.CancelScope(shield=True):
                await self._answer(batch)
        except BaseException:
            # A task that is cancelled by asyncio's own means is not held by the shield: the others ask again.
            self._withdraw(request)
            self._waiting.extendleft(one for one in reversed(batch) if not one.settled)
            raise
        finally:
            self._company = len(batch) + len(self._waiting)
            self._pass_on()

    async def _await_company(self) -> None:
        """Wait, not for long, until there are as many as there were when the last call ended: answered by it, and waiting."""
        company = min(self._company, self._at_once)
        for _ in range(RETURN_TURNS):
            if len(self._waiting) >= company:
                return
            await checkpoint()

    def _withdraw(self, request: _Request[Q, A]) -> None:
        request.settled = True  # for nobody: it must not be put in line again
        if request in self._waiting:
            self._waiting.remove(request)

    async def _answer(self, batch: list[_Request[Q, A]]) -> None:
        try:
            answers = await self._call([request.question for request in batch])
        except BackendError as error:
            if len(batch) > 1 and not error.retryable:
                for request in batch:  # one of them cannot be written; the others are not to suffer
                    await self._answer([request])
                return
            for request in batch:
                self._settle(request, None, error)
        except Exception as error:  # noqa: BLE001 - it belongs to those who asked
            for request in batch:
                self._settle(request, None, error)
        else:
            for request, answer in zip(batch, answers, strict=True):
                self._settle(request, answer, None)

    def _settle(
        self, request: _Request[Q, A], answer: A | None, error: BaseException | None
    ) -> None:
        request.answer = answer
        request.error = error
        request.settled = True
        woken = request.woken  # as in wake, without a call for each
        if woken is not None and not woken.done():
            woken.set_result(None)

    def _pass_on(self) -> None:
        if self._waiting:
            following = self._waiting[0]
            following.leads = True
            following.wake()
        else:
            self._busy = False
