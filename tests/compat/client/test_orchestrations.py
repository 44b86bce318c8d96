"""Starting, watching, steering and purging orchestrations, on each store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask._runtime.rpc import RpcError, StatusCode
from durabletask._runtime.states import (
    OrchestrationFailedError,
    OrchestrationQuery,
    OrchestrationStatus as Status,
)
from durabletask._runtime.verbs import Verbs
from durabletask.internal.orchestrator_service_pb2 import OrchestrationIdReusePolicy
from durabletask.serialization import DEFAULT_DATA_CONVERTER

from .conftest import Opener
from .programs import broken, registry


@pytest.fixture(autouse=True)
def nothing_is_broken() -> None:
    broken.clear()


def policy(*statuses: Status) -> OrchestrationIdReusePolicy:
    return OrchestrationIdReusePolicy(replaceableStatus=[status.value for status in statuses])


async def status_of(verbs: Verbs, instance_id: str) -> Status | None:
    state = await verbs.get_orchestration_state(instance_id)
    return None if state is None else state.runtime_status


async def until(verbs: Verbs, instance_id: str, status: Status) -> None:
    with anyio.fail_after(3600):
        while await status_of(verbs, instance_id) is not status:
            await anyio.sleep(0.1)


def refused(code: StatusCode) -> Any:
    return pytest.raises(RpcError, match=f"^{code.name}: ")


def test_a_started_orchestration_is_told_of_in_the_words_of_the_sdk(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        began = datetime.fromtimestamp(env.now_us() / 1e6, UTC).replace(tzinfo=None)
        async with opened(env, registry) as verbs:
            instance_id = await verbs.schedule_new_orchestration(
                "echo", input={"a": [1, None]}, tags={"team": "a"}
            )
            assert len(instance_id) == 32
            state = await verbs.wait_for_orchestration_completion(instance_id)
        assert state is not None
        assert (state.instance_id, state.name) == (instance_id, "echo")
        assert state.runtime_status is Status.COMPLETED
        assert str(state.runtime_status) == "COMPLETED"
        assert state.created_at.tzinfo is None
        assert began <= state.created_at <= state.last_updated_at
        assert state.serialized_input == state.serialized_output == '{"a": [1, null]}'
        assert state.get_output() == {"a": [1, None]}
        assert state.get_input(dict) == {"a": [1, None]}
        assert state.get_custom_status() is None
        state.raise_if_failed()

    virtual_time(story)


def test_a_failure_is_told_with_its_type(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("failing", instance_id="f")
            state = await verbs.wait_for_orchestration_completion("f", fetch_payloads=False)
        assert state is not None
        assert state.runtime_status is Status.FAILED
        assert state.get_custom_status() == "doomed"
        assert state.failure_details is not None
        assert state.failure_details.error_type == "builtins.LookupError"
        with pytest.raises(OrchestrationFailedError, match="'f' failed: lost") as caught:
            state.raise_if_failed()
        assert caught.value.failure_details is state.failure_details

    virtual_time(story)


def test_payloads_are_left_out_when_they_are_not_asked_for(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("echo", input=1, instance_id="e")
            assert (await verbs.wait_for_orchestration_completion("e")) is not None
            bare = await verbs.get_orchestration_state("e", fetch_payloads=False)
            begun = await verbs.wait_for_orchestration_start("e")
            full = await verbs.wait_for_orchestration_start("e", fetch_payloads=True)
        for state in (bare, begun):
            assert state is not None
            assert state.serialized_input is state.serialized_output is None
        assert full is not None
        assert full.get_output() == 1

    virtual_time(story)


def test_what_is_not_there_is_none_at_once(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            for name in ("nobody", "", "@counter@a", "x" * 1000):
                assert await verbs.get_orchestration_state(name) is None
                assert await verbs.wait_for_orchestration_start(name, timeout=3600) is None
                assert await verbs.wait_for_orchestration_completion(name, timeout=3600) is None
            await verbs.terminate_orchestration("nobody")
            assert (await verbs.purge_orchestration("nobody")).deleted_instance_count == 0
        assert env.monotonic() < 60

    virtual_time(story)


def test_a_wait_ends_in_time_and_says_where_it_stood(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("waiting", instance_id="w")
            await verbs.schedule_new_orchestration("unheard of", instance_id="u")
            with pytest.raises(TimeoutError, match="pending") as late:
                await verbs.wait_for_orchestration_start("u", timeout=5)
            assert type(late.value) is TimeoutError
            await verbs.wait_for_orchestration_start("w")
            for seconds in (5, 0.001, 0, -1):
                with pytest.raises(TimeoutError):
                    await verbs.wait_for_orchestration_completion("w", timeout=seconds)
            await verbs.raise_orchestration_event("w", "go")
            await verbs.wait_for_orchestration_completion("w", timeout=None)
            assert await verbs.wait_for_orchestration_completion("w", timeout=0) is not None

    virtual_time(story)


def test_ids_are_taken_unless_the_policy_lists_the_status(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("echo", input=1, instance_id="x")
            await verbs.wait_for_orchestration_completion("x")
            start = verbs.schedule_new_orchestration
            for none in (None, policy(), policy(Status.FAILED), policy(Status.RUNNING)):
                with refused(StatusCode.ALREADY_EXISTS):
                    await start("echo", input=2, instance_id="x", reuse_id_policy=none)
            await start("waiting", instance_id="x", reuse_id_policy=policy(Status.COMPLETED))
            await verbs.wait_for_orchestration_start("x")
            ended = policy(Status.COMPLETED, Status.FAILED, Status.TERMINATED)
            for none in (ended, policy(Status.PENDING)):
                with refused(StatusCode.ALREADY_EXISTS):
                    await start("echo", input=3, instance_id="x", reuse_id_policy=none)
            await start("echo", input=4, instance_id="x", reuse_id_policy=policy(Status.RUNNING))
            state = await verbs.wait_for_orchestration_completion("x")
            assert state is not None
            assert state.get_output() == 4
            for listed in (ended, policy(*Status)):
                await start("echo", input=5, instance_id="x", reuse_id_policy=listed)
                await verbs.wait_for_orchestration_completion("x")
            await start("echo", input=6, instance_id="y", reuse_id_policy=policy(Status.FAILED))

    virtual_time(story)


def test_a_start_may_be_later(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        naive = datetime.fromtimestamp(env.now_us() / 1e6, UTC).replace(tzinfo=None)
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration(
                "echo", instance_id="later", start_at=naive + timedelta(hours=1)
            )
            await anyio.sleep(3500)
            assert await status_of(verbs, "later") is Status.PENDING
            state = await verbs.wait_for_orchestration_completion("later", timeout=200)
            assert state is not None

    virtual_time(story)


@pytest.mark.parametrize(
    ("given", "default", "seen"),
    [(None, None, None), ("", "2.0", "2.0"), (None, "2.0", "2.0"), ("1.0", "2.0", "1.0")],
)
def test_a_version_is_the_callers_or_the_clients(
    opened: Opener, given: str | None, default: str | None, seen: str | None
) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry, default_version=default) as verbs:
            await verbs.schedule_new_orchestration("versioned", version=given, instance_id="v")
            state = await verbs.wait_for_orchestration_completion("v")
            assert state is not None
            assert state.get_output() == seen

    virtual_time(story)


def test_events_are_kept_and_case_does_not_matter(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("waiting", instance_id="w")
            await verbs.raise_orchestration_event("w", "GO", data={"by": "me"})
            state = await verbs.wait_for_orchestration_completion("w")
            assert state is not None
            assert state.get_output() == {"by": "me"}
            assert state.get_custom_status() == "waiting"
            await verbs.raise_orchestration_event("w", "go")
            with refused(StatusCode.NOT_FOUND):
                await verbs.raise_orchestration_event("nobody", "go")

    virtual_time(story)


def test_suspended_is_suspended_until_resumed(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("waiting", instance_id="w")
            await verbs.suspend_orchestration("w", reason="lunch")
            await verbs.suspend_orchestration("w")
            await until(verbs, "w", Status.SUSPENDED)
            await verbs.raise_orchestration_event("w", "go", data=1)
            await anyio.sleep(60)
            assert await status_of(verbs, "w") is Status.SUSPENDED
            await verbs.resume_orchestration("w")
            await verbs.resume_orchestration("w")
            state = await verbs.wait_for_orchestration_completion("w")
            assert state is not None
            assert state.get_output() == 1
            await verbs.suspend_orchestration("w")
            await verbs.resume_orchestration("w")
            for change in (verbs.suspend_orchestration, verbs.resume_orchestration):
                with refused(StatusCode.NOT_FOUND):
                    await change("nobody")

    virtual_time(story)


@pytest.mark.parametrize("recursive", [True, False])
def test_terminating_takes_the_children_along_if_told_so(opened: Opener, recursive: bool) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("parent", input="waiting", instance_id="p")
            with anyio.fail_after(60):
                while await verbs.get_orchestration_state("p-child") is None:
                    await anyio.sleep(0.1)
            await verbs.terminate_orchestration("p", output=[1], recursive=recursive)
            state = await verbs.wait_for_orchestration_completion("p")
            assert state is not None
            assert state.runtime_status is Status.TERMINATED
            assert state.get_output() == [1]
            assert state.failure_details is None
            await anyio.sleep(60)
            child = await status_of(verbs, "p-child")
            assert child is (Status.TERMINATED if recursive else Status.RUNNING)
            await verbs.terminate_orchestration("p", output=[2])
            assert (await verbs.get_orchestration_state("p")) == state

    virtual_time(story)


def test_a_failed_one_is_rewound_and_goes_on(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            broken.add('"x"')
            await verbs.schedule_new_orchestration("stepping", input="x", instance_id="r")
            await until(verbs, "r", Status.FAILED)
            broken.clear()
            await verbs.rewind_orchestration("r", reason="mended")
            state = await verbs.wait_for_orchestration_completion("r")
            assert state is not None
            assert state.get_output() == "x done"
            with refused(StatusCode.FAILED_PRECONDITION):
                await verbs.rewind_orchestration("r")
            with refused(StatusCode.NOT_FOUND):
                await verbs.rewind_orchestration("nobody")

    virtual_time(story)


def test_restarting(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("echo", input="a", instance_id="e")
            await verbs.wait_for_orchestration_completion("e")
            assert await verbs.restart_orchestration("e") == "e"
            await verbs.wait_for_orchestration_completion("e")
            other = await verbs.restart_orchestration("e", restart_with_new_instance_id=True)
            assert other != "e"
            state = await verbs.wait_for_orchestration_completion(other)
            assert state is not None
            assert state.get_output() == "a"
            await verbs.schedule_new_orchestration("waiting", instance_id="w")
            with refused(StatusCode.FAILED_PRECONDITION):
                await verbs.restart_orchestration("w")
            with refused(StatusCode.NOT_FOUND):
                await verbs.restart_orchestration("nobody")

    virtual_time(story)


@pytest.mark.parametrize(("recursive", "count"), [(True, 2), (False, 1)])
def test_purging_one(opened: Opener, recursive: bool, count: int) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("parent", input="waiting", instance_id="p")
            assert (await verbs.purge_orchestration("p")).deleted_instance_count == 0
            await verbs.wait_for_orchestration_start("p")
            await verbs.terminate_orchestration("p")
            await until(verbs, "p", Status.TERMINATED)
            await anyio.sleep(10)
            purged = await verbs.purge_orchestration("p", recursive)
            assert (purged.deleted_instance_count, purged.is_complete) == (count, True)
            assert await status_of(verbs, "p") is None
            assert await status_of(verbs, "p-child") is (None if recursive else Status.TERMINATED)

    virtual_time(story)


def test_purging_many(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            for number in range(3):
                await verbs.schedule_new_orchestration("echo", instance_id=f"e{number}")
                await verbs.wait_for_orchestration_completion(f"e{number}")
            await anyio.sleep(3600)
            middle = datetime.fromtimestamp(env.now_us() / 1e6, UTC)
            await verbs.schedule_new_orchestration("failing", instance_id="f")
            await verbs.wait_for_orchestration_completion("f")
            await verbs.schedule_new_orchestration("waiting", instance_id="w")
            await verbs.wait_for_orchestration_start("w")
            with pytest.raises(ValueError, match="more than zero"):
                await verbs.purge_orchestrations_by(timeout=timedelta())
            by = verbs.purge_orchestrations_by
            assert (await by(runtime_status=[Status.RUNNING])).deleted_instance_count == 0
            assert (await by(runtime_status=[Status.TERMINATED])).deleted_instance_count == 0
            purged = await by(created_time_to=middle, timeout=timedelta(minutes=1))
            assert (purged.deleted_instance_count, purged.is_complete) == (3, True)
            purged = await by(created_time_from=middle, runtime_status=[], recursive=True)
            assert (purged.deleted_instance_count, purged.is_complete) == (1, True)
            left = await verbs.get_all_orchestration_states()
            assert [state.instance_id for state in left] == ["w"]

    virtual_time(story)


def test_queries_meet_all_conditions_page_by_page(
    opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            for number in range(5):
                await verbs.schedule_new_orchestration(
                    "echo", input=number, instance_id=f"e{number}"
                )
                await verbs.wait_for_orchestration_completion(f"e{number}")
            await anyio.sleep(3600)
            middle = datetime.fromtimestamp(env.now_us() / 1e6, UTC)
            await verbs.schedule_new_orchestration("failing", instance_id="f")
            await verbs.wait_for_orchestration_completion("f")

            async def ids(**conditions: Any) -> list[str]:
                found = await verbs.get_all_orchestration_states(OrchestrationQuery(**conditions))
                return [state.instance_id for state in found]

            everything = ["e0", "e1", "e2", "e3", "e4", "f"]
            assert await ids() == everything
            assert "Received continuation token" not in caplog.text
            assert await ids(max_instance_count=2) == everything
            assert caplog.text.count("Received continuation token") == 2
            assert await ids(runtime_status=[]) == everything
            assert await ids(runtime_status=[Status.FAILED, Status.RUNNING]) == ["f"]
            assert await ids(runtime_status=[Status.CONTINUED_AS_NEW]) == []
            assert await ids(created_time_from=middle) == ["f"]
            assert await ids(created_time_to=middle.replace(tzinfo=None)) == everything[:5]
            assert await ids(instance_id_prefix="e", max_instance_count=None) == everything[:5]
            bare = await verbs.get_all_orchestration_states()
            assert {state.serialized_input for state in bare} == {None}
            full = await verbs.get_all_orchestration_states(
                OrchestrationQuery(fetch_inputs_and_outputs=True)
            )
            assert [state.get_output() for state in full] == [0, 1, 2, 3, 4, None]

    caplog.set_level("INFO", "durabletask-test")
    virtual_time(story)


def test_ids_are_listed_in_the_order_in_which_orchestrations_ended(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            for name in "abcd":
                await verbs.schedule_new_orchestration("waiting", instance_id=name)
                await verbs.wait_for_orchestration_start(name)
            for name in "cab":
                await anyio.sleep(60)
                await verbs.raise_orchestration_event(name, "go")
                await verbs.wait_for_orchestration_completion(name)
            await anyio.sleep(60)
            middle = datetime.fromtimestamp(env.now_us() / 1e6, UTC)
            await anyio.sleep(60)
            await verbs.schedule_new_orchestration("failing", instance_id="f")
            await verbs.wait_for_orchestration_completion("f")

            first = await verbs.list_instance_ids(page_size=2)
            assert first.items == ["c", "a"]
            assert first.continuation_token is not None
            assert "a" in first.continuation_token
            second = await verbs.list_instance_ids(
                page_size=2, continuation_token=first.continuation_token
            )
            assert (second.items, second.continuation_token) == (["b", "f"], None)
            assert (await verbs.list_instance_ids()).items == ["c", "a", "b", "f"]
            assert (await verbs.list_instance_ids([Status.FAILED])).items == ["f"]
            assert (await verbs.list_instance_ids([Status.RUNNING])).items == []
            assert (await verbs.list_instance_ids(completed_time_to=middle)).items == list("cab")
            assert (await verbs.list_instance_ids(completed_time_from=middle)).items == ["f"]
            with refused(StatusCode.INVALID_ARGUMENT):
                await verbs.list_instance_ids(continuation_token="nonsense")

    virtual_time(story)


def test_the_history_is_that_of_the_current_execution(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("twice", input=1, instance_id="t")
            await verbs.wait_for_orchestration_completion("t")
            events = await verbs.get_orchestration_history("t")
            assert [type(event).__name__ for event in events] == [
                "OrchestratorStartedEvent",
                "ExecutionStartedEvent",
                "OrchestratorCompletedEvent",
                "ExecutionCompletedEvent",
            ]
            assert await verbs.get_orchestration_history("t", execution_id="2") == events
            for instance_id, execution_id in (("t", "1"), ("nobody", None)):
                with refused(StatusCode.NOT_FOUND):
                    await verbs.get_orchestration_history(instance_id, execution_id=execution_id)

    virtual_time(story)


def test_what_cannot_be_is_refused_before_anything_is_written(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry, working=False) as verbs:
            start = verbs.schedule_new_orchestration
            with refused(StatusCode.INVALID_ARGUMENT):
                await start("echo", instance_id="@counter@a")
            with refused(StatusCode.INVALID_ARGUMENT):
                await start("echo", tags={"k": "v" * 1000})
            with pytest.raises(ValueError, match="lambda"):
                await start(lambda ctx, _: None)
            with pytest.raises(TypeError):
                await start("echo", input=object())
            with refused(StatusCode.RESOURCE_EXHAUSTED):
                await start("echo", input="x" * (64 * 1024 * 1024))
            assert await verbs.get_all_orchestration_states() == []
            assert DEFAULT_DATA_CONVERTER.serialize(None) is None

    virtual_time(story)
