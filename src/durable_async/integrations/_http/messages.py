"""Requests and answers, as far as the operations are concerned."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from durable_async.client import Client
from durable_async.hub import TaskHub
from durable_async.serialization.converter import PAYLOAD_BYTES_MAX

from .leaving import Leaving

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""What every answer has: a state is of this moment, and a payload is no page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The routes to one hub: what all requests to them have in common.

    Attributes:
        hub: Whose orchestrations and entities these are.
        body_bytes_max: The longest body that is read.
        wait_seconds_max: The longest that a request waits; who asks for longer waits so long.
        keep_alive_seconds: After so long without news a stream says that it is still there.
        allowed_hosts: The names that are answered to, as `allowed_names` returns them; ``None`` for any.
    """

    hub: TaskHub
    body_bytes_max: int = PAYLOAD_BYTES_MAX
    wait_seconds_max: float = 60.0
    keep_alive_seconds: float = 15.0
    allowed_hosts: tuple[str, ...] | None = None

    @property
    def client(self) -> Client:
        """The hub's client."""
        return self.hub.client


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        base: The address below which the routes are, as the caller sees it, without a slash at its end.
        names: The variable parts of the path, decoded.
        query: Names and values, in order.
        headers: By their names in lower case.
        body: In pieces, not read yet.
        leaving: Tells when the server is about to exit.
        is_gone: Tells whether the caller is gone, where a server does not say so by itself.
    """

    base: str
    names: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: AsyncIterable[bytes]
    leaving: Leaving
    is_gone: Callable[[], bool] = lambda: False

    def interrupting(self) -> AbstractContextManager[None]:
        """Leave a block early, and in silence, if there is no sense in waiting any longer."""
        return self.leaving.interrupting(self.is_gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back whole.

    Attributes:
        status: The status code.
        body: The body; an empty one has no type.
        headers: Those that it has beside `HEADERS`.
        media_type: The type of the body.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is sent back piece by piece, as long as somebody listens; then the pieces are closed.

    Attributes:
        pieces: The pieces.
        headers: Those that it has beside `HEADERS`.
        media_type: The type of the whole.
    """

    pieces: AsyncGenerator[bytes, None]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = EVENT_STREAM
