"""``watershed rehearse``: recent events of the lake, judged by a proposed contract."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from collector.lake import open_catalog
from contracts.parse import parse
from contracts.registry import Registry
from rejects import options, terminal
from rejects.rehearse import Rehearsal, rehearse
from rejects.settings import RejectsSettings
from runtime import log
from warehouse.held import missing_files

app = typer.Typer(name="rehearse", help="What a proposed contract would do to those who send now.")
SHOWN = 30


@app.command("rehearse")
def rehearse_command(
    contract: Annotated[
        Path, typer.Argument(help="The proposed contract: a file <type>/v<N>.schema.json, in whatever folder.")
    ],
    days: Annotated[float, typer.Option(min=0.01, help="Events received in so many days.")] = 7,
    tenant: options.Tenant = None,
    as_json: options.Json = False,
) -> None:
    """Judge recent events by a proposed contract; say whose would be refused, and why, with counts and an example.

    Judged are events that its version accepted, if there are any, else those of the version before it. Of accepted
    events the lake knows the tenant, not the key; of rejected ones both, and it says how many of them would pass.
    Exit code 1: somebody's events would be refused, or the contract does not fit the tables there are.
    """
    log.configure("rehearse", "WARNING")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    console = terminal.console(stderr=as_json)
    words = (TextColumn("{task.completed:,} events judged"), TimeElapsedColumn())
    with terminal.trouble_told():
        proposed, registry = parse(contract), Registry.load()
        settings = RejectsSettings.read()
        since = datetime.now(UTC) - timedelta(days=days)
        with (
            psycopg.connect(settings.repairer_dsn, autocommit=True) as warehouse,
            Progress(*words, console=console, transient=True) as bar,
        ):
            task = bar.add_task("judging", total=None)
            found = rehearse(
                proposed,
                registry,
                open_catalog(settings),
                since=since,
                tenant=tenant or None,
                progress=lambda n: bar.advance(task, n),
                missing=lambda of: missing_files(warehouse, of),
            )
    _show(found, console)
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    if found.breaks:
        raise typer.Exit(1)


def _show(found: Rehearsal, console: Console) -> None:
    said = found.as_json()
    judged = f"{found.contract.type} v{found.contract.version}: {said['judged']:,} events"
    console.print(judged + (f" of v{found.version} judged" if found.version else " to judge: none were received"))
    for line in said["tables"]:
        terminal.say(console, f"does not fit the tables: {line}")
    if said["senders"]:
        grid = Table("tenant", "reason", "field", "events", "for example", box=None)
        for one in said["senders"][:SHOWN]:
            example = f"{one['example']['event_id']}: {one['example']['message']}"
            terminal.add_row(grid, one["tenant"], one["reason"], one["field"], f"{one['events']:,}", example)
        console.print(grid)
    for one in said["rejected"]:
        words = "{tenant}, key {key_id}: of {events:,} events rejected so far {would_pass:,} would pass"
        terminal.say(console, words.format(**one))
    console.print(
        f"{said['would_break']:,} would be refused" + (f"; {found.erased:,} without data" if found.erased else "")
    )
    terminal.say_missing(console, found.files_missing)
