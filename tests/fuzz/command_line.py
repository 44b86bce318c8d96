"""Every command that looks or sees to something, with any arguments: a page, a usage, or one line of what is wrong."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping

import anyio
import typer.main
from hypothesis import strategies as st

from durable_async import EntityId, TaskHub
from durable_async.cli._app import app
from durable_async.errors import DurableError

from . import strategies as s
from .places import file
from .target import Target

_command = typer.main.get_command(app)


class UsageError(Exception):
    """Raised here for what the command line says of its own accord: no such option, no such command."""


async def _fill() -> None:
    """Put into a file what there may be to look at: ids and names that are hard to print among them."""
    async with TaskHub.open(f"sqlite:///{file()}", hub="cli") as hub:
        for number, text in enumerate(
            ["a", "\U0001f600", "\u202ex", "[bold]", "'; --", "../x", "<b>"]
        ):
            await hub.client.start(
                text, {"n": number, text: text}, instance_id=text, tags={text: text}
            )
            await hub.client.raise_event(text, text, text)
            await hub.client.signal_entity(EntityId("counter", text), text, text)


_filled = False


def _url() -> str:
    global _filled  # noqa: PLW0603 - one file for all inputs
    if not _filled:
        anyio.run(_fill)
        _filled = True
    return f"sqlite:///{file()}"


_words = s.texts().filter(lambda text: "\0" not in text)
_ids = st.one_of(st.sampled_from(["a", "\u202ex", "[bold]", "@counter@a", "absent"]), _words)
_numbers = st.one_of(
    st.integers(-1, 3).map(str), s.integers().filter(lambda n: abs(n) < 10**401).map(str), _words
)
_urls = st.integers(0, 7).flatmap(
    lambda number: (
        st.just("<file>")
        if number
        else st.one_of(
            st.sampled_from(
                ["memory://", "sqlite:///nowhere/x.db", "sqlite://", "x", "sqlite:////"]
            ),
            _words,
        )
    )
)
_hubs = st.integers(0, 7).flatmap(lambda number: st.just("cli") if number else _words)

_look = {"--url": _urls, "--hub": _hubs}
_json = {"--json": None}
COMMANDS: Mapping[
    str, tuple[list[st.SearchStrategy[str]], dict[str, st.SearchStrategy[str] | None]]
] = {
    "list": ([], {**_look, **_json, "--limit": _numbers, "--parked": None}),
    "entities": ([], {**_look, **_json, "--limit": _numbers, "--name": _ids, "--key-prefix": _ids}),
    "show": ([_ids], {**_look, **_json, "--limit": _numbers}),
    "stats": ([], {**_look, **_json}),
    "explain": ([_ids], {**_look, **_json}),
    "workers": ([], {**_look, **_json}),
    "start": ([_ids, _words], {**_look, **_json, "--id": _ids, "--tag": _words, "--at": _words}),
    "raise": ([_ids, _ids, _words], {**_look, **_json}),
    "signal": ([_ids, _ids, _words], {**_look, **_json, "--at": _words, "--request-id": _words}),
    "retention": ([], {**_look, **_json, "--age": _words, "--failed": _words}),
    "suspend": ([_ids], {**_look, **_json, "--reason": _words, "--dry-run": None}),
    "terminate": ([_ids], {**_look, **_json, "--output": _words, "--yes": None}),
    "purge": ([_ids], {**_look, "--dry-run": None, "--completed-to": _words, "--prefix": _ids}),
    "schedules list": ([], {**_look, **_json, "--prefix": _ids}),
    "unpark": ([_ids, _ids], {**_look, **_json, "--all": None, "--dry-run": None}),
    "migrate print": ([], {"--schema": _words}),
    "migrate check": ([], {"--url": _urls}),
    "migrate grants": ([_words], {"--schema": _words, "--to-look": None}),
    "--version": ([_words], {}),
}


def arguments() -> st.SearchStrategy[list[str]]:
    """What may stand behind the command's name."""
    made = st.sampled_from(sorted(COMMANDS)).flatmap(_of_command)
    return st.integers(0, 9).flatmap(
        lambda number: made if number else st.lists(_words, max_size=3)
    )


def _of_command(command: str) -> st.SearchStrategy[list[str]]:
    positional, options = COMMANDS[command]
    parts: list[st.SearchStrategy[list[str]]] = [st.just(command.split())]
    for name, values in options.items():
        given = (
            st.just([name])
            if values is None
            else values.map(lambda value, name=name: [name, value])
        )  # type: ignore[misc]
        always = name in ("--url", "--hub")
        parts.append(given if always else st.one_of(st.just([]), given))
    parts += [st.one_of(words.map(lambda word: [word]), st.just([])) for words in positional]
    return st.tuples(*parts).map(lambda several: [word for words in several for word in words])


def probe(words: list[str]) -> None:
    """Run the command as its entry point does."""
    url = _url()
    given = [url if word == "<file>" else word for word in words]
    if given[:1] in (["demo"], ["demo-worker"], ["dev"], ["wait"], ["worker"]):
        return
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            _command.main(args=given, prog_name="durable-async", standalone_mode=False)
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("typer", "click"):  # whichever it brings
            raise UsageError(type(error).__name__) from error
        raise
    out.flush()


TARGETS = (
    Target(
        name="cli",
        inputs=arguments(),
        probe=probe,
        refusals=(DurableError, UsageError),
        examples=60,
        share=1,
    ),
)
