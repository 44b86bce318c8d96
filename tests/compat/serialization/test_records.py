"""Objects whose keys are attributes, and records that remember the names of their items."""

from __future__ import annotations

import copy
import json
import pickle
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest

from durabletask.serialization import (
    DEFAULT_DATA_CONVERTER,
    AttributeDict,
    JsonDataConverter,
    NamedRecord,
)

from .cases import Single


def there_and_back(value: Any) -> Any:
    return DEFAULT_DATA_CONVERTER.deserialize(DEFAULT_DATA_CONVERTER.serialize(value))


class TestObjects:
    def test_has_its_keys_as_attributes_all_the_way_down(self) -> None:
        order = there_and_back({"id": 1, "lines": [{"sku": "a", "price": {"cents": 5}}]})
        assert order.lines[0].price.cents == 5
        assert order["lines"][0]["price"]["cents"] == 5

    def test_keeps_the_methods_of_a_dict(self) -> None:
        made = AttributeDict(items=1, copy=2, approver="x")
        assert sorted(made.items()) == [("approver", "x"), ("copy", 2), ("items", 1)]
        assert made["items"] == 1
        assert made.copy() == made

    def test_says_what_it_has_where_a_name_is_missing(self) -> None:
        with pytest.raises(AttributeError, match=r"no 'aprover', only \['approver'\]") as caught:
            AttributeDict(approver="x").aprover  # noqa: B018
        assert caught.value.name == "aprover"
        assert not hasattr(AttributeDict(), "approver")

    def test_is_asked_for_no_key_by_a_protocol(self) -> None:
        made = AttributeDict({"__deepcopy__": 1, "__html__": 2, "__len__": 3})
        assert copy.deepcopy(made) == made
        assert not hasattr(made, "__html__")
        assert len(made) == 3

    def test_is_changed_by_attribute_and_by_key_alike(self) -> None:
        made = AttributeDict(status="new")
        made.status = "done"
        made.by = "x"
        assert made == {"status": "done", "by": "x"}
        del made.by
        assert made == {"status": "done"}

    @pytest.mark.parametrize("name", ["items", "get", "__class__", "__x__"])
    def test_does_not_let_its_methods_be_hidden(self, name: str) -> None:
        made = AttributeDict()
        with pytest.raises(AttributeError, match="for itself"):
            setattr(made, name, 1)
        with pytest.raises(AttributeError, match="for itself"):
            delattr(made, name)
        assert made == {}

    def test_cannot_lose_what_it_does_not_have(self) -> None:
        with pytest.raises(AttributeError, match="no 'x'"):
            del AttributeDict().x

    def test_passes_for_a_dict(self) -> None:
        made = AttributeDict(a=1)

        def by_name(**named: Any) -> dict[str, Any]:
            return named

        assert isinstance(made, dict)
        assert by_name(**made) == {"a": 1}
        assert json.dumps(made) == '{"a": 1}'
        assert made | {"b": 2} == {"a": 1, "b": 2}
        match made:
            case {"a": found}:
                assert found == 1

    def test_lists_its_names(self) -> None:
        names = dir(AttributeDict({"approver": 1, "a b": 2}))
        assert "approver" in names
        assert "items" in names
        assert "a b" not in names

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_is_pickled(self, protocol: int) -> None:
        made = AttributeDict(a=AttributeDict(b=1))
        again = pickle.loads(pickle.dumps(made, protocol))
        assert again.a.b == 1

    def test_is_copied_one_level_or_all(self) -> None:
        made = AttributeDict(a=AttributeDict(b=1))
        assert copy.copy(made).a is made.a
        assert copy.deepcopy(made).a is not made.a
        assert made.copy().a.b == 1


class TestRecords:
    def test_has_names_and_places(self) -> None:
        record = there_and_back(Single("manager@company.com"))
        assert record.approver == record[0] == "manager@company.com"
        (approver,) = record
        assert approver == "manager@company.com"
        assert repr(record) == "NamedRecord(approver='manager@company.com')"

    def test_is_equal_to_its_items(self) -> None:
        record = NamedRecord({"x": 1, "y": 2})
        assert record == (1, 2)
        assert record == [1, 2]
        assert [1, 2] == record  # noqa: SIM300 - the list is asked first
        assert (1, 2) == record  # noqa: SIM300
        assert record != [1]
        assert record != {"x": 1, "y": 2}
        assert hash(record) == hash((1, 2))
        assert {record: "found"}[(1, 2)] == "found"  # type: ignore[index]

    def test_finds_its_fields_before_a_tuples_methods(self) -> None:
        made = namedtuple("made", "count index")(5, 6)  # noqa: PYI024
        record = there_and_back(made)
        assert (record.count, record.index) == (5, 6)

    def test_is_like_a_named_tuple(self) -> None:
        record = NamedRecord([("x", 1), ("y", 2)])
        assert record._fields == ("x", "y")
        assert record._asdict() == {"x": 1, "y": 2}
        assert record._replace(y=3).y == 3
        with pytest.raises(ValueError, match=r"no \['z'\], only \['x', 'y'\]"):
            record._replace(z=3)

    def test_says_what_it_has_where_a_name_is_missing(self) -> None:
        with pytest.raises(AttributeError, match=r"no 'y', only \['x'\]"):
            NamedRecord({"x": 1}).y  # noqa: B018

    def test_cannot_be_changed(self) -> None:
        record: Any = NamedRecord({"x": 1})
        with pytest.raises(AttributeError, match=r"_replace\(x=\.\.\.\)"):
            record.x = 2
        with pytest.raises(AttributeError, match="cannot be changed"):
            del record.x
        assert record.x == 1

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_is_pickled_and_copied(self, protocol: int) -> None:
        record = NamedRecord({"x": [1], "count": 2})
        for again in (
            pickle.loads(pickle.dumps(record, protocol)),
            copy.copy(record),
            copy.deepcopy(record),
        ):
            assert (again.x, again.count) == ([1], 2)
            assert again == record

    def test_is_written_as_an_array_by_others(self) -> None:
        record = NamedRecord({"x": 1, "y": [2]})
        assert json.dumps(record) == "[1, [2]]"
        assert JsonDataConverter().serialize(record) == "[1, [2]]"

    def test_goes_on_as_a_record(self) -> None:
        record = there_and_back(there_and_back({"a": Single(Single(1))}))
        assert record.a.approver.approver == 1


@pytest.mark.parametrize(
    "approval",
    [
        {"approver": "x"},
        SimpleNamespace(approver="x"),
        Single("x"),
        AttributeDict(approver="x"),
        NamedRecord({"approver": "x"}),
    ],
)
def test_whatever_an_approval_is_sent_as_it_has_its_approver(approval: Any) -> None:
    assert there_and_back(approval).approver == "x"
