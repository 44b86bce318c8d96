"""What the demo says: facts in, rich text out."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from pathlib import Path

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from durable_async.cli._timeline import Axis, Span, merged
from durable_async.cli.audit import AuditReport, Distribution, Verdict

from .facts import AuditFacts, InstanceFacts, ProcessFacts, Proof
from .files import HUB, DemoPlace

FINDINGS_MAX = 20
ROWS_MAX = 8
LABEL_COLUMNS = 20

COLOURS = {
    Verdict.OK: "green",
    Verdict.CHANGED: "red",
    Verdict.MISSING: "red",
    Verdict.UNREADABLE: "yellow",
    Verdict.UNVERIFIABLE: "dim",
}


def heading(console: Console, text: str) -> None:
    """Print the heading of a part."""
    console.print()
    console.print(Text(text, style="bold cyan"))


def line(console: Console, text: str) -> None:
    """Print a paragraph with markup, indented."""
    console.print(Padding(Text.from_markup(text), (0, 0, 0, 3)), highlight=False)


def progress_bar(console: Console) -> Progress:
    """Return the bar that counts files."""
    return Progress(
        TextColumn("  "),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeElapsedColumn(),
        console=console,
        expand=True,
    )


def introduce(
    console: Console, installed: list[Distribution], where: str, place: DemoPlace
) -> None:
    """Say what is going to be done."""
    with_record = [one for one in installed if one.chunks]
    files = sum(one.files for one in with_record)
    megabytes = sum(one.size_bytes for one in with_record) / 1e6
    console.print(Text("An audit of this Python environment, made durable", style="bold"))
    console.print()
    line(
        console,
        "Is every installed file still what its installer put there? Each is read, hashed and "
        "compared with the RECORD that came with it.",
    )
    console.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("what", where)
    facts.add_row("size", f"{len(with_record)} distributions, {files:,} files, {megabytes:,.0f} MB")
    facts.add_row(
        "how",
        f"1 orchestration, {len(with_record)} sub-orchestrations, {activities(installed)} activities",
    )
    facts.add_row("state", place.title)
    if place.workers > 1:
        facts.add_row("who", f"{place.workers} processes, side by side")
    console.print(Padding(facts, (0, 0, 0, 3)), highlight=False)


def activities(installed: list[Distribution]) -> int:
    """Return how many activities an audit takes: finding, reading each RECORD, checking each chunk."""
    with_record = [one for one in installed if one.chunks]
    return 1 + len(with_record) + sum(one.chunks for one in with_record)


def ending(status: int) -> str:
    """Say how a process ended, by its exit status."""
    if status >= 0:
        return f"exit status {status}"
    return f"exit status {status}: killed by signal {-status}, {signal.Signals(-status).name}"


def beginning(place: DemoPlace) -> str:
    """Return the heading of the first part."""
    if place.workers == 1:
        return "1. A process begins, and gets a kill -9 in the middle"
    return "1. Two processes share the work, and one gets a kill -9 in the middle"


def going_on(place: DemoPlace) -> str:
    """Return the heading of the second part."""
    if place.workers == 1:
        return "2. Another process opens the same file and goes on"
    return "2. The other one takes over; nobody restarts anything"


def resuming(place: DemoPlace) -> str:
    """Return the heading where new processes continue."""
    if place.workers == 1:
        return "A new process goes on from there"
    return f"{place.workers} new processes go on from there"


def tell_death(console: Console, pid: int, status: int) -> None:
    """Say that a process was killed."""
    line(console, f"[bold red]Process {pid} is dead[/] ({ending(status)}).")


def tell_what_is_left(
    console: Console, place: DemoPlace, facts: AuditFacts, installed: list[Distribution]
) -> None:
    """Say what the store held at that moment."""
    line(console, f"It could not save, close or say anything. What the {place.holder} held then:")
    line(
        console,
        f"[bold]{len(facts.recorded)}[/] of {activities(installed)} activities recorded, "
        f"[bold]{facts.ended}[/] of {sum(1 for one in installed if one.chunks)} distributions "
        "finished.",
    )


def tell_proof(console: Console, place: DemoPlace, proof: Proof) -> None:
    """Say what did not have to be done again, and that nothing was done twice."""
    heading(console, "What did the crash cost?")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column(overflow="fold")
    kept = f"activities were not done again: their results were in the {place.holder}"
    table.add_row(str(proof.kept), kept)
    if proof.undisturbed:
        table.add_row(str(proof.undisturbed), "were under way elsewhere, and were not disturbed")
    after = "restart" if proof.resumed_us is None or place.workers == 1 else "kill"
    table.add_row(str(proof.executed_after), f"activities were done after the {after}, of which")
    table.add_row(
        str(proof.interrupted),
        "had begun before: the kill caught them at work, or before their result was recorded",
    )
    mark = "green" if proof.doubled == 0 else "bold red"
    table.add_row(f"[{mark}]{proof.doubled}[/]", "recorded results were computed a second time")
    if place.workers > 1 and proof.resumed_us is not None:
        table.add_row(
            f"{proof.resumed_us / 1e6:.2f} s",
            "from the kill to the moment when another process went on with what the dead one had in hand",
        )
    console.print(Padding(table, (0, 0, 0, 3)), highlight=False)
    line(
        console,
        "[dim]Counted twice: by the history in the database, and by a ledger of its own into which "
        "every activity writes a line when it is executed.[/]",
    )
    if proof.unseen:
        line(console, f"[bold red]{proof.unseen} results without an execution.[/]")


def tell_result(console: Console, report: AuditReport) -> None:
    """Say what the audit found."""
    heading(console, "Result of the audit")
    tally = report.tally
    for count, verdict, text in (
        (tally.ok, Verdict.OK, "files are as they were installed"),
        (tally.changed, Verdict.CHANGED, "files were changed"),
        (tally.missing, Verdict.MISSING, "files are missing"),
        (tally.unreadable, Verdict.UNREADABLE, "files may not be read"),
        (
            tally.unverifiable,
            Verdict.UNVERIFIABLE,
            "files cannot be checked: RECORD has no hash (.pyc, itself)",
        ),
    ):
        if count or verdict in (Verdict.OK, Verdict.CHANGED, Verdict.MISSING):
            colour = COLOURS[verdict] if count else "dim"
            line(console, f"[{colour}]{count:>7,}  {text}[/]")
    for finding in report.findings[:FINDINGS_MAX]:
        console.print(
            Text.assemble("   ", (finding.verdict.value, "bold red"), f"  {finding.path}"),
            soft_wrap=True,
        )
        line(console, f"[dim]         {finding.detail}[/]")
    if len(report.findings) > FINDINGS_MAX:
        line(console, f"... and {len(report.findings) - FINDINGS_MAX} more")
    if report.without_record:
        names = ", ".join(report.without_record[:5])
        more = ", ..." if len(report.without_record) > 5 else ""
        line(console, f"[dim]{len(report.without_record)} came without a RECORD: {names}{more}[/]")


# -- timeline


def tell_timeline(
    console: Console,
    facts: AuditFacts,
    processes: list[ProcessFacts],
    hands: dict[str, list[Span]],
) -> None:
    """Draw who worked when, and what was recorded when.

    Args:
        console: Where.
        facts: What was recorded.
        processes: Who worked.
        hands: When a process had an orchestration in hand.
    """
    if not processes:
        return
    busy = merged([Span(one.working_us, one.ended_us) for one in processes])
    axis = Axis(busy, max(20, min(console.width, 120) - LABEL_COLUMNS - 6))
    heading(console, "Timeline")
    edges = {at for one in processes for at in (one.working_us, one.ended_us)}
    rows = [_row("seconds", axis.marks(sorted(edges)), "dim")]
    rows += [_row(f"process {one.pid}", _process_bar(axis, one), "magenta") for one in processes]
    rows.append(_row("results recorded", axis.density(facts.recorded_us), "green"))
    deaths = [one.ended_us for one in processes if one.status != 0]
    for one in _interesting(facts, deaths):
        span = _span(one)
        if span is not None:
            bar = axis.bar(span, busy=_covering(span, hands.get(one.instance_id, []), deaths))
            rows.append(_row(_short(one, facts), bar, "cyan"))
    console.print(Padding(Group(*rows), (0, 0, 0, 3)))
    line(console, _legend(axis, facts))


def _covering(span: Span, hands: list[Span], deaths: list[int]) -> list[Span]:
    """Stretch what was in hand to the orchestration's own ends, but not over a death: a process also decides, and records."""
    if not hands:
        return [span]
    first, last = hands[0], hands[-1]
    died = [at for at in deaths if span.begin_us < at < first.begin_us]
    begin = Span(span.begin_us, died[0] if died else first.begin_us)
    survived = not any(last.end_us <= at < span.end_us for at in deaths)
    end = Span(last.end_us if survived else span.end_us, span.end_us)
    return [begin, *hands, end]


