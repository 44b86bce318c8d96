"""Order approval, the worker: large orders wait for a person's answer, but not for ever."""

from __future__ import annotations

import sys
from datetime import timedelta

from orders import ADDRESS, Answer, Order

from durabletask import task
from durabletask.worker import TaskHubGrpcWorker


def ask_for_approval(ctx: task.ActivityContext, order: Order) -> None:
    print(f"{ctx.orchestration_id}: please approve {order.quantity} x {order.product}", flush=True)


def place_order(ctx: task.ActivityContext, order: Order) -> str:
    print(f"{ctx.orchestration_id}: ordered {order.quantity} x {order.product}", flush=True)
    return f"ordered {order.quantity} x {order.product}"


def purchase(ctx: task.OrchestrationContext, order: Order):
    if order.cost < 1000:
        receipt = yield ctx.call_activity(place_order, input=order)
        return f"{receipt}, no approval needed"

    yield ctx.call_activity(ask_for_approval, input=order)
    ctx.set_custom_status("waiting for approval")
    answered = ctx.wait_for_external_event("answer", data_type=Answer)
    too_late = ctx.create_timer(timedelta(seconds=order.patience_seconds))
    winner = yield task.when_any([answered, too_late])
    if winner == too_late:
        return "cancelled, nobody answered in time"

    too_late.cancel()
    answer = answered.get_result()
    if not answer.approved:
        return f"refused by {answer.by}"
    receipt = yield ctx.call_activity(place_order, input=order)
    return f"{receipt}, approved by {answer.by}"


def main() -> None:
    with TaskHubGrpcWorker(host_address=ADDRESS) as worker:
        worker.add_orchestrator(purchase)
        worker.add_activity(ask_for_approval)
        worker.add_activity(place_order)
        worker.start()
        print("working", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
