"""The verbs of the clients of the `durabletask` names: any texts, values and times, of the types that the SDK asks for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from durable_async.errors import DurableError
from durable_async.testing import VirtualEnvironment
from durabletask._runtime.rpc import RpcError
from durabletask._runtime.verbs import Verbs
from durabletask.client import EntityQuery, OrchestrationQuery, OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.serialization import DEFAULT_DATA_CONVERTER

from . import strategies as s
from .places import MEMORY, fresh_hub, run
from .reading import read_all
from .target import Target

REFUSALS = (RpcError, ValueError, TypeError, OverflowError, DurableError)
"""What programs of the SDK expect: its codes, and what Python says of arguments."""

_log = logging.getLogger("durable_async.fuzz")
_ids = st.one_of(st.sampled_from(["there", "more", "absent"]), s.texts())
_names = st.one_of(s.sound_texts(), s.texts())
_values = st.one_of(s.sound_values(), s.values())
_times = st.none() | s.datetimes()
_spans = st.none() | st.sampled_from([timedelta(0), timedelta.min, timedelta(1), timedelta.max])
_reasons = st.none() | s.texts()
_tags = st.none() | st.dictionaries(s.texts(), s.texts(), max_size=3)
_statuses = st.none() | st.lists(st.sampled_from(OrchestrationStatus), max_size=3)
_numbers = st.none() | s.integers()


def _entity(name: str, key: str) -> EntityInstanceId:
    try:
        return EntityInstanceId(name, key)
    except ValueError:
        return EntityInstanceId("counter", "a")


_entities = st.builds(_entity, _names, s.texts())
_queries = st.builds(
    OrchestrationQuery,
    created_time_from=_times,
    created_time_to=_times,
    runtime_status=_statuses,
    max_instance_count=_numbers,
    fetch_inputs_and_outputs=st.booleans(),
    instance_id_prefix=_reasons,
)
_entity_queries = st.builds(
    EntityQuery,
    instance_id_starts_with=_reasons,
    last_modified_from=_times,
    last_modified_to=_times,
    include_state=st.booleans(),
    page_size=_numbers,
)

VERBS: Mapping[str, tuple[tuple[st.SearchStrategy[Any], ...], dict[str, Any]]] = {
    "schedule_new_orchestration": (
        (_names,),
        {
            "input": _values,
            "instance_id": st.none() | _ids,
            "start_at": _times,
            "tags": _tags,
            "version": _reasons,
        },
    ),
    "restart_orchestration": ((_ids,), {"restart_with_new_instance_id": st.booleans()}),
    "raise_orchestration_event": ((_ids, _names), {"data": _values}),
    "terminate_orchestration": ((_ids,), {"output": _values, "recursive": st.booleans()}),
    "suspend_orchestration": ((_ids,), {"reason": _reasons}),
    "resume_orchestration": ((_ids,), {"reason": _reasons}),
    "rewind_orchestration": ((_ids,), {"reason": _reasons}),
    "purge_orchestration": ((_ids,), {"recursive": st.booleans()}),
    "purge_orchestrations_by": (
        (),
        {
            "created_time_from": _times,
            "created_time_to": _times,
            "runtime_status": _statuses,
            "timeout": _spans,
        },
    ),
    "get_orchestration_state": ((_ids,), {}),
    "get_orchestration_history": ((_ids,), {}),
    "get_all_orchestration_states": ((), {"orchestration_query": st.none() | _queries}),
    "list_instance_ids": (
        (),
        {
            "runtime_status": _statuses,
            "completed_time_from": _times,
            "completed_time_to": _times,
            "page_size": _numbers,
            "continuation_token": _reasons,
        },
    ),
    "signal_entity": ((_entities, _names), {"input": _values, "signal_time": _times}),
    "get_entity": ((_entities,), {}),
    "get_all_entities": ((), {"entity_query": st.none() | _entity_queries}),
    "clean_entity_storage": ((), {}),
}

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def calls() -> st.SearchStrategy[Call]:
    """A verb, and what it is given."""
    return st.sampled_from(sorted(VERBS)).flatmap(
        lambda verb: st.tuples(
            st.just(verb), st.tuples(*VERBS[verb][0]), st.fixed_dictionaries(VERBS[verb][1])
        )
    )


def _probe(call: Call) -> None:
    """Make a call; what is refused has left nothing, and what is accepted can be read by everybody."""
    verb, args, kwargs = call

    async def story(env: VirtualEnvironment) -> None:
        async with fresh_hub(env, MEMORY) as hub:
            verbs = Verbs(hub, converter=DEFAULT_DATA_CONVERTER, logger=_log)
            await verbs.schedule_new_orchestration("a", input=1, instance_id="there")
            await verbs.schedule_new_orchestration("b", instance_id="more")
            await verbs.signal_entity(EntityInstanceId("counter", "a"), "add", input=1)
            before = await read_all(hub, shown=False)
            try:
                await getattr(verbs, verb)(*args, **kwargs)
            except REFUSALS:
                assert await read_all(hub, shown=False) == before, "refused, and something is left"
                raise
            await read_all(hub, shown=False)
            for state in await verbs.get_all_orchestration_states():
                state.get_input()
            await verbs.get_all_entities()

    run(story)


TARGETS = (
    Target(
        name="compat-client",
        inputs=calls(),
        probe=_probe,
        refusals=REFUSALS,
        examples=100,
        share=2,
    ),
)
