"""How an activity is run: texts in, texts out; a ``def`` in a thread, an ``async def`` on an event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

from durable_async import activity_context
from durabletask.internal.type_discovery import discover_input_type
from durabletask.task import ActivityContext

from .failures import RecordedError
from .rules import Rules


class Observer(Protocol):
    """Who is told of activities that begin and end."""

    def begun(self, request: SimpleNamespace) -> None:
        """An activity begins."""
        ...

    def ended(self, request: SimpleNamespace) -> None:
        """It ended."""
        ...


class ActivityCode:
    """A program's activity.

    Args:
        name: Its registered name.
        function: Its code.
        rules: How it is run.
        observer: Is told of it.
        home: The event loop that its ``async def`` runs on; ``None`` for the worker's own.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        rules: Rules,
        observer: Observer,
        home: asyncio.AbstractEventLoop | None,
    ) -> None:
        self._name = name
        self._function = function
        self._rules = rules
        self._observer = observer
        self._home = home
        self._into = discover_input_type(function, rules.converter, skip=1)

    def native(self) -> Callable[..., Any]:
        """Return it as durable_async runs it."""
        if inspect.iscoroutinefunction(self._function):
            return self._async
        return self._sync

    def _sync(self, text: Any = None) -> str | None:
        request = self._begin()
        try:
            return self._text(self._function(*self._arguments(text)))
        except Exception as error:
            raise self._failed(request, error) from error
        finally:
            self._observer.ended(request)

    async def _async(self, text: Any = None) -> str | None:
        request = self._begin()
        try:
            coroutine = self._function(*self._arguments(text))
            if self._home is not None and not self._home.is_closed():
                running = asyncio.run_coroutine_threadsafe(coroutine, self._home)
                coroutine = asyncio.wrap_future(running)
            return self._text(await coroutine)
        except Exception as error:
            raise self._failed(request, error) from error
        finally:
            self._observer.ended(request)

    def _failed(self, request: SimpleNamespace, error: Exception) -> RecordedError:
        self._rules.logger.warning(
            "%s: activity %s (task #%s) failed: %s",
            request.orchestrationInstance.instanceId,
            self._name,
            request.taskId,
            error,
            exc_info=error,
        )
        return RecordedError(self._rules.failure_of(error))

    def _arguments(self, text: str | None) -> tuple[ActivityContext, Any]:
        native = activity_context()
        value = self._rules.read(text, self._into)
        return ActivityContext(native.instance_id, native.seq), value

    def _text(self, value: Any) -> str | None:
        return self._rules.converter.serialize(value)

    def _begin(self) -> SimpleNamespace:
        native = activity_context()
        request = SimpleNamespace(
            name=self._name,
            taskId=native.seq,
            orchestrationInstance=SimpleNamespace(instanceId=native.instance_id),
        )
        self._observer.begun(request)
        return request
