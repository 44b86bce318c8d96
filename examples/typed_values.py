"""Types: values come back as annotated, after any number of restarts. They are stored as JSON.

Dataclasses, enums, named tuples, dates, UUIDs, Decimals, sets and bytes need nothing; msgspec structs and pydantic models work too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from durable_async import EncodeError, OrchestrationContext, TaskHub, activity, orchestrator


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Position(NamedTuple):
    row: int
    seat: int


@dataclass(frozen=True)
class Ticket:
    id: UUID
    price: Decimal
    day: date
    size: Size
    seats: list[Position]
    tags: set[str]
    code: bytes


@activity
async def reserve(ticket: Ticket, hold: timedelta) -> Ticket:
    assert isinstance(ticket.price, Decimal)
    assert isinstance(ticket.seats[0], Position)
    assert hold == timedelta(minutes=15)
    return ticket


@orchestrator
async def box_office(ctx: OrchestrationContext, ticket: Ticket) -> Ticket:
    return await ctx.call_activity(reserve, ticket, timedelta(minutes=15))


@orchestrator
async def takes_anything(ctx: OrchestrationContext, value: object) -> None: ...


async def main() -> None:
    ticket = Ticket(
        id=UUID(int=7),
        price=Decimal("19.90"),
        day=date(2026, 5, 1),
        size=Size.LARGE,
        seats=[Position(1, 2), Position(1, 3)],
        tags={"balcony"},
        code=b"\x00\xff",
    )
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(box_office, ticket)
        print(f"came back equal: {await handle.wait() == ticket}")
        try:
            await hub.client.start(takes_anything, {"values": [1.0, float("nan")]})
        except EncodeError as error:  # found before anything was written
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
