"""S9: instances that wait: their memory in the kernel; and what a claim takes while very many are in the hub."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

CACHED, CACHED_MORE = "10,000 parked", "100,000 parked"
EMPTY, READY, SCHEDULED = "empty hub", "1,000,000 ready", "1,000,000 scheduled"
OTHERS = "1,000,000 ready, of a name that is not asked for"


def _claims(name: str, count: int, kind: str, store: str = "postgres") -> Contender:
    return Contender(name, ("-m", "benchmarks.ours.claims", store, str(count), kind))


CLAIM_FIGURES = (
    Figure("claim p50, ms", "claim_p50_ms", "{:,.2f}"),
    Figure("claim p99, ms", "claim_p99_ms", "{:,.2f}"),
    Figure("open, begin and end one, ms", "start_up_ms"),
    Figure("start to result beside them, ms", "start_to_result_ms", "{:,.1f}"),
    Figure("filled in s", "fill_seconds", "{:,.1f}"),
)


CONTESTS = [
    Contest(
        key="S9",
        title="memory of instances that wait for an event, in the kernel",
        contenders=(
            Contender(CACHED, ("-m", "benchmarks.ours.parked", "10000")),
            Contender(CACHED_MORE, ("-m", "benchmarks.ours.parked", "100000")),
        ),
        figures=(
            Figure("bytes each, resident", "cached_resident_bytes"),
            Figure("bytes each, as Python counts them", "cached_bytes"),
            Figure("bytes each after eviction", "evicted_bytes", "{:,.1f}"),
            Figure("us to replay one", "replay_us", "{:,.1f}"),
        ),
        goals=(
            Goal("bytes each, resident", "cached_resident_bytes", CACHED_MORE, at_most=4096),
            # What Python keeps once, divided by ten thousand, is no cost of each.
            Goal("bytes each after eviction", "evicted_bytes", CACHED_MORE, at_most=8),
            Goal(
                "bytes of one of 100,000 over one of 10,000",
                "cached_resident_bytes",
                CACHED_MORE,
                CACHED,
                at_most=1.1,
            ),
        ),
        needs_postgres=False,
    ),
    Contest(
        key="S9",
        title="claims of one instance on Postgres; and a process that begins and does not run what fills the hub",
        contenders=(
            _claims(EMPTY, 0, "ready"),
            _claims(CACHED, 10_000, "parked"),
            _claims(CACHED_MORE, 100_000, "parked"),
            _claims(SCHEDULED, 1_000_000, "scheduled"),
            _claims(READY, 1_000_000, "ready"),
            _claims(OTHERS, 1_000_000, "others"),
        ),
        figures=CLAIM_FIGURES,
        goals=(
            *(
                Goal(
                    f"claim p99, {name} over the empty hub", "claim_p99_ms", name, EMPTY, at_most=2
                )
                for name in (READY, OTHERS, SCHEDULED)
            ),
            *(
                Goal(
                    f"a process begins beside {name}, over the empty hub",
                    "start_up_ms",
                    name,
                    EMPTY,
                    at_most=2,
                )
                for name in (CACHED_MORE, READY)
            ),
            Goal(
                f"start to result beside {READY} that it does not run, over the empty hub",
                "start_to_result_ms",
                READY,
                EMPTY,
                at_most=2,
            ),
        ),
        rounds_max=2,  # each puts a million instances into a hub three times
    ),
    Contest(
        key="S9",
        title="the same on SQLite",
        contenders=(
            _claims(EMPTY, 0, "ready", "sqlite"),
            _claims(READY, 1_000_000, "ready", "sqlite"),
            _claims(OTHERS, 1_000_000, "others", "sqlite"),
        ),
        figures=CLAIM_FIGURES,
        goals=[
            Goal(f"claim p50, {name} over the empty hub", "claim_p50_ms", name, EMPTY, at_most=2)
            for name in (READY, OTHERS)
        ],
        needs_postgres=False,
        rounds_max=2,  # each puts a million instances into a file twice
    ),
]
