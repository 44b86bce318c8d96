"""The names of the protocol's module, as plain Python. The numbers are those of the Durable Task SDK 1.12."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask.internal import orchestrator_service_pb2 as pb

STATUSES = [
    "RUNNING",
    "COMPLETED",
    "CONTINUED_AS_NEW",
    "FAILED",
    "CANCELED",
    "TERMINATED",
    "PENDING",
    "SUSPENDED",
]
CAPABILITIES = ["UNSPECIFIED", "HISTORY_STREAMING", "SCHEDULED_TASKS", "LARGE_PAYLOADS"]


def test_statuses_have_their_numbers() -> None:
    names = [f"ORCHESTRATION_STATUS_{name}" for name in STATUSES]
    assert [getattr(pb, name) for name in names] == list(range(8))
    assert pb.OrchestrationStatus.keys() == names
    assert pb.OrchestrationStatus.values() == list(range(8))
    assert pb.OrchestrationStatus.items() == list(zip(names, range(8), strict=True))


def test_capabilities_have_their_numbers() -> None:
    names = [f"WORKER_CAPABILITY_{name}" for name in CAPABILITIES]
    assert [getattr(pb, name) for name in names] == list(range(4))
    assert pb.WorkerCapability.keys() == names


def test_numbers_and_names_are_found_by_each_other() -> None:
    assert pb.OrchestrationStatus.Name(3) == "ORCHESTRATION_STATUS_FAILED"
    assert pb.OrchestrationStatus.Value("ORCHESTRATION_STATUS_FAILED") == 3
    assert pb.OrchestrationStatus.ORCHESTRATION_STATUS_FAILED == 3
    with pytest.raises(ValueError, match="no name defined for value 99"):
        pb.OrchestrationStatus.Name(99)
    with pytest.raises(ValueError, match="no value defined for name 'x'"):
        pb.OrchestrationStatus.Value("x")
    with pytest.raises(AttributeError, match="no 'x'"):
        pb.OrchestrationStatus.x  # noqa: B018


class TestReusePolicy:
    def test_has_the_statuses_that_are_replaced(self) -> None:
        policy = pb.OrchestrationIdReusePolicy(
            replaceableStatus=[pb.ORCHESTRATION_STATUS_COMPLETED, "ORCHESTRATION_STATUS_FAILED"]
        )
        policy.replaceableStatus.append("ORCHESTRATION_STATUS_TERMINATED")
        policy.replaceableStatus.extend([pb.ORCHESTRATION_STATUS_CANCELED])
        policy.replaceableStatus.insert(0, 0)
        assert list(policy.replaceableStatus) == [0, 1, 3, 5, 4]

    def test_has_none_to_begin_with(self) -> None:
        assert list(pb.OrchestrationIdReusePolicy().replaceableStatus) == []
        assert list(pb.OrchestrationIdReusePolicy(replaceableStatus=None).replaceableStatus) == []

    def test_is_equal_to_one_of_the_same_statuses(self) -> None:
        policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[1])
        assert policy == pb.OrchestrationIdReusePolicy(replaceableStatus=[1])
        assert policy != pb.OrchestrationIdReusePolicy()
        assert policy != [1]
        assert repr(policy) == "OrchestrationIdReusePolicy(replaceableStatus=[1])"
        with pytest.raises(TypeError, match="unhashable"):
            hash(policy)

    def test_is_copied(self) -> None:
        policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[1])
        other = pb.OrchestrationIdReusePolicy()
        other.CopyFrom(policy)
        policy.replaceableStatus.append(2)
        assert list(other.replaceableStatus) == [1]

    @pytest.mark.parametrize("status", [1.5, None, True, object()])
    def test_takes_no_status_that_is_none(self, status: Any) -> None:
        with pytest.raises(TypeError, match="a status is an int or a name"):
            pb.OrchestrationIdReusePolicy(replaceableStatus=[status])

    def test_takes_no_unknown_name(self) -> None:
        with pytest.raises(ValueError, match="no value defined for name 'x'"):
            pb.OrchestrationIdReusePolicy().replaceableStatus.append("x")

    def test_is_not_given_a_list_later_on(self) -> None:
        policy: Any = pb.OrchestrationIdReusePolicy()
        with pytest.raises(AttributeError):
            policy.replaceableStatus = [1]
