"""What an orchestration knows of itself: ids, clock, replay, logging, uuids."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage, attempt


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def logger_of(stage: Stage) -> tuple[logging.Logger, Lines]:
    logger = logging.getLogger(f"scenarios.{stage.name}.{id(stage)}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = Lines()
    logger.addHandler(handler)
    return logger, handler


@scenario
def replay_safe_logger(stage: Stage) -> Any:
    logger, handler = logger_of(stage)

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        safe = ctx.create_replay_safe_logger(logger)
        safe.info("begun %s", 1)
        yield ctx.call_activity(echo, input=1)
        safe.info("first done")
        safe.debug("too quiet")
        yield ctx.create_timer(timedelta(milliseconds=20))
        safe.warning("second done")
        return isinstance(safe, logging.LoggerAdapter)

    stage.worker([flow], [echo])
    return [stage.run(flow), handler.lines]


@scenario
def is_replaying(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        seen = [ctx.is_replaying]
        yield ctx.create_timer(timedelta(milliseconds=20))
        seen.append(ctx.is_replaying)
        yield ctx.create_timer(timedelta(milliseconds=20))
        return [*seen, ctx.is_replaying]

    stage.worker([flow])
    return stage.run(flow)


@scenario
def side_effects_while_not_replaying(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        for number in range(4):
            if not ctx.is_replaying:
                stage.note(number)
            yield ctx.call_activity(echo, input=number)
        return "done"

    stage.worker([flow], [echo])
    return [stage.run(flow), stage.log]


@scenario
def new_uuid(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = ctx.new_uuid()
        yield ctx.call_activity(echo, input=first)
        stage.note(first)
        second, third = ctx.new_uuid(), ctx.new_uuid()
        yield ctx.create_timer(timedelta(milliseconds=20))
        stage.note(second)
        versions = {uuid.UUID(one).version for one in (first, second, third)}
        return [len({first, second, third}), sorted(versions)]

    stage.worker([flow], [echo])
    outcome = stage.run(flow)
    return [outcome, len(set(stage.log))]


@scenario
def new_uuid_by_its_recipe(stage: Stage) -> Any:
    """The uuid is the name-based one of instance, clock and counter."""

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        clock = ctx.current_utc_datetime.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        space = uuid.uuid5(uuid.NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")
        expected = [str(uuid.uuid5(space, f"{ctx.instance_id}_{clock}_{n}")) for n in range(3)]
        made = [ctx.new_uuid() for _number in range(3)]
        return made == expected

    stage.worker([flow])
    return stage.run(flow)


@scenario
def clock_goes_on_between_turns(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        times = [ctx.current_utc_datetime]
        for _number in range(3):
            yield ctx.create_timer(timedelta(milliseconds=30))
            times.append(ctx.current_utc_datetime)
        return [times == sorted(times), len(set(times))]

    stage.worker([flow])
    return stage.run(flow)


@scenario
def clock_is_the_same_on_replay(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        stage.note(ctx.current_utc_datetime.isoformat())
        yield ctx.call_activity(echo)
        yield ctx.call_activity(echo)

    stage.worker([flow], [echo])
    stage.run(flow)
    return len(set(stage.log))


@scenario
def attributes(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return [ctx.instance_id, ctx.parent_instance_id, ctx.version]

    stage.worker([flow])
    return [stage.run(flow), stage.run(flow, id="Two with spaces/é", version="9")]


@scenario
def names_of_functions(stage: Stage) -> Any:
    def Counter(ctx: Any, _: Any) -> None:  # noqa: N802 - names of entities are lower-cased elsewhere
        """An entity."""

    return [
        task.get_name(echo),
        task.get_entity_name(Counter),
        attempt(task.get_name, lambda ctx, _: None)["raised"],
    ]


@scenario
def unusual_ids(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(echo)
        return ctx.instance_id

    stage.worker([flow], [echo])
    ids = ["with space", "UPPER", "ünï/çode", "a:b:c", "x" * 90, "%s'\";--"]
    return [stage.run(flow, id=id)["output"] == id for id in ids]


@scenario
def local_state_is_rebuilt(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        seen: dict[str, int] = {}
        for name in ("a", "b", "a", "c", "a"):
            seen[name] = seen.get(name, 0) + (yield ctx.call_activity(echo, input=1))
        return seen

    stage.worker([flow], [echo])
    return stage.run(flow)
