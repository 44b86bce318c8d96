"""Links: where the routes of an instance are, for who started it."""

from __future__ import annotations

from .messages import Call
from .segments import segment_of

_PATHS = {
    "statusQueryGetUri": "",
    "sendEventPostUri": "/events/{eventName}",
    "eventsUri": "/events",
    "suspendPostUri": "/suspend?reason={text}",
    "resumePostUri": "/resume?reason={text}",
    "terminatePostUri": "/terminate?reason={text}",
    "rewindPostUri": "/rewind?reason={text}",
    "restartPostUri": "/restart",
    "purgeHistoryDeleteUri": "",
}
NAMES = ("id", *_PATHS)
"""What `management` has."""


def status_uri(call: Call, instance_id: str) -> str:
    """Return where the status of an orchestration is."""
    return f"{call.base}/instances/{segment_of(instance_id)}"


def history_uri(call: Call, instance_id: str, first: int) -> str:
    """Return where the status of an orchestration is with its history from an event on."""
    return f"{status_uri(call, instance_id)}?showHistory=true&historyFrom={first}"


def management(call: Call, instance_id: str) -> dict[str, str]:
    """Return where everything about an orchestration is, under the names that Durable Functions has for it.

    What stands in braces is for the caller to fill in: the name of an event, and a reason.
    """
    status = status_uri(call, instance_id)
    return {"id": instance_id, **{name: status + path for name, path in _PATHS.items()}}
