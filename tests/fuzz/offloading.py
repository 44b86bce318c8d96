"""References to payloads that are kept elsewhere: forged, damaged, to what is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from durable_async import DecodeError
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.offload import FolderPayloads, MemoryPayloads, OffloadingBackend
from durable_async.backends.offload.references import (
    MARK,
    Reference,
    encode_with,
    escaped,
    is_marked,
    read_mark,
    tree_of,
)
from durable_async.errors import BackendError, CorruptHistoryError
from durable_async.hub import TaskHub
from durable_async.registry import Registry
from durable_async.testing import VirtualEnvironment

from . import strategies as s
from .places import run
from .stored import event_bytes
from .target import Target

TOKENS = ["memory:1", "memory:99", "folder:../../etc/passwd", "folder:" + "0" * 64, "", ":", "\0"]


def references() -> st.SearchStrategy[bytes]:
    """What may stand in a store in place of a payload."""
    made = st.builds(
        lambda digest, size, token: MARK + f"{digest}:{size}:{token}".encode(errors="replace"),
        st.sampled_from(["0" * 32, "", "x"]),
        st.integers(-1, 9) | st.just(10**20) | st.just("\u0663"),
        st.sampled_from(TOKENS) | s.texts(),
    )
    return s.damaged(st.one_of(made, st.binary(max_size=8).map(escaped), st.just(MARK)))


def _probe_mark(data: bytes) -> None:
    if is_marked(data):
        found = read_mark(data)
        if isinstance(found, Reference):
            assert read_mark(found.encode()) == found


def _probe_body(data: bytes) -> None:
    tree = tree_of(data)
    if tree is not None:
        assert encode_with(tree, lambda payload: payload) == data


def _probe_folder(token: str) -> None:
    FolderPayloads(Path("/nonexistent")).get(token)


def _probe_resolving(case: tuple[bytes, str]) -> None:
    """Let a client and a query meet a payload that is not what it should be."""
    data, place = case

    async def story(env: VirtualEnvironment) -> None:
        store = MemoryStore(env)
        backend = OffloadingBackend(
            MemoryBackend(store), MemoryPayloads(threshold_bytes=10), environment=env
        )
        await backend.open()
        try:
            hub = TaskHub(backend, registry=Registry(), environment=env)
            await hub.client.start("a", "x" * 50, instance_id="damaged")
            await hub.client.start("a", "y" * 50, instance_id="sound")
            instance: Any = store.hub("default").instances["damaged"]
            setattr(instance, place, data)
            listed = [one.instance_id async for one in hub.client.query(payloads=True)]
            assert sorted(listed) == ["damaged", "sound"], "one damaged payload hides others"
            sound = await hub.client.get("sound")
            assert sound is not None
            assert sound.input() == "y" * 50
            state = await hub.client.get("damaged")
            assert state is not None
            state.output()
            state.custom_status()
        finally:
            await backend.close()

    run(story)


_UNREADABLE = (DecodeError, CorruptHistoryError, BackendError)

TARGETS = (
    Target(
        name="reference", inputs=references(), probe=_probe_mark, refusals=(), is_raw=True, share=30
    ),
    Target(
        name="body", inputs=event_bytes(), probe=_probe_body, refusals=(), is_raw=True, share=30
    ),
    Target(
        name="folder-token",
        inputs=s.texts(),
        probe=_probe_folder,
        refusals=(LookupError, FileNotFoundError),
        examples=60,
    ),
    Target(
        name="offloaded",
        inputs=st.tuples(references(), st.sampled_from(["output", "custom_status"])),
        probe=_probe_resolving,
        refusals=_UNREADABLE,
        examples=40,
        share=2,
    ),
)
