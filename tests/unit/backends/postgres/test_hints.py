"""What a notification says is understood, or taken for anything; it always fits."""

from __future__ import annotations

from hypothesis import given, strategies as st

from durable_async.backends.postgres.hints import (
    ANYTHING,
    Hint,
    Pending,
    channel_of,
    decode,
    encode,
)

IDS = st.frozensets(st.text(st.characters(codec="utf-8"), max_size=60), max_size=40)
HINTS = st.builds(Hint, brought_work=st.booleans(), changed=st.none() | IDS)
NOTIFY_BYTES_MAX = 8000
IDENTIFIER_BYTES_MAX = 63


def says(one: Hint, other: Hint) -> bool:
    """Tell whether whoever hears one looks wherever he would, had he heard the other."""
    if other.brought_work and not one.brought_work:
        return False
    if one.changed is None:
        return True
    return other.changed is not None and other.changed <= one.changed


@given(HINTS)
def test_what_arrives_says_no_less_than_what_was_said(hint: Hint) -> None:
    text = encode(hint)
    heard = decode(text)
    assert says(heard, hint)
    assert heard.brought_work == hint.brought_work
    assert len(text.encode()) < NOTIFY_BYTES_MAX
    if len(repr(hint.changed)) < 300:
        assert heard == hint


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_what_nobody_understands_may_mean_anything(text: str) -> None:
    heard = decode(text)
    if text[:1] not in ("w", "-"):
        assert heard == ANYTHING
    for broken in (f"w{text}]", "w[1]", "w{}", "-null", "", "w" + "[" * 5):
        assert decode(broken).brought_work


@given(st.lists(HINTS.filter(lambda hint: hint.changed is not None), max_size=30))
def test_what_waits_goes_out_together_once(hints: list[Hint]) -> None:
    pending = Pending()
    assert not pending
    for hint in hints:
        pending.add(hint.brought_work, set(hint.changed or ()))
    assert bool(pending) == any(hint.brought_work or hint.changed for hint in hints)
    taken = pending.take()
    assert all(says(taken, hint) for hint in hints)
    assert not pending


@given(st.lists(IDS, max_size=30), st.booleans())
def test_what_can_wait_goes_out_with_what_cannot(later: list[frozenset[str]], urgent: bool) -> None:
    pending = Pending()
    for ids in later:
        pending.add(False, set(), ids)
    assert not pending
    assert pending.has_later == any(later)
    pending.add(urgent, set())
    assert bool(pending) == urgent
    taken = pending.take()
    assert all(says(taken, Hint(urgent, ids)) for ids in later)
    assert not pending
    assert not pending.has_later
    assert pending.take() == Hint(brought_work=False, changed=frozenset())


def test_many_instances_become_any() -> None:
    pending = Pending()
    for number in range(1000):
        pending.add(False, {f"instance-{number}"})
    assert pending.take() == Hint(brought_work=False, changed=None)


@given(st.text(min_size=1), st.text(min_size=1))
def test_each_hub_of_a_schema_has_its_channel(one: str, other: str) -> None:
    channel = channel_of("durable_async", one)
    assert len(channel.encode()) <= IDENTIFIER_BYTES_MAX
    assert channel.isidentifier()
    assert (channel == channel_of("durable_async", other)) == (one == other)
    assert channel != channel_of("another", one)
