"""A TCP proxy on loopback that fails on purpose, to stand between a hub and its Postgres server.

It lives in a thread of its own, so that it goes on while the loop under test is blocked, and every order to it is obeyed when the call returns.
It reads the protocol just enough to know what a connection is for (by its ``application_name``), who asks for a statement to be cancelled,
and when a statement has been answered.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeVar, cast

T = TypeVar("T")

Way = Literal["up", "down"]
"""Up is to the server, down to the client."""

_ORDER_SECONDS = 30.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_STARTUP, _CANCEL, _SSL, _GSS = 196_608, 80_877_102, 80_877_103, 80_877_104
_EXECUTE, _READY = b"E", b"Z"


@dataclass(frozen=True)
class _Delay:
    seconds: float = 0.0
    share: float = 0.0
    share_seconds: float = 0.0


_NO_DELAY = _Delay()


class FaultProxy:
    """A proxy to one server.

    ``of`` chooses connections by a part of their ``application_name``, such as ``"/commits"``; the empty text means all, also those to come.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        cancels: How many requests to cancel a statement came.
        late: How many of those pieces came that `delay` lets take longer than others.
        lost: How many answers were lost by `lose_answers`.
        accepted: How many connections were made so far.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        """Start to stand before a server.

        Args:
            port: The server's.
            host: The server's.
        """
        self.port = 0
        self.cancels = 0
        self.late = 0
        self.lost = 0
        self.accepted = 0
        self._target = (host, port)
        self._pairs: set[_Pair] = set()
        self._held: dict[tuple[str, Way], None] = {}
        self._delays: dict[str, _Delay] = {}
        self._chance = random.Random(port)  # noqa: S311 - no secret
        self._losses: dict[str, int] = {}
        self._cuts: dict[tuple[str, Way], int] = {}
        self._news = threading.Condition()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="durable-async fault proxy", daemon=True
        )
        self._thread.start()
        self.accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def through(self, dsn: str) -> str:
        """Return a DSN of the server with this proxy in between."""
        host, port = self._target
        return dsn.replace(f"{host}:{port}", f"127.0.0.1:{self.port}")

    def close(self) -> None:
        """Reset everything and end."""
        if self._thread.is_alive():
            self.refuse()
            self.reset()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # -- faults

    def refuse(self) -> None:
        """Accept no more connections; those that there are go on."""
        self._order(self._refuse)

    def accept(self) -> None:
        """Accept connections, at the same port as before."""
        asyncio.run_coroutine_threadsafe(self._accept(), self._loop).result(_ORDER_SECONDS)

    def redirect(self, port: int, *, host: str = "127.0.0.1") -> None:
        """Bring connections to come to another server."""
        self._target = (host, port)

    def reset(self, of: str = "") -> int:
        """Reset connections on both sides, and return how many."""
        return self._order(lambda: sum(pair.reset() for pair in self._chosen(of)))

    def hold(self, of: str = "", *, way: Way | None = None) -> None:
        """Pass nothing on, as a cable that was pulled: sockets stay open, not even their end is told."""

        def begin() -> None:
            for one in _ways(way):
                self._held[of, one] = None

        self._order(begin)

    def release(self, of: str | None = None) -> None:
        """Pass on what was held; with ``of`` only what was held in the same words."""

        def end() -> None:
            for held in [one for one in self._held if of is None or one[0] == of]:
                del self._held[held]
            for pair in list(self._pairs):
                pair.pump()

        self._order(end)

    def sever(self, of: str = "") -> int:
        """Leave connections half open, and return how many: the server sees their end, the client hears nothing any more, and not even that."""
        return self._order(lambda: sum(pair.sever() for pair in self._chosen(of)))

    def delay(
        self, seconds: float, of: str = "", *, share: float = 0.0, share_seconds: float = 0.0
    ) -> None:
        """Take so long to pass anything on, in each direction, and so much longer for a share of all that comes, drawn by chance."""
        delay = _Delay(seconds, share, share_seconds)
        self._order(lambda: self._delays.__setitem__(of, delay))

    def cut_after(self, count: int, of: str = "", *, way: Way) -> None:
        """Pass on so many bytes more in one direction, then reset that connection; once."""
        self._order(lambda: self._cuts.__setitem__((of, way), count))

    def lose_answers(self, count: int = 1, of: str = "") -> None:
        """Let statements be carried out by the server, but reset in place of the answer, so many times.

        What is sent as plain text does not count: connections say so much to begin with.
        """
        self._order(lambda: self._losses.__setitem__(of, count))

    # -- what it saw

    def wait_until(self, condition: Callable[[FaultProxy], bool], seconds: float = 30.0) -> None:
        """Wait in this thread until something is true of it, looking whenever something happened.

        Raises:
            TimeoutError: It did not become true in time.
        """
        with self._news:
            if not self._news.wait_for(lambda: condition(self), seconds):
                raise TimeoutError("what was waited for did not come to pass")

    def names(self) -> list[str]:
        """Return the ``application_name`` of every connection that is open."""
        return sorted(self._order(lambda: [pair.name for pair in self._pairs]))

    # -- in the thread

    def _order(self, job: Callable[[], T]) -> T:
        async def run() -> T:
            return job()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_ORDER_SECONDS)

    async def _accept(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(
                lambda: _Pair(self).client, "127.0.0.1", self.port
            )
            self.port = int(self._server.sockets[0].getsockname()[1])

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _chosen(self, of: str) -> list[_Pair]:
        return [pair for pair in self._pairs if of in pair.name]

    # -- for a pair, in the thread

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The thread's."""
        return self._loop

    @property
    def target(self) -> tuple[str, int]:
        """Where connections to come are brought."""
        return self._target

    def opened(self, pair: _Pair) -> None:
        """Take in a connection."""
        self._pairs.add(pair)
        self.happened("accepted")

    def ended(self, pair: _Pair) -> None:
        """Forget a connection."""
        self._pairs.discard(pair)

    def happened(self, what: Literal["accepted", "cancels", "late", "lost"]) -> None:
        """Count something, and tell who waits."""
        with self._news:
            setattr(self, what, getattr(self, what) + 1)
            self._news.notify_all()

    def is_held(self, name: str, way: Way) -> bool:
        """Tell whether nothing passes."""
        return any(of in name for of, held in self._held if held == way)

    def delay_of(self, name: str) -> float:
        """Return how long passing on takes, this time."""
        delays = [delay for of, delay in self._delays.items() if of in name]
        delay = max(delays, key=lambda one: one.seconds, default=_NO_DELAY)
        if delay.share and self._chance.random() < delay.share:
            self.happened("late")
            return delay.seconds + delay.share_seconds
        return delay.seconds

    def takes_answer(self, name: str) -> bool:
        """Decide about a statement whether its answer is to be lost."""
        for of, left in self._losses.items():
            if left and of in name:
                self._losses[of] = left - 1
                return True
        return False

    def allowance(self, name: str, way: Way, wanted: int) -> int | None:
        """Return how many bytes still pass if the connection is to be cut now, or ``None``."""
        for (of, cut_way), left in self._cuts.items():
            if cut_way == way and of in name:
                if wanted > left:
                    del self._cuts[of, cut_way]
                    return left
                self._cuts[of, cut_way] = left - wanted
                break
        return None


def _ways(way: Way | None) -> tuple[Way, ...]:
    return ("up", "down") if way is None else (way,)


class _Side(asyncio.Protocol):
    """One of the two sockets of a pair, and what waits to be written to the other."""

    def __init__(self, pair: _Pair, way: Way) -> None:
        self.pair = pair
        self.way: Way = way
        self.transport: asyncio.Transport | None = None
        self.queue: deque[tuple[float, bytes]] = deque()
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.way == "up":
            self.pair.begin()
        else:
            self.pair.pump()

    def data_received(self, data: bytes) -> None:
        self.pair.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self.pair.pump()


class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.name = ""
        self.client = _Side(self, "up")
        self._server = _Side(self, "down")
        self._proxy = proxy
        self._is_reset = False
        self._beginning: bytes | None = b""
        self._asked = _Frames()
        self._answered = _Frames()
        self._is_losing = False
        self._is_severed = False

    def begin(self) -> None:
        """Connect to the server."""
        self._proxy.opened(self)
        host, port = self._proxy.target
        connecting = self._proxy.loop.create_task(
            self._proxy.loop.create_connection(lambda: self._server, host, port)
        )
        connecting.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._server.is_over = True
            self.reset()
        elif self._is_reset:
            self.reset()
        elif self._is_severed:
            self.sever()

    def received(self, side: _Side, data: bytes) -> None:
        """Take in bytes from one side."""
        if self._is_severed:
            return
        if side.way == "up":
            self._look(data)
        elif self._is_losing:
            if _READY in self._answered.types(data):
                self._proxy.happened("lost")
                self.reset()
            return
        elif self._beginning is None:
            self._answered.types(data)
        ready_at = self._proxy.loop.time() + self._proxy.delay_of(self.name)
        side.queue.append((ready_at, data))
        self._proxy.loop.call_at(ready_at, self.pump)
        self.pump()

    def pump(self) -> None:
        """Pass on what may be passed on."""
        if self._is_severed:
            if self.client.is_over:
                self._proxy.ended(self)
            return
        for source, sink in ((self.client, self._server), (self._server, self.client)):
            if self._proxy.is_held(self.name, source.way) or sink.transport is None:
                continue
            while source.queue and source.queue[0][0] <= self._proxy.loop.time():
                if not self._write(source, sink, source.queue.popleft()[1]):
                    return
            if source.is_over and not source.queue and not sink.is_over:
                sink.transport.close()
        if self.client.is_over and self._server.is_over:
            self._proxy.ended(self)

    def _write(self, source: _Side, sink: _Side, data: bytes) -> bool:
        assert sink.transport is not None
        allowed = self._proxy.allowance(self.name, source.way, len(data))
        if not sink.is_over:
            sink.transport.write(data if allowed is None else data[:allowed])
        if allowed is not None:
            self.reset(gently=sink)
        return allowed is None

    def reset(self, *, gently: _Side | None = None) -> bool:
        """Reset both sockets; what was just written to one of them still arrives."""
        self._is_reset = True
        for side in (self.client, self._server):
            side.queue.clear()
            if side.transport is not None and side is gently:
                side.transport.close()
            elif side.transport is not None:
                found = side.transport.get_extra_info("socket")
                if found is not None and found.fileno() >= 0:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                side.transport.abort()
        return True

    def sever(self) -> bool:
        """End the server's side, and say nothing of it to the client."""
        self._is_severed = True
        self.client.queue.clear()
        self._server.queue.clear()
        if self._server.transport is not None:
            self._server.transport.abort()
        return True

    # -- the protocol

    def _look(self, data: bytes) -> None:
        if self._beginning is not None:
            self._beginning += data
            data = self._begin_to_look()
        asked = self._asked.types(data)
        if _EXECUTE in asked and not self._is_losing:
            self._is_losing = self._proxy.takes_answer(self.name)

    def _begin_to_look(self) -> bytes:
        """Read the messages that come before all others, and return what follows them."""
        while self._beginning is not None and len(self._beginning) >= 8:
            length, code = struct.unpack("!ii", self._beginning[:8])
            if len(self._beginning) < length:
                return b""
            message, rest = self._beginning[8:length], self._beginning[length:]
            self._beginning = rest
            if code == _CANCEL:
                self._proxy.happened("cancels")
            elif code == _STARTUP:
                self.name = _application_name(message)
                self._beginning = None
                return rest
            elif code not in (_SSL, _GSS):
                self._beginning = b""  # encrypted, from here on
                return b""
        return b""


def _application_name(startup: bytes) -> str:
    words = startup.split(b"\0")
    given = dict(zip(words[::2], words[1::2], strict=False))
    return given.get(b"application_name", b"").decode(errors="replace")


class _Frames:
    """Finds where messages begin in a stream, and of which type they are."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def types(self, data: bytes) -> list[bytes]:
        """Return the types of the messages that end in this piece."""
        found: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left == 0:
                missing = 5 - len(self._head)
                self._head += data[at : at + missing]
                at += missing
                if len(self._head) < 5:
                    break
                self._left = struct.unpack("!i", self._head[1:])[0] - 4
            taken = min(self._left, len(data) - at)
            self._left -= taken
            at += taken
            if self._left == 0:
                found.append(self._head[:1])
                self._head = b""
        return found
