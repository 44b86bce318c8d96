"""Site monitor, the client: takes a site down and up again while it is watched, and then ends the watch."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from durabletask.client import TaskHubGrpcClient

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")


def seen(client: TaskHubGrpcClient, id: str, status: str) -> Any:
    """Wait until the monitor has seen the site in a status, and return how often it looked."""
    while (known := client.get_orchestration_state(id).get_custom_status() or {}).get(
        "status"
    ) != status:
        time.sleep(0.05)
    return known["checks"]


def main(site: str) -> None:
    page = Path(site)
    page.write_text("up", encoding="utf-8")
    with TaskHubGrpcClient(host_address=ADDRESS) as client:
        watch = {"site": str(page.absolute()), "seconds": 0.1}
        id = client.schedule_new_orchestration("monitor", input=watch, instance_id="monitor-1")
        checks = [seen(client, id, "up")]
        for status in ("down", "up"):
            page.write_text(status, encoding="utf-8")
            checks.append(seen(client, id, status))
        print("looked again and again:", checks == sorted(set(checks)), flush=True)

        client.raise_orchestration_event(id, "stop", data="the client")
        state = client.wait_for_orchestration_completion(id, timeout=60)
        print(state.get_output(), flush=True)
        kinds = [type(event).__name__ for event in client.get_orchestration_history(id)]
        print("history of one life only:", kinds.count("TaskScheduledEvent") <= 2, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
