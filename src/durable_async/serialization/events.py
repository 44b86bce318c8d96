"""History events to bytes and back: the rows of a history, the letters of a mailbox, and the snapshots of entities.

MessagePack, because payloads are bytes of any kind and stay byte-exact in it; arrays with numbered tags, because history is most
of what is ever written. Appended fields have defaults, so every release reads what earlier ones wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from durable_async.errors import BackendError, BackendUnavailableError, CorruptHistoryError
from durable_async.model.entities import EntitySnapshot
from durable_async.model.history import ExecutionStarted, HistoryEvent, Letter

from .absent import FOR_GOOD, FOR_NOW, UNREADABLE, why_absent

_encoder = msgspec.msgpack.Encoder()
_events_decoder: msgspec.msgpack.Decoder[list[HistoryEvent]] = msgspec.msgpack.Decoder(
    list[HistoryEvent]
)
_letter_decoder: msgspec.msgpack.Decoder[Letter] = msgspec.msgpack.Decoder(Letter)
_snapshot_decoder: msgspec.msgpack.Decoder[EntitySnapshot] = msgspec.msgpack.Decoder(EntitySnapshot)


def encode_events(events: Sequence[HistoryEvent]) -> bytes:
    """Return the bytes of one turn's events."""
    return _encoder.encode(events)


def decode_events(instance_id: str, data: bytes) -> list[HistoryEvent]:
    """Return one turn's events; ``CorruptHistoryError`` if the bytes are not what this or an earlier release wrote."""
    try:
        return _events_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_read(instance_id, data, "", error) from error


def decode_start(instance_id: str, data: bytes) -> ExecutionStarted:
    """Return what turn 0 begins with; ``CorruptHistoryError`` if the bytes are not a turn 0."""
    events = decode_events(instance_id, data)
    if not events or not isinstance(events[0], ExecutionStarted):
        raise CorruptHistoryError(instance_id, "it does not begin with ExecutionStarted")
    return events[0]


def encode_letter(letter: Letter) -> bytes:
    """Return the bytes of one letter."""
    return _encoder.encode(letter)


def decode_letter(instance_id: str, data: bytes) -> Letter:
    """Return a letter; ``CorruptHistoryError`` if the bytes are not one."""
    try:
        return _letter_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_read(instance_id, data, "a letter in its mailbox: ", error) from error


def encode_snapshot(snapshot: EntitySnapshot) -> bytes:
    """Return the bytes of an entity's snapshot; none at all of an empty one."""
    return b"" if snapshot.is_empty else _encoder.encode(snapshot)


def decode_snapshot(instance_id: str, data: bytes | None) -> EntitySnapshot:
    """Return an entity's snapshot, the empty one if nothing is stored; ``CorruptHistoryError`` if the bytes are not one."""
    if not data:
        return EntitySnapshot()
    try:
        return _snapshot_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_read(instance_id, data, "its snapshot: ", error) from error


def unreadable(reason: str, *, for_now: bool) -> bytes:
    """Return what a backend hands over in place of events, a letter or a snapshot of which a part is missing.

    To read them raises an error with this reason: `BackendUnavailableError` if they may be read later, `CorruptHistoryError` if not.
    """
    return UNREADABLE + (FOR_NOW if for_now else FOR_GOOD) + reason.encode(errors="replace")


def _not_read(instance_id: str, data: bytes, what: str, error: Exception) -> BackendError:
    if not data.startswith(UNREADABLE):
        return CorruptHistoryError(instance_id, f"{what}{error}")
    reason = why_absent(data)
    if data.startswith(UNREADABLE + FOR_NOW):
        return BackendUnavailableError(reason)
    return CorruptHistoryError(instance_id, f"{what}{reason}")
