"""Values: what the converter makes of them on the way in and out, and what types bring them back."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any, Optional, Union
from uuid import UUID

from durabletask import task
from durabletask.serialization import DataConverter, JsonDataConverter

from .book import scenario
from .stage import Stage, attempt

Pair = namedtuple("Pair", ["left", "right"])  # noqa: PYI024 - the older way is meant


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Line:
    product: str
    quantity: int = 1


@dataclass
class Order:
    id: str
    lines: list[Line] = field(default_factory=list)
    note: Optional[str] = None


class Money:
    """Says itself how it is written and read."""

    def __init__(self, amount: int, currency: str) -> None:
        self.amount, self.currency = amount, currency

    def to_json(self) -> Any:
        return {"amount": self.amount, "currency": self.currency}

    @classmethod
    def from_json(cls, data: Any) -> Money:
        return cls(data["amount"], data["currency"])


def kind(value: Any) -> Any:
    """Return a type and the value in JSON's types; a subclass of a JSON type counts as the type."""
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    for plain in (bool, int, float, str, dict, list):
        if isinstance(value, plain):
            return [plain.__name__, value]
    return [type(value).__name__, getattr(value, "__dict__", str(value))]


def sent(stage: Stage, value: Any) -> Any:
    """Send a value through an orchestration and an activity, untyped; tell how each of them saw it."""

    def see(ctx: task.ActivityContext, value: Any) -> Any:
        stage.note(kind(value))
        return value

    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        stage.note(kind(value))
        return (yield ctx.call_activity(see, input=value))

    stage.worker([flow], [see])
    outcome = attempt(stage.run, flow, value)
    if "raised" in outcome:
        return outcome["raised"]
    seen = [one for number, one in enumerate(stage.log) if number < 2]
    return [seen, outcome["returned"]]


@scenario
def unicode_text(stage: Stage) -> Any:
    return sent(stage, 'é 漢字 🙂 \u0000 "quoted" \\ \n')


@scenario
def large_numbers(stage: Stage) -> Any:
    return sent(stage, [2**63, -(2**70), 1e300, 0.1])


@scenario
def infinities(stage: Stage) -> Any:
    outcome = sent(stage, [float("inf"), float("-inf")])
    return repr(outcome)


@scenario
def nested_values(stage: Stage) -> Any:
    return sent(stage, {"a": [1, {"b": [None, True, {"c": []}]}], "": {}})


@scenario
def number_keys(stage: Stage) -> Any:
    return sent(stage, {1: "one", 2: "two"})


@scenario
def a_dataclass_untyped(stage: Stage) -> Any:
    return sent(stage, Order("o1", [Line("pen", 2)]))


@scenario
def a_tuple_untyped(stage: Stage) -> Any:
    return sent(stage, (1, "a", None))


@scenario
def a_named_tuple_untyped(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, pair: Any) -> Any:
        return [pair[0], pair[1], len(pair), list(pair)]

    stage.worker([flow])
    return attempt(stage.run, flow, Pair(1, "b"))


@scenario
def a_named_tuple_by_its_fields(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, pair: Any) -> Any:
        return [pair.left, pair.right]

    stage.worker([flow])
    return attempt(stage.run, flow, Pair(1, "b"))


@scenario
def a_namespace_by_its_fields(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, it: Any) -> Any:
        return [it.a, it.b.c]

    stage.worker([flow])
    return attempt(stage.run, flow, SimpleNamespace(a=1, b=SimpleNamespace(c=2)))


@scenario
def an_enum_untyped(stage: Stage) -> Any:
    return sent(stage, Colour.RED)


@scenario
def times(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, when: datetime) -> Any:
        return [isinstance(when, datetime), str(when)]

    stage.worker([flow])
    return attempt(stage.run, flow, datetime(2026, 1, 2, 3, 4, 5))


@scenario
def spans_of_time(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, span: timedelta) -> Any:
        return str(span)

    stage.worker([flow])
    return attempt(stage.run, flow, timedelta(minutes=5))


@scenario
def decimals(stage: Stage) -> Any:
    return sent(stage, Decimal("1.10"))


@scenario
def uuids(stage: Stage) -> Any:
    return sent(stage, UUID(int=7))


@scenario
def sets_and_bytes(stage: Stage) -> Any:
    return [
        attempt(stage.start, "x", value, id=f"v{number}").get("raised", "taken")
        for number, value in enumerate([{1, 2}, b"bytes"])
    ]


@scenario
def values_that_no_converter_takes(stage: Stage) -> Any:
    return [
        attempt(stage.client.schedule_new_orchestration, "x", input=value)["raised"]
        for value in (object(), stage.run, [object()])
    ]


# ---------------------------------------------------------------- typed


def typed(stage: Stage, flow: Any, value: Any) -> Any:
    stage.worker([flow])
    return attempt(stage.run, flow, value)


@scenario
def an_annotated_dataclass(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, order: Order) -> Any:
        return [type(order).__name__, type(order.lines[0]).__name__, order.lines[0].quantity]

    return typed(stage, flow, Order("o1", [Line("pen", 2)]))


@scenario
def an_annotated_dataclass_from_a_dict(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, order: Order) -> Any:
        return [type(order).__name__, order.id, order.lines, order.note]

    return typed(stage, flow, {"id": "o1", "unknown": 5})


@scenario
def an_annotated_dataclass_that_does_not_fit(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, order: Order) -> Any:
        return kind(order)

    return typed(stage, flow, {"lines": []})


@scenario
def an_optional_dataclass(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, line: Optional[Line]) -> Any:
        return None if line is None else [type(line).__name__, line.product]

    stage.worker([flow])
    return [stage.run(flow, Line("pen"), id="a"), stage.run(flow, None, id="b")]


