"""The documented patterns in real time, with timers of a fraction of a second."""

from __future__ import annotations

import threading
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from packaging import version as versions

from durabletask import task

from .book import scenario
from .stage import Stage, attempt

MOMENT = timedelta(milliseconds=200)
AGES = timedelta(hours=24)

Approval = namedtuple("Approval", ["approver"])  # noqa: PYI024 - as documented


@dataclass
class Order:
    cost: float
    product: str
    quantity: int


@dataclass
class ApprovalRecord:
    approver: str


def hello(ctx: task.ActivityContext, name: str) -> str:
    return f"Hello {name}!"


def chained(ctx: task.OrchestrationContext, _: Any) -> Any:
    first = yield ctx.call_activity(hello, input="Tokyo")
    second = yield ctx.call_activity(hello, input="Seattle")
    third = yield ctx.call_activity(hello, input="London")
    return [first, second, third]


@scenario
def chaining(stage: Stage) -> Any:
    stage.worker([chained], [hello])
    return [stage.run(chained), stage.history()]


@scenario
def chaining_stops_at_a_failure(stage: Stage) -> Any:
    def hello(ctx: task.ActivityContext, name: str) -> str:
        stage.note(name)
        if name == "Seattle":
            raise ValueError("no greeting there")
        return name

    stage.worker([chained], [hello])
    return [stage.run(chained), stage.log]


@scenario
def chaining_without_the_activity(stage: Stage) -> Any:
    stage.worker([chained])
    return stage.run(chained)


# ---------------------------------------------------------------- fan-out


def fan(stage: Stage, size: int, batch: int | None = None) -> Any:
    """Fan out to activities that end in the reverse order; return the outcome and how many ran at once at most."""
    lock = threading.Lock()
    running: list[int] = []
    most = [0]

    def get_work_items(ctx: task.ActivityContext, _: Any) -> list[int]:
        return list(range(size))

    def process(ctx: task.ActivityContext, item: int) -> int:
        with lock:
            running.append(item)
            most[0] = max(most[0], len(running))
        stage.pause(0.002 * (10 - item % 10))
        with lock:
            running.remove(item)
        return item * item

    def out_and_in(ctx: task.OrchestrationContext, _: Any) -> Any:
        items = yield ctx.call_activity(get_work_items)
        results: list[int] = []
        for start in range(0, len(items), batch or max(1, len(items))):
            part = items[start : start + (batch or len(items))]
            results += yield task.when_all([ctx.call_activity(process, input=i) for i in part])
        return {"items": len(items), "results": results, "total": sum(results)}

    stage.worker([out_and_in], [get_work_items, process])
    outcome = stage.run(out_and_in)
    return [outcome, "no more than a batch" if batch and most[0] <= batch else "any number"]


@scenario
def fan_out_and_in(stage: Stage) -> Any:
    return fan(stage, 10)


@scenario
def fan_out_to_two(stage: Stage) -> Any:
    return fan(stage, 2)


@scenario
def batched_fan_out(stage: Stage) -> Any:
    return fan(stage, 23, batch=10)


@scenario
def batched_fan_out_to_nothing(stage: Stage) -> Any:
    return fan(stage, 0, batch=10)


@scenario
def fan_out_to_nothing(stage: Stage) -> Any:
    def nothing(ctx: task.OrchestrationContext, _: Any) -> Any:
        results = yield task.when_all([])
        return {"results": results, "total": sum(results)}

    stage.worker([nothing])
    return stage.run(nothing, timeout=6)


# ---------------------------------------------------------------- human interaction


class Purchase:
    """The purchase order of the documentation, with its activities noted."""

    def __init__(self, stage: Stage, wait: timedelta = AGES, fails: bool = False) -> None:
        def send_approval_request(ctx: task.ActivityContext, order: Order) -> None:
            stage.note("request", order.product)
            if fails:
                raise ConnectionError("no mail today")

        def place_order(ctx: task.ActivityContext, order: Order) -> str:
            stage.note("order", order.quantity)
            return f"Order placed: {order.quantity}x {order.product}"

        def purchase(ctx: task.OrchestrationContext, order: Order) -> Any:
            if order.cost < 1000:
                return "Auto-approved"
            yield ctx.call_activity(send_approval_request, input=order)
            approval = ctx.wait_for_external_event("approval_received")
            too_late = ctx.create_timer(wait)
            winner = yield task.when_any([approval, too_late])
            if winner == too_late:
                return "Canceled - approval timeout"
            yield ctx.call_activity(place_order, input=order)
            return f"Approved by '{approval.get_result().approver}'"

        self.stage = stage
        self.orchestrator = purchase
        stage.worker([purchase], [send_approval_request, place_order])

    def begin(self, cost: float) -> None:
        self.stage.start(self.orchestrator, Order(cost, "Laptop", 3))

    def requested(self) -> None:
        self.stage.until(lambda: self.stage.log)

    def approve(self, data: Any, name: str = "approval_received") -> None:
        self.stage.client.raise_orchestration_event("one", name, data=data)

    def end(self) -> Any:
        return [self.stage.finish(), self.stage.log]


