"""Queries over orchestrations, ids of what has ended, and histories."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import client, history, task

from .book import scenario
from .stage import Stage, attempt, told

COMPLETED = client.OrchestrationStatus.COMPLETED
FAILED = client.OrchestrationStatus.FAILED
RUNNING = client.OrchestrationStatus.RUNNING
TERMINATED = client.OrchestrationStatus.TERMINATED


def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.wait_for_external_event("go"))


def gives(ctx: task.OrchestrationContext, value: Any) -> Any:
    if value == "bad":
        raise ValueError("bad")
    return value


def populated(stage: Stage) -> None:
    """Leave one orchestration in each of four statuses, and two that completed."""
    stage.worker([waits, gives])
    stage.run(gives, 1, id="a-1")
    stage.run(gives, 2, id="a-2")
    stage.run(gives, "bad", id="b-1")
    stage.start(waits, id="b-2")
    stage.until_status("RUNNING", "b-2")
    stage.start(waits, id="c-1")
    stage.client.terminate_orchestration("c-1")
    stage.finish("c-1")


def found(stage: Stage, **query: Any) -> list[str]:
    states = stage.client.get_all_orchestration_states(client.OrchestrationQuery(**query))
    return sorted(state.instance_id for state in states)


@scenario
def all_of_them(stage: Stage) -> Any:
    populated(stage)
    states = stage.client.get_all_orchestration_states()
    return sorted([state.instance_id, state.name, state.runtime_status.name] for state in states)


@scenario
def none_of_them(stage: Stage) -> Any:
    return [stage.client.get_all_orchestration_states(), found(stage, runtime_status=[FAILED])]


@scenario
def by_status(stage: Stage) -> Any:
    populated(stage)
    return [
        found(stage, runtime_status=[COMPLETED]),
        found(stage, runtime_status=[FAILED, TERMINATED]),
        found(stage, runtime_status=[RUNNING]),
        found(stage, runtime_status=[client.OrchestrationStatus.PENDING]),
    ]


@scenario
def by_prefix(stage: Stage) -> Any:
    populated(stage)
    return [
        found(stage, instance_id_prefix="a-"),
        found(stage, instance_id_prefix="b"),
        found(stage, instance_id_prefix="A-"),
        found(stage, instance_id_prefix="%"),
        found(stage, instance_id_prefix="a_"),
    ]


@scenario
def by_time(stage: Stage) -> Any:
    populated(stage)
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    return [
        found(stage, created_time_from=now - hour),
        found(stage, created_time_from=now + hour),
        found(stage, created_time_to=now - hour),
        len(found(stage, created_time_from=now - hour, created_time_to=now + hour)),
    ]


@scenario
def in_pages(stage: Stage) -> Any:
    populated(stage)
    return [
        found(stage, max_instance_count=2),
        found(stage, max_instance_count=1, runtime_status=[COMPLETED]),
        found(stage, max_instance_count=1000),
    ]


@scenario
def with_payloads_or_without(stage: Stage) -> Any:
    stage.worker([gives])
    stage.run(gives, {"a": 1})
    answers = []
    for fetch in (False, True):
        query = client.OrchestrationQuery(fetch_inputs_and_outputs=fetch)
        (state,) = stage.client.get_all_orchestration_states(query)
        answers.append([state.serialized_input, state.serialized_output])
    return answers


@scenario
def ids_of_what_has_ended(stage: Stage) -> Any:
    populated(stage)
    page = stage.client.list_instance_ids()
    return [list(page.items), page.continuation_token]


@scenario
def ids_by_status(stage: Stage) -> Any:
    populated(stage)
    return [
        list(stage.client.list_instance_ids(runtime_status=[status]).items)
        for status in (COMPLETED, FAILED, TERMINATED)
    ]


@scenario
def ids_in_pages(stage: Stage) -> Any:
    populated(stage)
    pages: list[list[str]] = []
    token = None
    while True:
        page = stage.client.list_instance_ids(page_size=2, continuation_token=token)
        pages.append(list(page.items))
        token = page.continuation_token
        if token is None or len(pages) > 5:
            return pages


@scenario
def ids_by_time(stage: Stage) -> Any:
    populated(stage)
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    list_ids = stage.client.list_instance_ids
    return [
        len(list_ids(completed_time_from=now - hour).items),
        len(list_ids(completed_time_from=now + hour).items),
        len(list_ids(completed_time_to=now - hour).items),
    ]


# ---------------------------------------------------------------- histories


def told_events(stage: Stage, id: str = "one") -> Any:
    """Return a history with what its events say, without times, ids and where turns begin and end."""
    lines = []
    for event in stage.client.get_orchestration_history(id):
        line: dict[str, Any] = {"event": type(event).__name__.removesuffix("Event")}
        if line["event"].startswith("Orchestrator"):
            continue
        for name in ("name", "input", "result", "version", "task_scheduled_id", "timer_id"):
            value = getattr(event, name, None)
            if value not in (None, ""):
                line[name] = value
        failure = getattr(event, "failure_details", None)
        if failure is not None:
            line["failure"] = told(failure)
        lines.append(line)
    return lines


@scenario
def history_of_nobody(stage: Stage) -> Any:
    return attempt(stage.client.get_orchestration_history, "nobody")


@scenario
def history_of_activities(stage: Stage) -> Any:
    def perhaps(ctx: task.ActivityContext, value: Any) -> Any:
        if value == "bad":
            raise ValueError("bad")
        return {"got": value}

    def flow(ctx: task.OrchestrationContext, values: Any) -> Any:
        for value in values:
            yield ctx.call_activity(perhaps, input=value)

    stage.worker([flow], [perhaps])
    stage.run(flow, ["good", "bad"], version="1.0")
    return told_events(stage)


@scenario
def history_of_a_timer_and_an_event(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        return (yield ctx.wait_for_external_event("Go"))

    stage.worker([flow])
    stage.start(flow)
    stage.until(lambda: "TimerFired" in stage.history())
    stage.client.raise_orchestration_event("one", "Go", data={"a": 1})
    stage.finish()
    return told_events(stage)


@scenario
def history_of_a_child(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(gives, input=5, instance_id="kid"))

    stage.worker([flow, gives])
    stage.run(flow)
    return [told_events(stage), told_events(stage, "kid")]


@scenario
def history_of_suspend_resume_terminate(stage: Stage) -> Any:
    stage.worker([waits])
    stage.start(waits)
    stage.until_status("RUNNING")
    stage.client.suspend_orchestration("one", reason="lunch")
    stage.until_status("SUSPENDED")
    stage.client.resume_orchestration("one", reason="back")
    stage.until_status("RUNNING")
    stage.client.terminate_orchestration("one", output="over")
    stage.finish()
    return told_events(stage)


@scenario
def history_events_are_dataclasses(stage: Stage) -> Any:
    stage.worker([gives])
    stage.run(gives, 5)
    events = stage.client.get_orchestration_history("one")
    dicts = [history.to_dict(event) for event in events]
    return [
        all(isinstance(event, history.HistoryEvent) for event in events),
        all(event.timestamp.tzinfo is not None for event in events),
        bool(json.dumps(dicts)),
        sorted(set(dicts[1]) & {"event_id", "timestamp", "name", "input"}),
    ]
