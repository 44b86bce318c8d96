"""How an orchestrator is conducted: a generator that yields tasks, an ``async def`` that awaits them, or a plain function.

It runs as a coroutine of durable_async's deterministic loop. The code of the program decides by its tasks alone what is waited for, so
that one history fits all three forms.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import durable_async
from durable_async import unsafe_nondeterminism
from durabletask.internal.json_encode_output_exception import JsonEncodeOutputException
from durabletask.internal.type_discovery import discover_input_type
from durabletask.task import Task

from .contexts import RuntimeContext
from .failures import RecordedError
from .rules import Rules

WAITS_MAX = 100
"""So often code that is left may wait on its way out; what catches everything for ever is let go."""

Code = Callable[[durable_async.OrchestrationContext, Any], Coroutine[Any, Any, Any]]


def orchestrator_code(function: Callable[..., Any], rules: Rules) -> Code:
    """Return a program's orchestrator as durable_async runs it: texts in, texts out."""
    into = discover_input_type(function, rules.converter, skip=1)

    async def conduct(native: durable_async.OrchestrationContext, text: Any = None) -> Any:
        context = RuntimeContext(native, rules)
        with unsafe_nondeterminism():  # what the program does beside its tasks is its own affair
            output = await _outcome(function, context, text, into)
        following = context.continuation
        if following is not None:
            native.continue_as_new(
                following.input, version=following.version, keep_events=following.keep_events
            )
        return output

    return conduct


async def _outcome(
    function: Callable[..., Any], context: RuntimeContext, text: str | None, into: Any
) -> str | None:
    """Run the code, and return its result as a text.

    Raises:
        RecordedError: It failed.
    """
    rules = context.rules
    try:
        result = await _run(function(context, rules.read(text, into)), context)
        output = None if context.continuation is not None else _text_of(result, rules)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is how the orchestration ended
        failure = rules.failure_of(error)
    else:
        await _see_off(context)
        _tell_end(context, None)
        return output
    await _see_off(context)
    _tell_end(context, failure)
    raise RecordedError(failure)


def _tell_end(context: RuntimeContext, failure: durable_async.FailureDetails | None) -> None:
    """Tell the worker's log how an execution ends; it is recorded just after."""
    if context.is_replaying:
        return
    log, name, instance_id = context.rules.logger, context.native.name, context.instance_id
    if failure is not None:
        kind, message = failure.error_type, failure.message
        log.warning("%s: orchestration %s fails: %s: %s", instance_id, name, kind, message)
    elif context.continuation is not None:
        log.info("%s: orchestration %s continues as new", instance_id, name)
    else:
        log.info("%s: orchestration %s completes", instance_id, name)


def _text_of(result: Any, rules: Rules) -> str | None:
    try:
        return rules.converter.serialize(result)
    except Exception as error:
        raise JsonEncodeOutputException(result) from error


async def _run(outcome: Any, context: RuntimeContext) -> Any:
    if inspect.isgenerator(outcome):
        return await _drive(outcome, context)
    if inspect.iscoroutine(outcome):
        return await _Watched(outcome, context)
    return outcome


async def _see_off(context: RuntimeContext) -> None:
    """Wait for the activities that were called and not waited for, just before the end: they are to happen all the same.

    What was called earlier has begun already, and is not waited for.
    """
    for task in context.fresh:
        if not task.is_complete:
            await task.arrival()


async def _drive(generator: Generator[Any, Any, Any], context: RuntimeContext) -> Any:
    """Take a generator from task to task."""
    step: Callable[[], Any] = functools.partial(next, generator)
    while True:
        try:
            yielded = step()
        except StopIteration as stop:
            return stop.value
        if not isinstance(yielded, Task):
            _leave(generator)
            raise TypeError(
                f"the orchestrator yielded a non-Task object, {yielded!r}: yield what the context's calls, when_all or when_any return; "
                "calls that return nothing, such as signal_entity, are made without yield"
            )
        if not yielded.is_complete:
            if context.continuation is not None:
                _leave(generator)
                return None
            await _wait(yielded, generator, context)
        step = _next_step(generator, yielded)


async def _wait(
    task: Task[Any], generator: Generator[Any, Any, Any], context: RuntimeContext
) -> None:
    context.fresh.clear()
    try:
        await task.arrival()
    except BaseException:  # the execution is over, or leaves memory: no result will come
        _leave(generator)
        raise


def _next_step(generator: Generator[Any, Any, Any], task: Task[Any]) -> Callable[[], Any]:
    try:
        result = task.get_result()
    except Exception as error:  # noqa: BLE001 - it is the program's to handle
        return functools.partial(generator.throw, error)
    return functools.partial(generator.send, result)


def _leave(code: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> None:
    """Close what will not be gone on with. Where it waits once more on its way out, as in a ``finally``, that wait is the end of it."""
    for _ in range(WAITS_MAX):
        try:
            code.throw(GeneratorExit)
        except (GeneratorExit, StopIteration):
            return


class _Watched:
    """Runs a coroutine, and takes note whenever it waits: then what it called before is recorded, and a wish to begin anew is fulfilled."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: RuntimeContext) -> None:
        self._coroutine = coroutine
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, context = self._coroutine, self._context
        step: Callable[[], Any] = functools.partial(coroutine.send, None)
        while True:
            try:
                waits_for = step()
            except StopIteration as stop:
                return stop.value
            if context.continuation is not None:
                _leave(coroutine)
                return None
            context.fresh.clear()
            try:
                step = functools.partial(coroutine.send, (yield waits_for))
            except GeneratorExit:
                _leave(coroutine)
                raise
            except BaseException as error:  # noqa: BLE001 - cancellation too is the coroutine's to handle
                step = functools.partial(coroutine.throw, error)
