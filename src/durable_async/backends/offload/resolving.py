"""Payloads out of records and back: what passes through the port, with references in it or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from durable_async.errors import BackendError
from durable_async.model.records import Answer, InstanceRecord
from durable_async.serialization.events import unreadable

from .fields import Kind, changed, contents
from .references import (
    MARK,
    Reference,
    encode_with,
    escaped,
    is_marked,
    payloads_in,
    read_mark,
    tree_of,
)
from .transfers import Transfers, reasons

R = TypeVar("R")


class Offloading:
    """Puts references in place of large payloads, and payloads in place of references."""

    def __init__(self, transfers: Transfers, threshold_bytes: int) -> None:
        self._transfers = transfers
        self._threshold = threshold_bytes

    # -- on the way in

    async def offloaded(self, records: Sequence[R]) -> Sequence[R]:
        """Return records whose large payloads have been uploaded; the same, if they have none.

        Raises:
            BackendUnavailableError: A payload could not be uploaded.
            BackendError: A payload can never be uploaded.
        """
        found = [one for record in records for one in contents(record, self._may_hold_large)]
        if not found:
            return records
        large = {
            payload: None
            for kind, data in found
            for payload in _payloads_of(kind, data)
            if len(payload) > self._threshold
        }
        if not large and not any(MARK in data for _, data in found):
            return records
        stored = await self._transfers.upload(large)

        def put_away(payload: bytes) -> bytes:
            reference = stored.get(payload)
            if reference is not None:
                return reference
            return escaped(payload) if is_marked(payload) else payload

        return [
            changed(record, self._may_hold_large, lambda kind, data: _mapped(kind, data, put_away))
            for record in records
        ]

    def _may_hold_large(self, data: bytes) -> bool:
        return len(data) > self._threshold or MARK in data

    # -- on the way out

    async def resolved(self, record: R) -> R:
        """Return a record with all its payloads; the same, if it has no references.

        Raises:
            BackendUnavailableError: A payload could not be downloaded.
            BackendError: A payload is lost.
        """
        (found,) = await self.resolved_each((record,))
        return found

    async def resolved_each(self, records: Sequence[R]) -> Sequence[R]:
        """Return several records as `resolved` does, or raise as it does if it cannot be done with one."""
        payloads = await self.fetch(records)
        return records if payloads is None else [payloads.put_back(one) for one in records]

    async def resolved_bodies(self, bodies: Sequence[bytes | None]) -> list[bytes | None]:
        """Return bodies as `resolved` does records."""
        answers = [None if one is None else Answer(request_id="", answer=one) for one in bodies]
        return [None if one is None else one.answer for one in await self.resolved_some(answers)]

    async def resolved_some(self, records: Sequence[R | None]) -> list[R | None]:
        """Return records, where there are some, as `resolved` does."""
        payloads = await self.fetch([one for one in records if one is not None])
        if payloads is None:
            return list(records)
        return [None if one is None else payloads.put_back(one) for one in records]

    async def resolved_without_payloads(
        self, records: Sequence[InstanceRecord | None]
    ) -> list[InstanceRecord | None]:
        """Return what was read without payloads; a custom status, which comes all the same, is left out if it is lost."""
        payloads = await self.fetch([one for one in records if one is not None])
        if payloads is None:
            return list(records)
        return [None if one is None else _with_status(one, payloads) for one in records]

    async def fetch(self, records: Iterable[Any]) -> Fetched | None:
        """Download all that records refer to; ``None`` if that is nothing."""
        references: dict[Reference, None] = {}
        is_marked_anywhere = False
        for record in records:
            for kind, data in contents(record, _may_be_marked):
                is_marked_anywhere = True
                references.update((one, None) for one in references_in(kind, data))
        if not is_marked_anywhere:
            return None
        return Fetched(*await self._transfers.download(references))


class Fetched:
    """The payloads that some records refer to, as far as they could be had."""

    def __init__(
        self, payloads: dict[Reference, bytes], failed: dict[Reference, BackendError]
    ) -> None:
        self._payloads = payloads
        self._failed = failed

    def trouble(self, record: Any) -> BackendError | None:
        """Return why the payloads of a record are not all here, or ``None`` if they are."""
        if not self._failed:
            return None
        missing = {
            one: self._failed[one]
            for kind, data in contents(record, _may_be_marked)
            for one in references_in(kind, data)
            if one in self._failed
        }
        return reasons(missing)

    def put_back(self, record: R) -> R:
        """Return a record with its payloads.

        Raises:
            BackendError: They are not all here.
        """
        trouble = self.trouble(record)
        if trouble is not None:
            raise trouble
        return changed(record, _may_be_marked, lambda kind, data: _mapped(kind, data, self._of))

    def body(self, data: bytes) -> bytes:
        """Return a body with its payloads, or one that cannot be read if they are not all here."""
        missing = [one for one in references_in(Kind.BODY, data) if one in self._failed]
        if not missing:
            return _mapped(Kind.BODY, data, self._of) if MARK in data else data
        trouble = reasons({one: self._failed[one] for one in missing})
        return unreadable(str(trouble), for_now=trouble is not None and trouble.retryable)

    def _of(self, payload: bytes) -> bytes:
        if not is_marked(payload):
            return payload
        found = read_mark(payload)
        return self._payloads[found] if isinstance(found, Reference) else found


def _with_status(record: InstanceRecord, payloads: Fetched) -> InstanceRecord:
    trouble = payloads.trouble(record)
    if trouble is not None and not trouble.retryable:
        return msgspec.structs.replace(record, custom_status=None)
    return payloads.put_back(record)


def size_of(data: bytes) -> int:
    """Return how long a body is with its payloads in it."""
    if MARK not in data:
        return len(data)
    return len(data) + sum(one.size - len(one.encode()) for one in references_in(Kind.BODY, data))


def references_in(kind: Kind, data: bytes) -> list[Reference]:
    """Return the references in a payload or a body."""
    if MARK not in data:
        return []
    marks = (read_mark(one) for one in _payloads_of(kind, data) if is_marked(one))
    return [one for one in marks if isinstance(one, Reference)]


def _may_be_marked(data: bytes) -> bool:
    return MARK in data


def _payloads_of(kind: Kind, data: bytes) -> list[bytes]:
    tree = tree_of(data) if kind is Kind.BODY else None
    return [data] if tree is None else list(payloads_in(tree))


def _mapped(kind: Kind, data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    tree = tree_of(data) if kind is Kind.BODY else None
    return change(data) if tree is None else encode_with(tree, change)
