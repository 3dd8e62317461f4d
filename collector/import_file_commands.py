"""``watershed import``: history from a file, with a progress bar, a dry run and a summary."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from collector.import_file import FileImporter, Imported, survey
from collector.import_map import Layout, MappingError
from collector.import_rows import Format, Row, RowsError, format_of, rows
from collector.send_settings import SenderSettings
from collector.sender import Sender, SendError, SpoolBusy, SpoolFull
from contracts.model import ContractError
from contracts.registry import Registry

app = typer.Typer(name="import", help="Import history from CSV, NDJSON or Parquet.")


@app.command("import")
def import_file(
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, NDJSON (plain, gzip) or Parquet.")],
    type_: Annotated[str, typer.Option("--type", help="The event type of every row.")],
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="A column whose field is called otherwise."),
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of rows that have no value for it."),
    ] = None,
    ignored: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="A column that goes nowhere.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="csv, ndjson or parquet; default: by the name.")
    ] = None,
    delimiter: Annotated[str, typer.Option(help="Between the cells of CSV.")] = ",",
    time_format: Annotated[
        str | None, typer.Option(help="Of occurred_at: epoch, epoch_ms or as of strptime; default: ISO 8601.")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Of times that name none, such as Europe/Vienna.")] = "UTC",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; show what is wrong with the rows.")] = False,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a request.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Import a file into the tenant of WRITE_KEY: each row one event of TYPE.

    Columns go to the fields of their name, or as --map says; event_id and occurred_at are fields here, too. Without a
    column for event_id, ids follow from the rows: a file imported twice counts once. Rows that are no valid event go
    to rejected_events with their number. Exit code 1: a dry run found bad rows, or the import did not reach its end.
    """
    console = Console(stderr=True, highlight=False)
    try:
        registry = Registry.load()
        layout = Layout(
            registry.newest(type_),
            _pairs(columns, "--map"),
            _pairs(constants, "--set"),
            frozenset(ignored or ()),
            time_format,
            ZoneInfo(time_zone),
        )
        read_as = _format(format_) if format_ else format_of(file)
        settings = None if dry_run else SenderSettings.read()
        source = partial(rows, file, read_as, delimiter)
        done = _import(source, layout, registry, settings, batch=batch, console=console)
    except (ContractError, MappingError, RowsError, ZoneInfoNotFoundError) as error:
        console.print(f"[red]error[/] {error}", markup=True)
        raise typer.Exit(1) from error
    except (SendError, SpoolBusy, SpoolFull) as error:
        console.print(f"[red]error[/] {error}\nImport it again later: what is there already counts once.")
        raise typer.Exit(1) from error
    _show(done, console, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    if dry_run and done.bad:
        raise typer.Exit(1)


def _import(
    source: Callable[[], Iterator[Row]],
    layout: Layout,
    registry: Registry,
    settings: SenderSettings | None,
    *,
    batch: int,
    console: Console,
) -> Imported:
    words = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    sender = Sender(settings.collector_url, settings.write_key.get_secret_value(), batch) if settings else None
    with Progress(*words, console=console) as bar, sender or nullcontext():
        looking = bar.add_task("reading", total=None)
        found = survey(source(), layout.contract.type, lambda n: bar.advance(looking, n))
        bar.update(looking, total=found.rows)
        task = bar.add_task("judging" if sender is None else "importing", total=found.rows)
        return FileImporter(layout, registry, found, sender).run(source(), lambda n: bar.advance(task, n))


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise MappingError(f"{option} {text!r}: it takes the form NAME=VALUE")
        pairs[name] = value
    return pairs


def _format(name: str) -> Format:
    for known in get_args(Format):
        if name == known:
            return cast("Format", known)
    raise RowsError(f"--format {name}: csv, ndjson or parquet")


def _show(done: Imported, console: Console, *, dry_run: bool) -> None:
    for bad in done.first_bad:
        console.print(f"line {bad.number}: {'; '.join(bad.reasons)}", markup=False, soft_wrap=True)
    if done.bad > len(done.first_bad):
        console.print(f"… and {done.bad - len(done.first_bad):,} more bad rows")
    said = f"{done.rows:,} rows: {done.valid:,} valid, {done.bad:,} bad"
    if not dry_run:
        said += f"; {done.accepted:,} accepted, {done.rejected:,} refused by the collector in {done.seconds:g} s"
    console.print(said + (f"; from {done.first_at} to {done.last_at}" if done.first_at else ""))
