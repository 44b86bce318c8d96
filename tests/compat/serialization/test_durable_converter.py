"""The default converter: what the Durable Task SDK's does, and the values which that one refuses."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import logging
import sys
from collections.abc import (
    Collection,
    Iterable,
    MutableMapping,
    MutableSequence,
    Set as AbstractSet,
)
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic
import pytest

from durabletask.serialization import (
    DEFAULT_DATA_CONVERTER,
    AttributeDict,
    DurableDataConverter,
    JsonDataConverter,
    NamedRecord,
)

from . import cases
from .test_json_converter import OF_ITS_TIME, SDK

CONVERTER = DurableDataConverter()
MARK = "__durabletask_type__"

# Where the SDK reads a text in another way, and why it is not followed there.
READ_BETTER = {
    "annotated": "the type inside is meant",
    "dataclass of an unknown type": "one type that cannot be resolved does not make the others unknown",
    "datetime of text": "the SDK cannot make one of a text",
    "decimal of float": "its digits are those of the text",
    "hook converter": "the hook is given this converter",
    "iterable": "it is as good a list as a sequence",
    "named tuple": "the SDK puts all items into the first field",
    "named tuple of object": "the same",
    "named tuple single": "the same",
    "new type": "the type that it is made of is meant",
    "set hint": "a set is asked for",
    "timedelta of int": "days are not what a plain number says",
    "typed dict": "its fields have types",
}
COERCED_BETTER = {
    "converter": "the hook is given this converter",
    "tuple is no list": "its items are what is asked for",
    "tuple stays": "its items have a type",
}
NAMED_TUPLES = {"named tuple", "named tuple single", "named tuple inside", "named tuple with hook"}


def there_and_back(value: Any, into: Any = None) -> Any:
    return CONVERTER.deserialize(CONVERTER.serialize(value), into)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "JsonDataConverter", DurableDataConverter)


@pytest.mark.usefixtures("ours")
class TestBesideTheSdk:
    @pytest.mark.parametrize("name", cases.WRITES)
    def test_what_the_sdk_writes_is_written_so(self, name: str) -> None:
        recorded = SDK["writes"][name]
        written = cases.written(cases.WRITES[name])
        if name not in NAMED_TUPLES and ("text" in recorded or "error" in written):
            assert written == recorded

    @pytest.mark.parametrize(
        "name", [n for n in cases.READS if n not in OF_ITS_TIME and n not in READ_BETTER]
    )
    def test_texts_are_read_alike(self, name: str) -> None:
        recorded = SDK["reads"][name]
        if recorded.get("type") == "dict":
            recorded = recorded | {"type": "AttributeDict"}
        observed = cases.read(*cases.READS[name])
        if observed.get("type") == "dict":
            observed |= {"type": "AttributeDict"}
        assert observed == recorded

    @pytest.mark.parametrize("name", READ_BETTER)
    def test_or_better_for_a_reason(self, name: str) -> None:
        assert cases.read(*cases.READS[name]) != SDK["reads"][name]

    @pytest.mark.parametrize("name", cases.COERCIONS)
    def test_values_are_coerced_alike_or_better(self, name: str) -> None:
        is_alike = cases.coerced(*cases.COERCIONS[name]) == SDK["coercions"][name]
        assert is_alike is (name not in COERCED_BETTER)

    @pytest.mark.parametrize("name", cases.FOLLOWED)
    def test_annotations_that_the_sdk_knows_are_followed_alike(self, name: str) -> None:
        better = {"named tuple with hook"} & {name}
        assert cases.followed(cases.FOLLOWED[name]) is (bool(better) or SDK["followed"][name])

    @pytest.mark.parametrize("name", cases.FOLLOWED_BY_OURS_ONLY)
    def test_annotations_of_more_values_are_followed(self, name: str) -> None:
        assert cases.followed(cases.FOLLOWED_BY_OURS_ONLY[name])


VALUES: list[tuple[Any, str, str]] = [
    (datetime(2026, 3, 1, 9), "datetime", "2026-03-01T09:00:00"),
    (datetime(2026, 3, 1, 9, tzinfo=UTC), "datetime", "2026-03-01T09:00:00+00:00"),
    (date(2026, 3, 1), "date", "2026-03-01"),
    (time(9, 30, 0, 5), "time", "09:30:00.000005"),
    (timedelta(days=1, seconds=30.5), "timedelta", "P1DT30.5S"),
    (Decimal("1.50"), "decimal", "1.50"),
    (UUID(int=5), "uuid", "00000000-0000-0000-0000-000000000005"),
    (b"\x00\xff", "bytes", "AP8="),
    (bytearray(b"a"), "bytearray", "YQ=="),
    (PurePosixPath("/a/b"), "posix_path", "/a/b"),
    (PureWindowsPath("C:/a"), "windows_path", "C:\\a"),
    (Path("a/b"), "path", str(Path("a/b"))),
]


class TestValues:
    @pytest.mark.parametrize(("value", "name", "text"), VALUES)
    def test_is_marked_with_its_name(self, value: Any, name: str, text: str) -> None:
        written = CONVERTER.serialize([value])
        assert written is not None
        assert json.loads(written) == [{MARK: name, "value": text}]

    @pytest.mark.parametrize(("value", "name", "text"), VALUES)
    def test_comes_back_without_a_type(self, value: Any, name: str, text: str) -> None:
        again = there_and_back(value)
        assert again == value
        assert type(again) is type(value)

    @pytest.mark.parametrize(("value", "name", "text"), VALUES)
    def test_comes_back_with_its_type_from_a_plain_text_too(
        self, value: Any, name: str, text: str
    ) -> None:
        for plain in (json.dumps(text), DurableDataConverter(marks=False).serialize(value)):
            again = CONVERTER.deserialize(plain, type(value))
            assert again == value
            assert type(again) is type(value)

    @pytest.mark.parametrize(("value", "name", "text"), VALUES)
    def test_is_passed_on_raw_where_it_does_not_fit(self, value: Any, name: str, text: str) -> None:
        assert CONVERTER.deserialize('{"not": "this"}', type(value)) == {"not": "this"}

    def test_keeps_its_offset_but_not_its_zone(self) -> None:
        at = datetime(2026, 7, 1, 9, tzinfo=ZoneInfo("Europe/Zurich"))
        again = there_and_back(at)
        assert again == at
        assert again.tzinfo == timezone(timedelta(hours=2))

    def test_stays_naive(self) -> None:
        assert there_and_back(datetime(2026, 7, 1)).tzinfo is None

    def test_is_a_datetime_in_utc_where_others_write_z(self) -> None:
        again = CONVERTER.deserialize('"2026-03-01T09:00:00Z"', datetime)
        assert again == datetime(2026, 3, 1, 9, tzinfo=UTC)

    def test_of_a_derived_type_is_of_the_type_it_is_derived_from(self) -> None:
        class Stamp(datetime):
            pass

        class Id(UUID):
            pass

        again = there_and_back([Stamp(2026, 1, 1), Id(int=5), PurePath("a")])
        assert again == [datetime(2026, 1, 1), UUID(int=5), PurePath("a")]
        assert type(again[0]) is datetime

    def test_of_a_derived_type_with_a_hook_is_written_by_it(self) -> None:
        class Stamp(datetime):
            def to_json(self) -> Any:
                return self.year

        class Day(date, enum.Enum):
            FIRST = (2026, 1, 1)

        assert CONVERTER.serialize(Stamp(2026, 1, 1)) == "2026"
        assert "2026-01-01" in str(CONVERTER.serialize(Day.FIRST))

    def test_is_found_at_any_depth(self) -> None:
        at = datetime(2026, 1, 1)
        order = {"lines": [{"due": at, "tags": {"a"}}], "by": SimpleNamespace(at=at)}
        again = there_and_back(order)
        assert again.lines[0].due == again.by.at == at
        assert again.lines[0].tags == {"a"}

    @pytest.mark.parametrize(
        "value", [object(), range(2), 1j, collections.deque([1]), (x for x in [1]), cases.Line]
    )
    def test_that_is_not_known_is_refused_by_name(self, value: Any) -> None:
        name = type(value).__name__
        with pytest.raises(TypeError, match=f"'dict'.*'{name}'") as caught:
            CONVERTER.serialize({"a": [value]})
        assert isinstance(caught.value.__cause__, TypeError)

    def test_may_be_deep(self) -> None:
        deep: Any = 1
        for _ in range(sys.getrecursionlimit() // 2):
            deep = [deep]
        assert CONVERTER.serialize(deep) == JsonDataConverter().serialize(deep)

    def test_that_is_too_deep_is_refused(self) -> None:
        depth = sys.getrecursionlimit() * 10
        deep: Any = 1
        for _ in range(depth):
            deep = [deep]
        for converter in (CONVERTER, JsonDataConverter()):
            with pytest.raises(ValueError, match="nested too deeply"):
                converter.serialize(deep)
            with pytest.raises(ValueError, match="nested too deeply"):
                converter.deserialize("[" * depth + "]" * depth)

    def test_that_holds_itself_is_refused(self) -> None:
        ring: dict[str, Any] = {}
        ring["again"] = [ring]
        for value in (ring, SimpleNamespace(ring=ring)):
            with pytest.raises(ValueError, match="Circular"):
                CONVERTER.serialize(value)

    def test_may_be_held_twice(self) -> None:
        line = {"a": 1}
        assert there_and_back([line, line, (line,)]) == [line, line, [line]]


class TestMarks:
    @pytest.mark.parametrize(
        "plain",
        [
            {MARK: "datetime", "value": "2026-01-01T00:00:00"},
            {MARK: "set", "value": []},
            {MARK: "namedtuple", "a": 1},
            {MARK: "object", "value": {}},
            {MARK: None},
            {f"~{MARK}": 1, MARK: 2, f"~~{MARK}": 3, f"x{MARK}": 4},
            {"a": [{MARK: {MARK: "uuid"}}]},
        ],
    )
    def test_of_the_programs_own_is_a_key(self, plain: Any) -> None:
        again = there_and_back(plain)
        assert again == plain
        assert type(again) is AttributeDict

    @pytest.mark.parametrize(
        "text",
        [
            '{"__durabletask_type__": "datetime", "value": "tomorrow"}',
            '{"__durabletask_type__": "datetime", "value": 5}',
            '{"__durabletask_type__": "datetime"}',
            '{"__durabletask_type__": "datetime", "value": "2026-01-01", "more": 1}',
            '{"__durabletask_type__": "set", "value": {}}',
            '{"__durabletask_type__": "timedelta", "value": "P999999999999D"}',
            '{"__durabletask_type__": "decimal", "value": "one"}',
            '{"__durabletask_type__": "uuid", "value": 5}',
            '{"__durabletask_type__": "bytes", "value": "*"}',
            '{"__durabletask_type__": "bytes", "value": [300]}',
            '{"__durabletask_type__": "os.system", "value": "x"}',
            '{"__durabletask_type__": ["set"], "value": []}',
            '{"__durabletask_type__": {}, "value": []}',
        ],
    )
    def test_that_means_nothing_is_a_key(self, text: str) -> None:
        again = CONVERTER.deserialize(text)
        assert again == json.loads(text)
        assert there_and_back(again) == again

    def test_is_not_written_for_readers_in_other_languages(self) -> None:
        plain = DurableDataConverter(marks=False)
        value = {
            "at": date(2026, 1, 1),
            "tags": {"b", "a"},
            "p": cases.Point(1, 2),
            "d": Decimal(1),
        }
        assert (
            plain.serialize(value)
            == '{"at": "2026-01-01", "tags": ["a", "b"], "p": [1, 2], "d": "1"}'
        )
        assert plain.deserialize(CONVERTER.serialize(value)) == value

    def test_is_a_plain_object_for_the_sdks_converter(self) -> None:
        text = CONVERTER.serialize(cases.Point(1, 2))
        assert JsonDataConverter().deserialize(text) == {MARK: "namedtuple", "x": 1, "y": 2}

        @dataclass
        class Place:
            x: int
            y: int

        assert JsonDataConverter().deserialize(text, Place) == Place(1, 2)


class TestSets:
    def test_of_tuples_comes_back(self) -> None:
        value = {(1, ("a",)), (2, ())}
        assert there_and_back(value) == value

    def test_of_sets_comes_back(self) -> None:
        value = {frozenset({1}), frozenset()}
        assert there_and_back(value) == value

    def test_of_named_tuples_comes_back(self) -> None:
        assert there_and_back({cases.Point(1)}) == {cases.Point(1)}

    def test_of_dataclasses_is_a_list_unless_it_is_asked_for(self) -> None:
        value = {cases.Frozen(x=1), cases.Frozen(x=2)}
        assert there_and_back(value) == [{"x": 1, "y": 0.5}, {"x": 2, "y": 0.5}]
        assert there_and_back(value, set[cases.Frozen]) == value

    def test_is_made_of_an_array(self) -> None:
        assert CONVERTER.deserialize("[1, 1]", frozenset) == frozenset({1})
        again = CONVERTER.deserialize('["2026-01-01"]', AbstractSet[date])
        assert again == frozenset({date(2026, 1, 1)})


@dataclass
class Booking:
    at: datetime
    length: timedelta = timedelta(hours=1)
    price: Decimal | None = None
    tags: set[str] = field(default_factory=set)
    by: cases.Point | None = None
    later: list[date] = field(default_factory=list)


class Trip(TypedDict):
    start: date
    note: NotRequired[str]


class Leg(NamedTuple):
    start: datetime
    line: cases.Line
    days: int = 1


class Model(pydantic.BaseModel):
    at: datetime
    line: cases.Line
    tags: set[str] = set()
    alias: int = pydantic.Field(0, alias="Alias")


AT = datetime(2026, 3, 1, 9)
NOT_BY_THEMSELVES = [dict[str, Booking], tuple[Booking, int]]
BOOKING = Booking(AT, timedelta(0), Decimal("9.90"), {"a"}, cases.Point(1, 2), [AT.date()])


class TestTypes:
    @pytest.mark.parametrize("converter", [CONVERTER, DurableDataConverter(marks=False)])
    @pytest.mark.parametrize(
        ("value", "into"),
        [
            (BOOKING, Booking),
            (Booking(AT), Booking),
            ([BOOKING, None], list[Booking]),
            ({"a": BOOKING}, dict[str, Booking]),
            ((BOOKING, 1), tuple[Booking, int]),
            (Leg(AT, cases.Line("a"), 2), Leg),
            ({"start": AT.date()}, Trip),
            ([AT], Iterable[datetime]),
            ([AT], Collection[datetime]),
            ([AT], MutableSequence[datetime]),
            ({"a": {AT}}, MutableMapping[str, set[datetime]]),
            (AT, datetime | None),
            (None, datetime | None),
            (AT, Annotated[datetime, "x"]),
            ({"a": [AT]}, dict[str, list[datetime]]),
            (Model(at=AT, line=cases.Line("a"), tags={"b", "a"}, Alias=5), Model),
            ([Model(at=AT, line=cases.Line("a"))], list[Model]),
        ],
    )
    def test_gives_back_what_was_sent(
        self, converter: DurableDataConverter, value: Any, into: Any
    ) -> None:
        again = converter.deserialize(converter.serialize(value), into)
        assert again == value
        assert type(again) is type(value) or isinstance(value, dict)
        assert converter.coerce(value, into) == value
        assert converter.can_reconstruct(into) or into in NOT_BY_THEMSELVES

    def test_of_a_named_tuple_is_made_of_items_or_names(self) -> None:
        expected = Leg(AT, cases.Line("a"))
        items = '["2026-03-01T09:00:00", {"sku": "a"}]'
        names = '{"start": "2026-03-01T09:00:00", "line": {"sku": "a"}, "more": 1}'
        assert CONVERTER.deserialize(items, Leg) == expected
        assert CONVERTER.deserialize(names, Leg) == expected

    @pytest.mark.parametrize("text", ["[]", "[1, 2, 3, 4]", '"x"', "5", '{"line": 1}'])
    def test_of_a_named_tuple_is_left_where_it_does_not_fit(self, text: str) -> None:
        assert CONVERTER.deserialize(text, Leg) == json.loads(text)

    @pytest.mark.parametrize("text", ["[]", '"x"', "5"])
    def test_of_a_typed_dict_is_left_where_it_does_not_fit(self, text: str) -> None:
        assert CONVERTER.deserialize(text, Trip) == json.loads(text)

    def test_of_a_record_is_taken_off(self) -> None:
        record = there_and_back(cases.Point(1, 2))
        assert type(record) is NamedRecord
        assert CONVERTER.coerce(record, cases.Point) == cases.Point(1, 2)
        assert CONVERTER.coerce(record, tuple[str, str]) == ("1", "2")
        assert CONVERTER.coerce(record, list[int]) == [1, 2]

    def test_that_is_local_and_refers_to_itself_is_built(self) -> None:
        @dataclass
        class Node:
            at: date
            next: Node | None = None

        again = there_and_back(Node(AT.date(), Node(AT.date())), Node)
        assert again == Node(AT.date(), Node(AT.date()))

    def test_of_a_model_is_left_where_it_does_not_fit(self) -> None:
        assert CONVERTER.deserialize('{"at": 1}', Model) == {"at": 1}

    def test_of_a_dataclass_inside_a_dict_is_not_followed_by_itself(self) -> None:
        assert not CONVERTER.can_reconstruct(dict[str, cases.Line])
        assert not CONVERTER.can_reconstruct(tuple[cases.Line, int])
        assert CONVERTER.can_reconstruct(tuple[cases.Line, datetime])

    def test_leaves_a_line_in_the_log_where_it_does_not_fit(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "durabletask")
        assert CONVERTER.coerce("x", datetime) == "x"
        assert "does not fit datetime" in caplog.text

    def test_may_be_an_alias(self) -> None:
        space: dict[str, Any] = {"date": date}
        if sys.version_info >= (3, 12):
            exec("type Day = date", space)
        assert CONVERTER.deserialize('"2026-03-01"', space.get("Day", date)) == AT.date()


class TestDefault:
    def test_is_the_wide_converter_and_passes_for_the_sdks(self) -> None:
        assert type(DEFAULT_DATA_CONVERTER) is DurableDataConverter
        assert isinstance(DEFAULT_DATA_CONVERTER, JsonDataConverter)

    def test_reads_what_old_releases_marked(self) -> None:
        text = '{"__durabletask_autoobject__": true, "approver": "x"}'
        assert type(DEFAULT_DATA_CONVERTER.deserialize(text)) is SimpleNamespace
        assert DEFAULT_DATA_CONVERTER.deserialize(text, dict) == {"approver": "x"}

    def test_names_its_classes_where_programs_find_them(self) -> None:
        names = {kind.__module__ for kind in (DurableDataConverter, AttributeDict, NamedRecord)}
        assert names == {"durabletask.serialization"}

    def test_keeps_a_frozen_dataclass_equal(self) -> None:
        value = cases.Frozen(x=3)
        assert there_and_back(value, cases.Frozen) == value
        assert there_and_back(value) == dataclasses.asdict(value)
