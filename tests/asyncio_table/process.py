"""Records the rows of the table, or replays what another process recorded. Run as a script, by any Python that has the dependencies.

python process.py record asyncio|uvloop task|callback FILE
python process.py replay asyncio|uvloop task|callback FILE     prints a verdict for each row, as JSON
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "invariants"), str(HERE.parent.parent / "src")]

import rows_anyio  # noqa: E402
import rows_asyncio  # noqa: E402
import rows_primitives  # noqa: E402, F401 - adds its rows to those of rows_asyncio
from world import World, improvised, let_all_go, plain, regenerate  # noqa: E402

from durable_async.errors import DurableError  # noqa: E402
from durable_async.model.history import ExecutionCompleted  # noqa: E402
from durable_async.serialization.events import decode_events, encode_events  # noqa: E402

ROWS = {**rows_asyncio.ROWS, **rows_anyio.ROWS}
SEEDS = range(3)


def record() -> dict[str, list[str]]:
    """Run every row a few times, in other circumstances each time."""
    return {name: [record_one(name, seed) for seed in SEEDS] for name in ROWS}


def record_one(name: str, seed: int) -> str:
    world = improvised(ROWS[name], seed, suspensions=seed, patience=1)
    outcome = world.outcome
    assert isinstance(outcome, ExecutionCompleted), f"{name}: {outcome}"
    for turn in range(1, len(world.turns), 1 + len(world.turns) // 5):
        _replay_turns(world, turn)
    return base64.b64encode(encode_events(world.history)).decode()


def _replay_turns(world: World, count: int) -> None:
    """Replay a part, so that a row that only replays when it has ended is noticed."""
    instance = world.fresh()
    for turn in world.turns[:count]:
        instance.replay(turn)


def replay(recorded: dict[str, list[str]]) -> dict[str, str]:
    return {name: verdict(name, recorded[name]) for name in ROWS}


def verdict(name: str, histories: list[str]) -> str:
    """Say `same` if commands come in the same order and the outcome is the same, `reordered` if a replay accepts another order."""
    order = "same"
    for encoded in histories:
        world = World(ROWS[name])
        world.turns = [decode_events("world", base64.b64decode(encoded))]
        try:
            world.live = world.adopt()
        except DurableError as error:
            return f"{type(error).__name__}: {error}"
        if plain(world.outcome) != plain(world.history[-1]):
            return f"ended otherwise: {world.outcome}"
        if not _comes_in_the_same_order(world):
            order = "reordered"
    return order


def _comes_in_the_same_order(world: World) -> bool:
    try:
        again = regenerate(world)
    except DurableError:
        return False  # numbers went to other operations, so a result met another one
    return list(map(plain, world.history[1:])) == list(map(plain, again[1:]))


def inside_a_task(work: Callable[[], Any]) -> Any:
    async def main() -> Any:
        await asyncio.sleep(0)
        before = asyncio.current_task()
        result = work()
        assert asyncio.current_task() is before
        await asyncio.sleep(0)
        return result

    return main()


async def inside_a_callback(work: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def call() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is handed on
            done.set_exception(error)

    loop.call_soon(call)
    return await done


def main(what: str, outer: str, where: str, file: str) -> None:
    path = Path(file)

    def work() -> Any:
        try:
            return record() if what == "record" else replay(json.loads(path.read_text("utf-8")))
        finally:
            let_all_go()

    coroutine = (inside_a_task if where == "task" else inside_a_callback)(work)
    if outer == "uvloop":
        import uvloop

        result = uvloop.run(coroutine)
    else:
        result = asyncio.run(coroutine)
    if what == "record":
        path.write_text(json.dumps(result), "utf-8")
    else:
        print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
