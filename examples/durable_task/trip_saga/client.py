"""Trip, the client: trips of two versions, one that is not possible, and one of a version from the future."""

from __future__ import annotations

import os

from durabletask.azuremanaged.client import DurableTaskSchedulerClient

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "http://localhost:8080")
TASKHUB = os.environ.get("TASKHUB", "trips")


def stops(*places: str) -> list[dict]:
    return [{"kind": kind, "place": place} for place in places for kind in ("flight", "hotel")]


def main() -> None:
    client = DurableTaskSchedulerClient(
        host_address=ADDRESS, secure_channel=False, taskhub=TASKHUB, token_credential=None
    )
    trips = {
        "old": (stops("Rome"), "1.0"),
        "new": (stops("Rome", "Paris"), "2.0"),
        "impossible": (stops("Rome", "Atlantis"), "2.0"),
        "too-new": (stops("Rome"), "3.0"),
    }
    with client:
        for name, (plan, version) in trips.items():
            client.schedule_new_orchestration("trip", input=plan, instance_id=name, version=version)
            state = client.wait_for_orchestration_completion(name, timeout=60)
            if state.failure_details is not None:
                print(f"{name}: {state.failure_details.error_type}", flush=True)
            else:
                print(f"{name}: {state.get_output()}", flush=True)


if __name__ == "__main__":
    main()
