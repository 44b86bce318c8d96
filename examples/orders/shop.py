"""The pages of the shop, and what is behind their forms: all that the two applications share."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from orders import PRICES, STOCK_AT_FIRST, Order, Progress, Step, Stock, hub, process_order

from durable_async import (
    Client,
    InstanceNotFoundError,
    OrchestrationState,
    QueryOrder,
    ValidationError,
)

HERE = Path(__file__).parent
STATIC = HERE / "static"
HOSTS = ["localhost", "127.0.0.1", "::1"]  # nobody logs in here, so it answers to these names alone
APPROVAL_SECONDS = float(os.environ.get("ORDERS_APPROVAL_SECONDS", "120"))

_templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)


class OrderView:
    """An order as its page shows it."""

    def __init__(self, state: OrchestrationState) -> None:
        self.id = state.instance_id
        self.order = state.input(Order)
        progress = state.custom_status(Progress) or Progress()
        self.steps = [Step(state.created_at, "Order placed"), *progress.steps]
        self.doing = "" if state.is_ended else progress.doing
        self.decide_until = None if state.is_ended else progress.decide_until
        self.failed = state.failure is not None
        self.verdict = state.failure.message if state.failure else state.output(str)

    @property
    def seconds_left(self) -> float:
        if self.decide_until is None:
            return 0.0
        return max((self.decide_until - datetime.now(UTC)).total_seconds(), 0.0)


def is_own_page(host: str | None, headers: Mapping[str, str]) -> bool:
    """Tell whether a form was sent by a page of this shop, or by a program; any other page could send one, too."""
    return host in HOSTS and headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")


async def place(client: Client, form: Mapping[str, Any]) -> str:
    """Start the orchestration of an order, and return its id.

    Raises:
        ValueError: With a sentence for the customer.
    """
    order = _read(form)
    order_id = f"order-{secrets.token_hex(4)}"
    await client.start(process_order, order, instance_id=order_id)
    return order_id


async def decide(client: Client, order_id: str, form: Mapping[str, Any]) -> None:
    """Tell an order what was decided; one that has ended does not hear it, and one that never was cannot."""
    with suppress(InstanceNotFoundError, ValidationError):
        await client.raise_event(order_id, "decision", form.get("decision") == "approve")


async def home_page(client: Client, message: str = "") -> str:
    """Return the page with the form, and the latest orders."""
    recent, _ = await client.query_page(
        names=[process_order.name], order=QueryOrder.NEWEST, limit=20, payloads=True
    )
    stock = {product: await _in_stock(client, product) for product in PRICES}
    return _render(
        "home.html", message=message, orders=[*map(OrderView, recent)], stock=stock, prices=PRICES
    )


async def order_page(client: Client, order_id: str, dashboard: str = "") -> str | None:
    """Return the page of an order, or nothing if there is none with this id; ``dashboard`` is where that is found."""
    try:
        state = await client.get(order_id)
    except ValidationError:  # no order can have this id
        return None
    if state is None or state.name != process_order.name:
        return None
    explanation = await hub.explain(order_id)
    stands = [stand.lines[-1] for stand in explanation.stands]
    return _render(
        "order.html", view=OrderView(state), stands=stands, pid=os.getpid(), dashboard=dashboard
    )


def _read(form: Mapping[str, Any]) -> Order:
    customer, product, quantity = (
        str(form.get(name, "")).strip() for name in ("customer", "product", "quantity")
    )
    count = int(quantity) if quantity.isdecimal() else 0
    return Order(customer, product, count, APPROVAL_SECONDS)


async def _in_stock(client: Client, product: str) -> int:
    stock = await client.get_entity(Stock.entity_id(product), Stock)
    return STOCK_AT_FIRST if stock is None or stock.state is None else stock.state


def _render(template: str, **values: Any) -> str:
    return _templates.get_template(template).render(values)