def approved_with(stage: Stage, data: Any, name: str = "approval_received") -> Any:
    purchase = Purchase(stage)
    purchase.begin(2000)
    purchase.requested()
    purchase.approve(data, name)
    return purchase.end()


@scenario
def approval_not_needed(stage: Stage) -> Any:
    purchase = Purchase(stage)
    purchase.begin(999.99)
    return purchase.end()


@scenario
def approval_never_comes(stage: Stage) -> Any:
    purchase = Purchase(stage, MOMENT)
    purchase.begin(1000)
    end = purchase.end()
    purchase.approve({"approver": "too late"})
    stage.pause(0.1)
    return [end, purchase.end()]


@scenario
def approval_by_named_tuple(stage: Stage) -> Any:
    return approved_with(stage, Approval("manager@company.com"))


@scenario
def approval_by_dataclass(stage: Stage) -> Any:
    return approved_with(stage, ApprovalRecord("manager@company.com"))


@scenario
def approval_by_namespace(stage: Stage) -> Any:
    return approved_with(stage, SimpleNamespace(approver="manager@company.com"))


@scenario
def approval_by_dict(stage: Stage) -> Any:
    return approved_with(stage, {"approver": "manager@company.com"})


@scenario
def approval_in_other_case(stage: Stage) -> Any:
    return approved_with(stage, Approval("manager@company.com"), "APPROVAL_received")


@scenario
def approval_before_the_wait(stage: Stage) -> Any:
    stage.start("purchase", Order(2000, "Laptop", 3))
    stage.client.raise_orchestration_event(
        "one", "approval_received", data=Approval("manager@company.com")
    )
    return Purchase(stage).end()


@scenario
def approval_twice(stage: Stage) -> Any:
    stage.start("purchase", Order(2000, "Laptop", 3))
    for who in ("first", "second"):
        stage.client.raise_orchestration_event("one", "approval_received", data=Approval(who))
    return Purchase(stage).end()


@scenario
def approval_request_fails(stage: Stage) -> Any:
    purchase = Purchase(stage, fails=True)
    purchase.begin(2000)
    return [purchase.end(), stage.history()]


@scenario
def approval_while_suspended(stage: Stage) -> Any:
    purchase = Purchase(stage)
    purchase.begin(2000)
    purchase.requested()
    stage.client.suspend_orchestration("one")
    suspended = stage.until_status("SUSPENDED")
    purchase.approve(Approval("manager@company.com"))
    stage.pause(0.1)
    meanwhile = [stage.status(), list(stage.log)]
    stage.client.resume_orchestration("one")
    return [suspended, meanwhile, purchase.end()]


@scenario
def approval_terminated(stage: Stage) -> Any:
    purchase = Purchase(stage)
    purchase.begin(2000)
    purchase.requested()
    stage.client.terminate_orchestration("one", output="not today")
    return purchase.end()


# ---------------------------------------------------------------- timers