def _row(label: str, bar: str, colour: str) -> Text:
    name = label if len(label) <= LABEL_COLUMNS else label[: LABEL_COLUMNS - 1] + "…"
    text = Text(f"{name:<{LABEL_COLUMNS}} {bar}", no_wrap=True)
    text.stylize(colour, LABEL_COLUMNS)
    text.highlight_words("✖", "bold red")
    return text


def _process_bar(axis: Axis, process: ProcessFacts) -> str:
    work = Span(process.working_us, process.ended_us)
    bar = axis.bar(Span(process.began_us, process.ended_us), busy=[work])
    if process.status == 0:
        return bar
    column = axis.column(process.ended_us)
    return bar[:column] + "✖" + bar[column + 1 :]


def _span(one: InstanceFacts) -> Span | None:
    if one.began_us is None or one.ended_us is None:
        return None
    return Span(one.began_us, one.ended_us)


def _interesting(facts: AuditFacts, deaths: list[int]) -> list[InstanceFacts]:
    """Choose the sub-orchestrations to show: those that lived through a crash, then the longest; by their beginning."""

    def rank(one: InstanceFacts) -> tuple[bool, int]:
        span = _span(one)
        if span is None:
            return (False, 0)
        return (any(span.begin_us <= at < span.end_us for at in deaths), span.us)

    chosen = sorted(facts.instances[1:], key=rank, reverse=True)[:ROWS_MAX]
    return sorted(chosen, key=lambda one: one.began_us or 0)


