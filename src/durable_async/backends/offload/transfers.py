"""Uploads and downloads: several at a time, bounded in time, and none that a while ago was made already."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeVar

import anyio

from durable_async.environment import Environment
from durable_async.errors import BackendError, BackendUnavailableError

from .references import Reference, digest_of
from .store import PayloadStore

PARALLEL = 8
REUSED_SECONDS = 3600.0
"""How long what was uploaded is referred to again. Not for ever: stores delete what is old."""
REUSED_MAX = 4_096
REST_SECONDS_MAX = 300.0
"""A store that hangs is left alone for as long as it was waited for, then for twice that, up to this."""

T = TypeVar("T")
K = TypeVar("K")


class Transfers:
    """What goes to and comes from one payload store.

    Args:
        seconds_max: How long one upload or download may take.
        cache_bytes: How much of what was sent or fetched last is kept in memory.
    """

    def __init__(
        self,
        store: PayloadStore,
        environment: Environment,
        *,
        seconds_max: float,
        cache_bytes: int,
    ) -> None:
        self._store = store
        self._environment = environment
        self._seconds_max = seconds_max
        self._cache = _Cache(cache_bytes)
        self._rest_seconds = seconds_max
        self._rests_until = -math.inf
        self._sent: OrderedDict[str, tuple[Reference, float]] = OrderedDict()

    async def upload(self, payloads: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what is stored in place of each payload, once all are uploaded.

        Raises:
            BackendUnavailableError: One could not be uploaded. Those that were are not uploaded again soon.
            BackendError: One can never be kept there.
        """
        found, failed = await _each(dict.fromkeys(payloads), self._upload)
        if failed:
            raise _worst(failed.values())
        return {payload: reference.encode() for payload, reference in found.items()}

    async def download(
        self, references: Iterable[Reference]
    ) -> tuple[dict[Reference, bytes], dict[Reference, BackendError]]:
        """Return the payloads, and why there are none of the others: `BackendUnavailableError`, or another error if they are lost."""
        return await _each(dict.fromkeys(references), self._download)

    async def _upload(self, payload: bytes) -> Reference:
        digest = digest_of(payload)
        known = self._sent.get(digest)
        now = self._environment.monotonic()
        if known is not None and now - known[1] < REUSED_SECONDS:
            return known[0]
        token = await self._ask(lambda: self._store.upload(payload), "keep a payload", str)
        reference = Reference.to(payload, token, digest)
        self._sent[digest] = (reference, now)
        self._sent.move_to_end(digest)
        if len(self._sent) > REUSED_MAX:
            self._sent.popitem(last=False)
        self._cache.put(reference, payload)
        return reference

    async def _download(self, reference: Reference) -> bytes:
        payload = self._cache.get(reference)
        if payload is None:
            what = f"return the payload {reference.token!r}"
            payload = await self._ask(
                lambda: self._store.download(reference.token), what, reference.check
            )
            self._cache.put(reference, payload)
        return payload

    async def _ask(self, ask: Callable[[], Awaitable[T]], what: str, check: Callable[[T], T]) -> T:
        if self._environment.monotonic() < self._rests_until:
            raise BackendUnavailableError(f"the payload store cannot {what}: it hung, and rests")
        try:
            with anyio.fail_after(self._seconds_max):
                found = check(await ask())
        except BackendError:
            raise
        except (LookupError, FileNotFoundError) as error:
            raise BackendError(f"the payload store does not {what}: {error}") from error
        except Exception as error:
            if isinstance(error, TimeoutError):
                self._rest()
            reason = f"{type(error).__name__}: {error}"
            raise BackendUnavailableError(f"the payload store cannot {what}: {reason}") from error
        self._rest_seconds = self._seconds_max
        return found

    def _rest(self) -> None:
        """Ask nothing for a while, so that those who need nothing of it are not held up again and again."""
        now = self._environment.monotonic()
        if now >= self._rests_until:
            self._rests_until = now + self._rest_seconds
            self._rest_seconds = min(2 * self._rest_seconds, REST_SECONDS_MAX)


class _Cache:
    """The payloads that were used last, up to a number of bytes in all."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._payloads: OrderedDict[Reference, bytes] = OrderedDict()

    def get(self, reference: Reference) -> bytes | None:
        payload = self._payloads.get(reference)
        if payload is not None:
            self._payloads.move_to_end(reference)
        return payload

    def put(self, reference: Reference, payload: bytes) -> None:
        if len(payload) > self._bytes_max // 4 or reference in self._payloads:
            return
        self._payloads[reference] = payload
        self._bytes += len(payload)
        while self._bytes > self._bytes_max:
            _, oldest = self._payloads.popitem(last=False)
            self._bytes -= len(oldest)


async def _each(
    keys: Collection[K], act: Callable[[K], Awaitable[T]]
) -> tuple[dict[K, T], dict[K, BackendError]]:
    """Act on several at a time; what fails with another error than the store's fails the whole."""
    done: dict[K, T] = {}
    failed: dict[K, BackendError] = {
        key: BackendUnavailableError("the payload store cancelled its own call") for key in keys
    }

    async def one(key: K) -> None:
        try:
            async with limit:
                done[key] = await act(key)
            failed.pop(key)
        except BackendError as error:
            failed[key] = error

    limit = anyio.Semaphore(PARALLEL)
    async with anyio.create_task_group() as group:
        for key in keys:
            group.start_soon(one, key)
    return done, failed


def _worst(errors: Iterable[BackendError]) -> BackendError:
    """Return what is to be told of several failures: one that another attempt would not mend, if there is one."""
    return min(errors, key=lambda error: error.retryable)


def reasons(failed: Mapping[Reference, BackendError]) -> BackendError | None:
    """Return what is to be told of failed downloads: that another attempt may mend it, if it may."""
    return max(failed.values(), key=lambda error: error.retryable, default=None)
