"""What can be done with an instance."""

from __future__ import annotations

from durable_async.client import OrchestrationState
from durable_async.errors import InstanceNotFoundError, InvalidTransitionError, ValidationError
from durable_async.hub import TaskHub
from durable_async.model.status import Status

from .action import REASON, Action, Field, Form, Kind, reason_of, request_id_of
from .values import value_of

InstanceAction = Action[str, OrchestrationState]


async def _raise_event(hub: TaskHub, instance_id: str, form: Form) -> str:
    name, payload = form.get("name", "").strip(), value_of(form, "payload")
    once = request_id_of(form)
    if not await hub.client.raise_event(instance_id, name, payload, request_id=once):
        raise InvalidTransitionError(instance_id, "raise an event on", "ended", "going on")
    return instance_id


async def _suspend(hub: TaskHub, instance_id: str, form: Form) -> str:
    await hub.client.suspend(instance_id, reason_of(form))
    return instance_id


async def _resume(hub: TaskHub, instance_id: str, form: Form) -> str:
    await hub.client.resume(instance_id, reason_of(form))
    return instance_id


async def _terminate(hub: TaskHub, instance_id: str, form: Form) -> str:
    await hub.client.terminate(instance_id, reason_of(form), recursive="recursive" in form)
    return instance_id


async def _rewind(hub: TaskHub, instance_id: str, form: Form) -> str:
    await hub.client.rewind(instance_id, reason_of(form))
    return instance_id


async def _restart(hub: TaskHub, instance_id: str, form: Form) -> str:
    new_id = form.get("new_id", "").strip()
    if not new_id:
        raise ValidationError(
            "new_id", "is empty: type the same id to let it take this one's place"
        )
    is_same = new_id == instance_id.strip()
    handle = await hub.client.restart(instance_id, instance_id=None if is_same else new_id)
    return handle.instance_id


async def _unpark(hub: TaskHub, instance_id: str, _: Form) -> str:
    if not await hub.client.unpark(instance_id):
        raise InvalidTransitionError(instance_id, "unpark", "not parked", "parked")
    return instance_id


async def _purge(hub: TaskHub, instance_id: str, form: Form) -> None:
    if not await hub.client.purge(instance_id, recursive="recursive" in form):
        raise InstanceNotFoundError(instance_id)


def _is_going_on(state: OrchestrationState) -> bool:
    return not state.is_ended


_CHILDREN = Field(
    name="recursive",
    label="Its sub-orchestrations, too",
    kind="tick",
    value="yes",
    audited="recursive",
)


async def _find(hub: TaskHub, instance_id: str) -> tuple[str, OrchestrationState | None]:
    return instance_id, await hub.client.get(instance_id, payloads=False)


INSTANCES = Kind(
    "/instance",
    "/instances",
    _find,
    Action(
        name="raise-event",
        label="Raise event",
        means="The event is kept until the orchestration waits for one of that name.",
        done="The event was raised.",
        applies=_is_going_on,
        carry_out=_raise_event,
        fields=(
            Field(name="name", label="Name of the event", required=True, audited="event"),
            Field(name="payload", label="Value", kind="json", hint="JSON; nothing for none."),
        ),
        is_repeatable=True,
    ),
    Action(
        name="suspend",
        label="Suspend",
        means="It stops where it stands. What arrives is kept until it is resumed.",
        done="It is being suspended.",
        applies=lambda state: state.status in (Status.PENDING, Status.RUNNING),
        carry_out=_suspend,
    ),
    Action(
        name="resume",
        label="Resume",
        means="It goes on, with all that arrived meanwhile.",
        done="It is being resumed.",
        applies=lambda state: state.status is Status.SUSPENDED,
        carry_out=_resume,
    ),
    Action(
        name="unpark",
        label="Unpark",
        means="It is tried again at once. If what stopped it is still there, it will be parked again.",
        done="It was put back, and is tried again.",
        applies=lambda state: state.parked is not None,
        carry_out=_unpark,
    ),
    Action(
        name="rewind",
        label="Rewind",
        means="What failed is done again, and what succeeded is kept. It goes on from there.",
        done="It was rewound, and goes on.",
        applies=lambda state: state.status is Status.FAILED,
        carry_out=_rewind,
    ),
    Action(
        name="restart",
        label="Restart",
        means="It begins anew, with the same input. Under the same id, it takes the place of this one, with its history and its output, and that cannot be undone.",
        done="It has begun anew.",
        applies=lambda state: state.is_ended,
        carry_out=_restart,
        fields=(
            Field(
                name="new_id",
                label="Id of the new one",
                hint="Type the same id to let it take the place of this one.",
                required=True,
                audited="new_id",
            ),
            REASON,
        ),
    ),
    Action(
        name="terminate",
        label="Terminate",
        means="It ends now. Its code is not asked, and its running activities are cancelled.",
        done="It is being terminated.",
        applies=_is_going_on,
        carry_out=_terminate,
        fields=(
            Field(name="reason", label="Reason", hint="Kept as its output, and in the audit log."),
            _CHILDREN,
        ),
        is_grave=True,
    ),
    Action(
        name="purge",
        label="Purge",
        means="It is deleted with its history, its input and its output.",
        done="It was purged.",
        applies=lambda state: state.is_ended,
        carry_out=_purge,
        fields=(_CHILDREN, REASON),
        is_grave=True,
        is_typed=True,
    ),
)
