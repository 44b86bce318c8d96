"""What the worker and the client of the order approval both know."""

from __future__ import annotations

import os
from dataclasses import dataclass

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")


@dataclass
class Order:
    product: str
    quantity: int
    cost: float
    patience_seconds: float = 86_400.0


@dataclass
class Answer:
    approved: bool
    by: str
