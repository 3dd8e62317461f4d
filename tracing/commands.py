"""``watershed trace``: where one event is, and in which rows it counts."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

from contracts.registry import ContractError, Registry
from runtime import log

app = typer.Typer(name="trace", help="Where one event is, and in which rows it counts.")


@app.command("trace")
def trace_command(  # noqa: PLR0917 - typer's
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event's id, or that of a rejection.")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only this event type.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="When it occurred, to the minute: 2026-11-28T12:00, UTC. Saves reading.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="It occurred at or after.")] = None,
    before: Annotated[str | None, typer.Option("--to", help="It occurred before.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Tell of one event what became of it and why, from the collector to the charts.

    It is looked for in the lake: an id says little about the file it is in, so without a time every file of every type
    is looked in, for that one column. What is not there is looked for among the rejected events and in Kafka. Exit
    code 1: it is not known, and where it was looked for is told.
    """
    from spark_jobs.catalog import catalog_dsn  # noqa: PLC0415 - Iceberg's client takes a second to import
    from tracing.lake import Wanted  # noqa: PLC0415
    from tracing.settings import TraceSettings  # noqa: PLC0415
    from tracing.story import told  # noqa: PLC0415
    from tracing.trace import tables, trace  # noqa: PLC0415

    log.configure("trace", "WARNING")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    console = Console(stderr=as_json, highlight=False)
    first, last = _span(at, since, before)
    if not event_id.strip():
        raise typer.BadParameter("is empty", param_hint="EVENT_ID")
    wanted = Wanted(frozenset({event_id.strip().lower()}), tenant or None, first, last)
    with _said():
        registry = Registry.load()
        contracts = [registry.newest(type_)] if type_ else list(registry)
        settings = TraceSettings.read()
        with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as bar:
            locations = tables(contracts, catalog_dsn(settings))
            answer = trace(contracts, settings, locations, wanted, watch=_Bar(bar))
    for line in told(answer):
        console.print(line, markup=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(answer))
    if answer["not_found"]:
        raise typer.Exit(1)


class _Bar:
    """The search, on a line."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task("looking")
        self._read: dict[str, int] = {}

    def files(self, table: str, done: int, of: int) -> None:
        self._bar.update(self._task, description=f"{table}: {done:,} of {of:,} files looked in")

    def read(self, what: str, more: int) -> None:
        self._read[what] = self._read.get(what, 0) + more
        self._bar.update(self._task, description=f"{self._read[what]:,} {what} looked at")


def _span(at: str | None, since: str | None, before: str | None) -> tuple[datetime | None, datetime | None]:
    """The times of occurrence to look in."""
    if at and (since or before):
        raise typer.BadParameter("--at is a minute: give it, or --from and --to")
    if at:
        minute = _instant(at, "--at").replace(second=0, microsecond=0)
        return minute, minute + timedelta(minutes=1)
    first = _instant(since, "--from") if since else None
    last = _instant(before, "--to") if before else None
    if first and last and first >= last:
        raise typer.BadParameter(f"{before} is not after --from {since}", param_hint="--to")
    return first, last


def _instant(text: str, option: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date or time such as 2026-11-28T12:00", param_hint=option) from error
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)


@contextmanager
def _said() -> Iterator[None]:
    """What can go wrong is said in a line."""
    try:
        yield
    except ContractError as error:
        said = str(error)
    except psycopg.OperationalError as error:
        said = f"the warehouse or the catalog does not answer: {error}\n`make status` says what runs"
    except OSError as error:
        said = (
            f"the lake does not answer, or a file of it is gone: {error}\n"
            "`make status` says what runs; `watershed books reconcile` finds files that are missing"
        )
    else:
        return
    Console(stderr=True, highlight=False).print(f"error: {said}", markup=False, soft_wrap=True)
    raise typer.Exit(2)
