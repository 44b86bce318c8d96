"""The fields of the form of a schedule."""

from __future__ import annotations

from durable_async.dashboard.actions.action import REASON, Field
from durable_async.schedules import CatchUp, Overlap

_KINDS = (("cron", "by a cron expression"), ("every", "at an interval"), ("at", "once"))
_OVERLAPS = (
    (Overlap.SKIP.value, "skip the tick"),
    (Overlap.BUFFER_ONE.value, "let one tick wait for its end"),
    (Overlap.BUFFER_ALL.value, "let all wait, one after the other"),
    (Overlap.ALLOW.value, "start all the same"),
    (Overlap.TERMINATE_PREVIOUS.value, "terminate that run"),
)
_CATCH_UPS = (
    (CatchUp.LAST.value, "start the last one that was missed"),
    (CatchUp.ALL.value, "start each one that was missed"),
    (CatchUp.NONE.value, "let them be missed"),
)

ID = Field(
    name="id",
    label="Id",
    required=True,
    hint="The ids of its runs begin with it.",
)
STARTS = (
    Field(
        name="orchestrator",
        label="Orchestrator",
        required=True,
        choices="names",
        audited="orchestrator",
    ),
    Field(name="input", label="Input", kind="json", hint="JSON, for each run; nothing for none."),
)
WHEN = (
    Field(name="kind", label="It starts", kind="option", options=_KINDS, value="cron"),
    Field(
        name="when",
        label="When",
        required=True,
        audited="when",
        hint="0 9 * * MON-FRI, or @daily; an interval such as 90s, 15m, 6h, 1d; for once, a time such as 2027-01-01T09:00.",
    ),
    Field(
        name="time_zone",
        label="Time zone",
        value="UTC",
        choices="zones",
        audited="time_zone",
        hint="In which a cron expression is meant, and times in this form that do not say theirs.",
    ),
    Field(
        name="end",
        label="End",
        audited="end",
        hint="A time; there is no tick after it. Nothing for none.",
    ),
)
OTHERWISE = (
    Field(
        name="overlap",
        label="While a run is still going on",
        kind="option",
        options=_OVERLAPS,
        value=Overlap.SKIP.value,
        audited="overlap",
    ),
    Field(
        name="catch_up",
        label="If no worker was there",
        kind="option",
        options=_CATCH_UPS,
        value=CatchUp.LAST.value,
        audited="catch_up",
    ),
)
MORE = (
    Field(
        name="start",
        label="Start",
        audited="start",
        hint="A time; there is no tick before it, and an interval is counted from it.",
    ),
    Field(
        name="jitter",
        label="Jitter",
        value="0s",
        audited="jitter",
        hint="A run begins up to so much later than its tick.",
    ),
    Field(
        name="catch_up_window",
        label="How old a missed tick may be",
        value="365d",
        audited="catch_up_window",
    ),
    Field(
        name="version",
        label="Version",
        audited="version",
        hint="What the code of its runs sees; nothing for the default of the hub.",
    ),
    Field(name="tags", label="Tags", hint="Of its runs, such as team=shop, env=live."),
    Field(
        name="instance_id",
        label="Ids of its runs",
        value="{schedule}:{tick}",
        audited="instance_id",
        hint="{schedule} stands for the schedule's id, {tick} for the time, and must be there.",
    ),
)
PAUSED = Field(name="paused", label="Begin paused", kind="tick", audited="paused")
SPEC = (*STARTS, *WHEN, *OTHERWISE, *MORE)
"""Fields of a specification; `PAUSED`, `ID` and `REASON` are beside it."""
FIELDS = (ID, *SPEC, PAUSED, REASON)
DEFAULTS = {field.name: field.value for field in FIELDS}