@scenario
def delayed(stage: Stage) -> Any:
    def start_activity(ctx: task.ActivityContext, _: Any) -> None:
        stage.note("start")

    def continue_activity(ctx: task.ActivityContext, _: Any) -> None:
        stage.note("continue")

    def delayed(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(start_activity)
        before = ctx.current_utc_datetime
        yield ctx.create_timer(MOMENT)
        stage.note("early" if ctx.current_utc_datetime < before + MOMENT else "on time")
        yield ctx.call_activity(continue_activity)
        return "Done"

    stage.worker([delayed], [start_activity, continue_activity])
    outcome = stage.run(delayed)
    return [outcome, sorted(set(stage.log)), stage.history()]


def scheduled_for(stage: Stage, when: datetime) -> Any:
    def act(ctx: task.ActivityContext, _: Any) -> str:
        return "acted"

    def scheduled(ctx: task.OrchestrationContext, scheduled_time: datetime) -> Any:
        delay = scheduled_time - ctx.current_utc_datetime
        if delay > timedelta(0):
            yield ctx.create_timer(delay)
        return (yield ctx.call_activity(act))

    stage.worker([scheduled], [act])
    return [attempt(stage.run, scheduled, when), attempt(stage.history)]


@scenario
def scheduled_for_a_naive_time(stage: Stage) -> Any:
    now = datetime.now(UTC).replace(tzinfo=None)
    return scheduled_for(stage, now + timedelta(seconds=1))


@scenario
def scheduled_for_an_aware_time(stage: Stage) -> Any:
    return scheduled_for(stage, datetime.now(UTC) + timedelta(seconds=1))


@scenario
def scheduled_for_the_past(stage: Stage) -> Any:
    return scheduled_for(stage, datetime(2020, 1, 1))


# ---------------------------------------------------------------- sub-orchestrations


def activity_a(ctx: task.ActivityContext, data: str) -> str:
    if data == "bad":
        raise ValueError("bad data")
    return f"a({data})"


def activity_b(ctx: task.ActivityContext, data: str) -> str:
    return f"b({data})"


def child(ctx: task.OrchestrationContext, data: str) -> Any:
    first = yield ctx.call_activity(activity_a, input=data)
    return (yield ctx.call_activity(activity_b, input=first))


def parent(ctx: task.OrchestrationContext, items: list[str]) -> Any:
    calls = [ctx.call_sub_orchestrator(child, input=item) for item in items]
    return (yield task.when_all(calls))


@scenario
def sub_orchestrations(stage: Stage) -> Any:
    stage.worker([parent, child], [activity_a, activity_b])
    return [stage.run(parent, ["x", "y", "z"]), stage.outcome_of("one:0002")]


@scenario
def sub_orchestrations_of_nothing(stage: Stage) -> Any:
    stage.worker([parent, child], [activity_a, activity_b])
    return stage.run(parent, [], timeout=6)


@scenario
def sub_orchestration_fails(stage: Stage) -> Any:
    stage.worker([parent, child], [activity_a, activity_b])
    return [stage.run(parent, ["x", "bad", "z"]), stage.outcome_of("one:0002")]


@scenario
def sub_orchestration_not_registered(stage: Stage) -> Any:
    stage.worker([parent], [activity_a, activity_b])
    return stage.run(parent, ["x"])


# ---------------------------------------------------------------- eternal, monitor


@scenario
def eternal(stage: Stage) -> Any:
    def periodic_work(ctx: task.ActivityContext, iteration: int) -> None:
        stage.note(iteration)

    def eternal(ctx: task.OrchestrationContext, iteration: int) -> Any:
        yield ctx.call_activity(periodic_work, input=iteration)
        yield ctx.create_timer(timedelta(milliseconds=50))
        ctx.continue_as_new(iteration + 1)

    stage.worker([eternal], [periodic_work])
    stage.start(eternal, 0)
    stage.until(lambda: len(stage.log) >= 4)
    stage.client.terminate_orchestration("one")
    outcome = stage.finish()
    return [outcome, stage.log[:4], len(stage.history()) < 8]


def monitored(stage: Stage, statuses: list[str], attempts: int = 10) -> Any:
    def check_job_status(ctx: task.ActivityContext, job: str) -> str:
        stage.note(job)
        status = statuses[min(len(stage.log), len(statuses)) - 1]
        if status == "broken":
            raise RuntimeError("no answer")
        return status

    def monitoring(ctx: task.OrchestrationContext, job: str) -> Any:
        for attempt_number in range(attempts):
            status = yield ctx.call_activity(check_job_status, input=job)
            if status == "completed":
                return {"status": "success", "attempts": attempt_number + 1}
            if status == "failed":
                return {"status": "failed", "attempts": attempt_number + 1}
            yield ctx.create_timer(timedelta(milliseconds=30))
        return {"status": "timeout", "attempts": attempts}

    stage.worker([monitoring], [check_job_status])
    return [stage.run(monitoring, "job-7"), stage.history().count("TimerFired"), len(stage.log)]


@scenario
def monitor_sees_success(stage: Stage) -> Any:
    return monitored(stage, ["running", "running", "completed"])


@scenario
def monitor_sees_a_failure(stage: Stage) -> Any:
    return monitored(stage, ["running", "failed"])


@scenario
def monitor_gives_up(stage: Stage) -> Any:
    return monitored(stage, ["running"])


@scenario
def monitor_cannot_ask(stage: Stage) -> Any:
    return monitored(stage, ["running", "broken"])


# ---------------------------------------------------------------- versions


def compare_version(one: str | None, other: str) -> int:
    """Compare two versions as the documentation does."""
    if one is None:
        return -1
    try:
        left, right = versions.parse(one), versions.parse(other)
        return (left > right) - (left < right)
    except versions.InvalidVersion:
        return (one > other) - (one < other)


@scenario
def versioned(stage: Stage) -> Any:
    def say_hello(ctx: task.ActivityContext, name: str) -> str:
        return f"Hello {name}"

    def say_goodbye(ctx: task.ActivityContext, name: str) -> str:
        return f"Goodbye {name}"

    def versioned(ctx: task.OrchestrationContext, name: str) -> Any:
        results = [(yield ctx.call_activity(say_hello, input=name))]
        if compare_version(ctx.version, "2.0.0") >= 0:
            results.append((yield ctx.call_activity(say_goodbye, input=name)))
        return {"version": ctx.version, "results": results}

    stage.worker([versioned], [say_hello, say_goodbye])
    asked = [None, "", "1.0.0", "2.0.0", "10.0.0", "v2", "1.10", "2.0.0rc1", "abc"]
    return [
        stage.run(versioned, "Ada", id=f"v{i}", version=version) for i, version in enumerate(asked)
    ]


@scenario
def by_name_and_by_function(stage: Stage) -> Any:
    stage.worker([chained], [hello])
    return [
        stage.run("chained", id="by-name"),
        stage.run(chained, id="by-function"),
        stage.client.get_orchestration_state("by-function").name,
    ]
