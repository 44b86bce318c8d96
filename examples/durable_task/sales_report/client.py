"""Sales report, the client: asks for the report of a folder, tells how far it is, and prints it."""

from __future__ import annotations

import os
import sys
import time

from durabletask.client import TaskHubGrpcClient

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")


def main(folder: str) -> None:
    with TaskHubGrpcClient(host_address=ADDRESS) as client:
        id = client.schedule_new_orchestration("sales_report", input=folder)
        told = None
        while not (state := client.get_orchestration_state(id)).serialized_output:
            state.raise_if_failed()
            if (progress := state.get_custom_status()) != told:
                print(progress, flush=True)
                told = progress
            time.sleep(0.05)
        print(state.get_output(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
