"""Order approval, the client: four orders, of which two are answered."""

from __future__ import annotations

from orders import ADDRESS, Answer, Order

from durabletask.client import TaskHubGrpcClient

ORDERS = {
    "pencils": Order("pencil", 10, 12.50),
    "laptops": Order("laptop", 3, 4200.0),
    "yacht": Order("yacht", 1, 900_000.0),
    "piano": Order("piano", 1, 23_000.0, patience_seconds=1.0),
}


def main() -> None:
    with TaskHubGrpcClient(host_address=ADDRESS) as client:
        for name, order in ORDERS.items():
            client.schedule_new_orchestration("purchase", input=order, instance_id=name)
        client.raise_orchestration_event("laptops", "answer", data=Answer(True, "Ada"))
        client.raise_orchestration_event("yacht", "answer", data=Answer(False, "Grace"))
        for name in ORDERS:
            state = client.wait_for_orchestration_completion(name, timeout=60)
            print(f"{name}: {state.get_output()}", flush=True)


if __name__ == "__main__":
    main()
