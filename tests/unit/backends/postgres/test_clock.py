"""The estimate of the server's clock never runs ahead of it, never goes back, and follows it."""

from __future__ import annotations

from hypothesis import given, strategies as st

from durable_async.backends.postgres.clock import ServerClock
from durable_async.environment import SystemEnvironment

START_US = 1_000_000_000_000_000
SECOND_US = 1_000_000


class World(SystemEnvironment):
    """Two clocks: the server's, and this process's own, which began elsewhere and may be slow."""

    def __init__(self, slow: float = 0.0) -> None:
        super().__init__()
        self.server_us = START_US
        self._slow = slow

    def monotonic(self) -> float:
        return (self.server_us - START_US) * (1 - self._slow) / SECOND_US

    def now_us(self) -> int:
        return 77

    def wait(self, us: int) -> None:
        self.server_us += us


STEPS = st.lists(
    st.tuples(st.integers(0, 100 * SECOND_US), st.integers(0, 5 * SECOND_US)), max_size=30
)


@given(steps=STEPS, slow=st.sampled_from([0.0, 0.00005, 0.001]))
def test_it_is_never_ahead_and_never_goes_back(steps: list[tuple[int, int]], slow: float) -> None:
    world = World(slow)
    clock = ServerClock(world)
    last_us = 0
    for pause_us, way_us in steps:
        world.wait(pause_us)
        said_us = world.server_us
        world.wait(way_us)
        clock.hear(said_us)
        now_us = clock.now_us()
        assert last_us <= now_us <= world.server_us + 1
        last_us = now_us


@given(steps=STEPS)
def test_it_is_late_by_no_more_than_the_way_of_the_last_answer(
    steps: list[tuple[int, int]],
) -> None:
    world = World()
    clock = ServerClock(world)
    for pause_us, way_us in steps:
        world.wait(pause_us)
        said_us = world.server_us
        world.wait(way_us)
        clock.hear(said_us)
        assert clock.now_us() >= world.server_us - way_us - 1


def test_before_the_first_answer_it_is_this_machines() -> None:
    assert ServerClock(World()).now_us() == 77


def test_it_goes_on_between_answers() -> None:
    world = World()
    clock = ServerClock(world)
    clock.hear(world.server_us)
    world.wait(SECOND_US)
    assert clock.now_us() == world.server_us


def test_a_clock_of_ours_that_is_fast_leads_no_further_than_a_minute_takes_it() -> None:
    fast = 0.0001
    world = World(-fast)
    clock = ServerClock(world)
    for _ in range(600):
        world.wait(SECOND_US)
        clock.hear(world.server_us)
        assert clock.now_us() - world.server_us <= fast * 62 * SECOND_US


def test_a_server_whose_clock_was_set_back_is_followed_after_a_while() -> None:
    world = World()
    clock = ServerClock(world)
    clock.hear(world.server_us + 3600 * SECOND_US)
    assert clock.now_us() == world.server_us + 3600 * SECOND_US
    for _ in range(2):
        world.wait(31 * SECOND_US)
        clock.hear(world.server_us)
    high_us = clock.now_us()
    for _ in range(4):
        world.wait(31 * SECOND_US)
        clock.hear(world.server_us)
        assert clock.now_us() == high_us  # it stands until the server has caught up
    world.wait(3600 * SECOND_US)
    clock.hear(world.server_us)
    assert clock.now_us() == world.server_us