def _short(one: InstanceFacts, facts: AuditFacts) -> str:
    return one.instance_id.removeprefix(f"{facts.instances[0].instance_id}.")


def _legend(axis: Axis, facts: AuditFacts) -> str:
    hidden = len(facts.instances) - 1 - ROWS_MAX
    parts = ["█ at work", "░ waiting for a process to begin or go on", "✖ killed"]
    if axis.folded:
        seconds = sum(span.us for span in axis.folded) / 1e6
        parts.append(f"a pause of {seconds:,.1f} s is folded")
    if hidden > 0:
        parts.append(f"{hidden} more distributions not shown")
    return f"[dim]{'; '.join(parts)}[/]"


def tell_more(console: Console, instance_id: str, place: DemoPlace) -> None:
    """Say what to look at next."""
    heading(console, "Look closer")
    url = "" if place.look_url is None else shlex.quote(place.look_url)
    again = "demo" if place.workers == 1 else f"demo --postgres {url}".rstrip()
    more = [f"{again} --crash    and once more to go on"]
    if url:
        more.insert(0, f"list --hub {HUB} --url {url}")
        more.insert(1, f"show {instance_id} --hub {HUB} --url {url}")
    for arguments in more:
        console.print(Text(f"   {_command()} {arguments}", style="dim"), soft_wrap=True)


def _command() -> str:
    """Return how this program was called, if it was by its name."""
    called = Path(sys.argv[0])
    if called.stem != "durable-async":
        return "python -m durable_async"
    return "durable-async" if shutil.which("durable-async") == str(called) else str(called)
