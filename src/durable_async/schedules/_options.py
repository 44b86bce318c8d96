"""From what callers say to a specification that is sound: refused is what no worker could carry out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from durable_async.errors import PayloadTooLargeError, ValidationError, shown
from durable_async.model.identity import (
    EntityId,
    check_instance_id,
    check_orchestrator_name,
    check_tags,
    check_version,
)
from durable_async.model.policy import Seconds, seconds_of
from durable_async.registry import Orchestrator
from durable_async.serialization import DataConverter

from ._cron import zone_of
from ._entity import NAME
from ._ticks import run_id, tick_text, ticks_after
from .spec import CatchUp, Overlap, ScheduleChanges, ScheduleSpec

E = TypeVar("E", bound=Enum)

EVERY_MIN = timedelta(seconds=0.1)
INPUT_BYTES_MAX = 256 * 1024
"""It is written again with each tick."""

_KINDS = ("cron", "every", "at")
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
"""Before it there are clocks that show no day of the calendar any more."""
_LONGEST_TICK = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def entity_of(schedule_id: str) -> EntityId:
    """Return the entity that a schedule is; ``ValidationError`` if its id cannot be one."""
    if not isinstance(schedule_id, str):
        raise ValidationError("schedule_id", f"must be a str, not {shown(schedule_id)}")
    try:
        return EntityId(NAME, schedule_id)
    except ValidationError as error:
        reason = error.reason
    raise ValidationError("schedule_id", reason)


def changed(
    spec: ScheduleSpec | None, options: Mapping[str, Any], payloads: DataConverter
) -> ScheduleSpec:
    """Return a specification with what callers say, which is not checked as a whole yet.

    Args:
        spec: The one before; ``None`` for a new one.
        options: Those of `ScheduleChanges`; an ``orchestrator`` for a new one.
        payloads: The hub's converter.

    Raises:
        ValidationError: There is no such option, or it is not what it should be.
        EncodeError: The input cannot be stored.
    """
    for name in options:
        if name not in ScheduleChanges.__annotations__:
            known = ", ".join(ScheduleChanges.__annotations__)
            raise ValidationError(name, f"there is no such option of a schedule; there are {known}")
    values: dict[str, Any] = {}
    if any(options.get(kind) is not None for kind in _KINDS):
        values = dict.fromkeys(_KINDS)
    values |= {name: _VALUES[name](value) for name, value in options.items() if name in _VALUES}
    new = replace(spec, **values) if spec else ScheduleSpec(orchestrator="", **values)
    new = replace(new, **_moments(new, options))
    return _with_start(new, options, payloads)


def _with_start(
    spec: ScheduleSpec, options: Mapping[str, Any], payloads: DataConverter
) -> ScheduleSpec:
    """Say what is started, and with which input."""
    if "orchestrator" not in options and "input" not in options:
        return spec
    orchestrator = options.get("orchestrator", spec.orchestrator)
    value = options.get("input", spec.input)
    if isinstance(orchestrator, Orchestrator):
        if "input" not in options and not orchestrator.signature.parameters:
            value = None  # what the one before was given
        name = orchestrator.name
        data = orchestrator.encode_input(payloads, value)
    else:
        name = check_orchestrator_name(orchestrator)
        data = payloads.encode(value, f"orchestrator {name!r} input")
    if len(data) > INPUT_BYTES_MAX:
        raise PayloadTooLargeError("input", len(data), INPUT_BYTES_MAX)
    plain = payloads.decode(data, Any, "input of a schedule")
    return replace(spec, orchestrator=name, input=plain)


def check(spec: ScheduleSpec, schedule_id: str, now: datetime, *, is_new_time: bool) -> None:
    """Refuse a specification that could not be carried out.

    Args:
        spec: The specification.
        schedule_id: Whose it is.
        now: The store's time.
        is_new_time: Whether its ticks are yet to come.

    Raises:
        ValidationError: It could not.
        MissingExtraError: The package for cron expressions is not installed.
    """
    if sum(getattr(spec, kind) is not None for kind in _KINDS) != 1:
        raise ValidationError("cron", "say exactly one of cron=, every= and at=")
    if spec.every is not None and spec.every < EVERY_MIN:
        raise ValidationError("every", f"must be 0.1 seconds or more, not {spec.every}")
    if "{tick}" not in spec.instance_id:
        raise ValidationError("instance_id", "must hold {tick}, or all runs would have one id")
    check_instance_id(f"{schedule_id}:triggered:{tick_text(_LONGEST_TICK)}", "schedule_id")
    check_instance_id(run_id(spec, schedule_id, _LONGEST_TICK))
    if "schedule" in spec.tags:
        raise ValidationError("tags", "'schedule' is the schedule's id")
    check_tags({**spec.tags, "schedule": schedule_id})
    if next(ticks_after(spec, now, now), None) is None and is_new_time:
        raise ValidationError(_kind(spec), "has no tick that is yet to come")


def _kind(spec: ScheduleSpec) -> str:
    return next(kind for kind in _KINDS if getattr(spec, kind) is not None)


# -- one by one


def _duration(field: str, value: Any) -> timedelta:
    return timedelta(seconds=seconds_of(value, field))


def _one_of(kind: type[E], field: str, value: Any) -> E:
    if not isinstance(value, kind):
        raise ValidationError(field, f"must be a member of {kind.__name__}, not {shown(value)}")
    return value


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError(field, f"must be a str, not {shown(value)}")
    return value


def _every(value: Seconds | None) -> timedelta | None:
    return None if value is None else _duration("every", value)


def _cron(value: Any) -> str | None:
    return None if value is None else _text("cron", value)


def _zone(value: Any) -> str:
    zone_of(value)
    return _text("time_zone", value)


_VALUES: dict[str, Callable[[Any], Any]] = {
    "cron": _cron,
    "every": _every,
    "time_zone": _zone,
    "jitter": partial(_duration, "jitter"),
    "overlap": partial(_one_of, Overlap, "overlap"),
    "catch_up": partial(_one_of, CatchUp, "catch_up"),
    "catch_up_window": partial(_duration, "catch_up_window"),
    "version": check_version,
    "tags": check_tags,
    "instance_id": partial(_text, "instance_id"),
}


def _moments(spec: ScheduleSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times that callers said, UTC; naive ones are in the schedule's time zone."""
    zone = zone_of(spec.time_zone)
    return {
        field: moment_of(options[field], field, zone)
        for field in ("at", "start", "end")
        if field in options
    }


def moment_of(value: Any, field: str, zone: Any) -> datetime | None:
    """Return a time, UTC; a naive one is in the zone."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise ValidationError(field, f"must be a datetime, not {shown(value)}")
    aware = value if value.utcoffset() is not None else value.replace(tzinfo=zone)
    try:
        at = aware.astimezone(UTC)
    except OverflowError:
        at = None
    if at is not None and at >= _EARLIEST:
        return at
    raise ValidationError(field, f"lies beyond the calendar: {shown(value)}")