@scenario
def a_list_of_dataclasses(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, lines: list[Line]) -> Any:
        return [type(line).__name__ for line in lines]

    return typed(stage, flow, [Line("pen"), Line("ink")])


@scenario
def a_sequence_of_dataclasses(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, lines: Sequence[Line]) -> Any:
        return [type(line).__name__ for line in lines]

    return typed(stage, flow, [Line("pen")])


@scenario
def a_union(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, line: Union[Line, None]) -> Any:
        return type(line).__name__

    return typed(stage, flow, Line("pen"))


@scenario
def a_type_with_hooks(stage: Stage) -> Any:
    def double(ctx: task.ActivityContext, money: Money) -> Money:
        return Money(money.amount * 2, money.currency)

    def flow(ctx: task.OrchestrationContext, money: Money) -> Any:
        doubled = yield ctx.call_activity(double, input=money)
        return [type(money).__name__, type(doubled).__name__, doubled.amount, doubled.currency]

    stage.worker([flow], [double])
    return attempt(stage.run, flow, Money(5, "EUR"))


@scenario
def the_return_annotation_of_an_activity(stage: Stage) -> Any:
    def make(ctx: task.ActivityContext, _: Any) -> Line:
        return Line("pen", 3)

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        line = yield ctx.call_activity(make)
        by_name = yield ctx.call_activity("make")
        asked = yield ctx.call_activity("make", return_type=Line)
        return [type(line).__name__, isinstance(by_name, dict), type(asked).__name__]

    stage.worker([flow], [make])
    return stage.run(flow)


@scenario
def an_annotation_of_int_is_not_applied(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, number: int) -> Any:
        return kind(number)

    return typed(stage, flow, "5")


@scenario
def an_enum_by_its_type(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        colour = yield ctx.wait_for_external_event("colour", data_type=Colour)
        return [type(colour).__name__, colour.name if isinstance(colour, Colour) else colour]

    stage.worker([flow])
    stage.start(flow)
    stage.client.raise_orchestration_event("one", "colour", data=Colour.BLUE)
    return stage.finish()


# ---------------------------------------------------------------- converters


class Shouting(DataConverter):
    """Writes JSON behind a word of its own."""

    def serialize(self, value: Any) -> str | None:
        return None if value is None else "shout:" + json.dumps(value).upper()

    def deserialize(self, data: str | None, target_type: Any = None) -> Any:
        if data is None:
            return None
        return json.loads(data.removeprefix("shout:").lower())

    def coerce(self, value: Any, target_type: Any = None) -> Any:
        return value


@scenario
def a_converter_of_ones_own(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        return [value, (yield ctx.call_activity("see", input="Abc"))]

    def see(ctx: task.ActivityContext, value: Any) -> Any:
        return f"{value}!"

    stage.worker([flow], [see], data_converter=Shouting())
    it = stage.new_client(data_converter=Shouting())
    id = it.schedule_new_orchestration(flow, input={"Key": "Value"}, instance_id="one")
    state = it.wait_for_orchestration_completion(id, timeout=10)
    return [state.serialized_input, state.serialized_output, state.get_output()]


@scenario
def the_strict_converter_asked_for(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        return kind(value)

    strict = JsonDataConverter()
    stage.worker([flow], data_converter=strict)
    it = stage.new_client(data_converter=strict)
    id = it.schedule_new_orchestration(flow, input=Pair(1, 2), instance_id="one")
    state = it.wait_for_orchestration_completion(id, timeout=10)
    refused = attempt(it.schedule_new_orchestration, flow, input=datetime(2026, 1, 1))
    return [state.serialized_input, state.get_output(), refused["raised"]]


@scenario
def the_strict_converter_writes(stage: Stage) -> Any:
    strict = JsonDataConverter()
    values = [
        None,
        0,
        "é",
        [1, (2, 3)],
        {"a": None},
        1.5,
        True,
        Pair(1, 2),
        Colour.RED,
        Line("pen"),
        Order("o", [Line("ink", 2)]),
        Money(1, "EUR"),
        SimpleNamespace(a=1),
    ]
    return [strict.serialize(value) for value in values]


@scenario
def the_strict_converter_refuses(stage: Stage) -> Any:
    strict = JsonDataConverter()
    values = [datetime(2026, 1, 1), timedelta(1), Decimal(1), {1}, b"b", object(), UUID(int=1)]
    return [attempt(strict.serialize, value).get("raised") for value in values]


@scenario
def the_strict_converter_reads(stage: Stage) -> Any:
    strict = JsonDataConverter()
    pairs: list[tuple[str | None, Any]] = [
        (None, None),
        (None, int),
        ('"5"', int),
        ("5", str),
        ('"red"', Colour),
        ("[1, 2]", tuple),
        ('{"product": "pen"}', Line),
        ('{"quantity": 2}', Line),
        ("[1,2]", list[int]),
        ('{"amount": 1, "currency": "EUR"}', Money),
        ("null", Line),
        ("{}", None),
    ]
    return [
        kind(attempt(strict.deserialize, text, into).get("returned", "refused"))
        for text, into in pairs
    ]


@scenario
def the_strict_converter_can_reconstruct(stage: Stage) -> Any:
    strict = JsonDataConverter()
    types: list[Any] = [
        int,
        str,
        dict,
        Line,
        Money,
        Colour,
        Pair,
        datetime,
        Optional[Line],
        list[Line],
        Sequence[Line],
        dict[str, Line],
        Any,
        None,
    ]
    return [bool(strict.can_reconstruct(one)) for one in types]
