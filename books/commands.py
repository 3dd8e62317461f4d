"""``watershed books …``: where every acknowledged event is, by tenant, type and hour of receipt."""

import getpass
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from books import show, sign_off
from books.settings import BooksSettings
from contracts.registry import ContractError, Registry
from runtime import log
from warehouse.load_state import SESSION

app = typer.Typer(no_args_is_help=True, help="The books: where every acknowledged event is, by hour of receipt.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant.")]
Type = Annotated[str | None, typer.Option("--type", help="Only this event type; `(none)`: requests of no known type.")]
_HOUR = ["%Y-%m-%dT%H", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
_SHOWN = ("acknowledged", "landed", "unlanded", "counted", "duplicates", "collisions", "not_loaded", "rejected")
"""Always in the table; other numbers where one is not 0."""


@app.callback()
def books() -> None:
    """The books: where every acknowledged event is, by hour of receipt."""


@app.command("reconcile")
def reconcile_command(
    everything: Annotated[
        bool, typer.Option("--everything", help="Every hour there is, not only those that changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read what is new of the lake's files and balance every hour that changed; each file is read once.

    Exit code 1 when the files of a table could not be looked at; the other types are balanced all the same.
    """
    from books.reconcile import AlreadyAtWork, reconcile  # noqa: PLC0415 - Iceberg's client takes a second to import

    log.configure("books")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    console = Console(stderr=as_json, highlight=False)
    settings = BooksSettings.read()
    with _said():
        try:
            done = reconcile(tuple(Registry.load()), settings, everything=everything)
        except (ContractError, AlreadyAtWork) as error:
            Console(stderr=True).print(f"books: {error}", style="red", markup=False)
            raise typer.Exit(1) from error
    console.print(f"{done.files_read:,} files read, {done.files_left:,} left; {done.hours:,} hours balanced")
    if done.files_missing:
        console.print(f"[red]{done.files_missing:,} files of the lake are missing: `watershed books show --red`[/]")
    console.print(f"[red]{done.red:,} closed hours do not balance[/]" if done.red else "every closed hour balances")
    for table, why in sorted(done.failed.items()):
        console.print(f"{table} failed: {why}", style="red", markup=False)
    if as_json:
        typer.echo(json.dumps(done.as_json()))
    if done.failed:
        raise typer.Exit(1)


@app.command("show")
def show_command(  # noqa: PLR0917 - typer's
    tenant: Tenant = None,
    type_: Type = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=_HOUR, help="From this hour of receipt on (UTC); default: a day ago."),
    ] = None,
    before: Annotated[datetime | None, typer.Option("--to", formats=_HOUR, help="Before this hour of receipt.")] = None,
    red: Annotated[
        bool, typer.Option("--red", help="Only closed hours that do not balance and nobody signed off, of any time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the books by tenant, type and hour of receipt, and the files of the lake that are missing.

    Of closed hours that lack something also which numbers of which collectors are nowhere.
    """
    start = _utc(first) or (None if red else datetime.now(UTC) - timedelta(days=1))
    asked = show.Asked(tenant, type_, start, _utc(before), red)
    with _said(), _connected() as connection:
        rows, missing = show.books(connection, asked), show.missing_files(connection)
        lost = show.lost(connection, asked)
    console = Console(stderr=as_json, highlight=False)
    console.print(_grid(rows) if rows else "no hour of that kind")
    for file in missing:
        instead = "" if file["found_size"] is None else f", {file['found_size']:,} of {file['size']:,} bytes are there"
        console.print(
            f"missing since {file['missing_since']:%F %T}: {file['path']} ({file['rows']:,} events of {file['type']},"
            f" {file['minutes_held']:,} minutes held{instead})",
            style="red",
            soft_wrap=True,
        )
    for collector in lost:
        ranges = ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in collector["sequences"])
        more = ", …" if len(collector["sequences"]) == show.MOST_RANGES else ""
        console.print(
            f"nowhere: {collector['events']:,} events of collector {collector['collector_id']}: {ranges}{more}",
            style="red",
            soft_wrap=True,
        )
    if as_json:
        found = {"books": rows, "missing_files": missing, "nowhere": lost}
        typer.echo(json.dumps({name: show.as_json(part) for name, part in found.items()}))


_Because = Annotated[str, typer.Option(help="Why: kept with the hours, and in their history.")]
_Whose = Annotated[str, typer.Option(help="Whose.")]
_Which = Annotated[str, typer.Option("--type", help="Which event type; `(none)`: requests of no known type.")]
_At = Annotated[datetime, typer.Option(formats=_HOUR, help="Which hour of receipt (UTC), such as 2026-11-29T14.")]
_By = Annotated[str, typer.Option(help="Who; default: the user of this machine.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show which hours it would be, and do nothing.")]


@app.command("sign-off")
def sign_off_command(  # noqa: PLR0917 - typer's
    because: _Because,
    tenant: _Whose,
    type_: _Which,
    hour: _At,
    by: _By = "",
    dry_run: _DryRun = False,
    as_json: Json = False,
) -> None:
    """Sign off a closed hour that does not balance: it stays as it is, and holds "complete through" back no more.

    It is red again when anything else of it goes wrong, or when it is taken back.
    """
    start, reason = _hour(hour), _reason(because)
    asked = show.Asked(tenant, type_, start, start + timedelta(hours=1), red=True)
    with _said(), _connected() as connection:
        rows = show.books(connection, asked) if dry_run else sign_off.sign_off(connection, asked, _who(by), reason)
    none = (
        "no closed hour that does not balance and nobody signed off; `watershed books show --red` shows those there are"
    )
    _told(rows, asked, none, dry_run=dry_run, done="signed off", as_json=as_json)


@app.command("take-back")
def take_back_command(  # noqa: PLR0917 - typer's
    because: _Because,
    tenant: _Whose,
    type_: _Which,
    hour: _At,
    by: _By = "",
    dry_run: _DryRun = False,
    as_json: Json = False,
) -> None:
    """Take back that an hour was signed off: as long as it does not balance it is red again."""
    start, reason = _hour(hour), _reason(because)
    asked = show.Asked(tenant, type_, start, start + timedelta(hours=1))
    with _said(), _connected() as connection:
        rows = (
            sign_off.signed_off(connection, asked)
            if dry_run
            else sign_off.take_back(connection, asked, _who(by), reason)
        )
    none = "not signed off; `watershed books sign-offs` shows what ever was"
    _told(rows, asked, none, dry_run=dry_run, done="taken back", as_json=as_json)


@app.command("sign-offs")
def sign_offs_command(
    tenant: Tenant = None,
    type_: Type = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=_HOUR, help="From this hour of receipt on (UTC).")
    ] = None,
    before: Annotated[datetime | None, typer.Option("--to", formats=_HOUR, help="Before this hour of receipt.")] = None,
    as_json: Json = False,
) -> None:
    """Show what was ever signed off, taken back, or lapsed because something else went wrong: the newest first."""
    with _said(), _connected() as connection:
        rows = sign_off.history(connection, show.Asked(tenant, type_, _utc(first), _utc(before)))
    console = Console(stderr=as_json, highlight=False)
    for row in rows:
        lacking = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in sorted(row["lacking"].items()))
        console.print(
            f"{row['at'].astimezone(UTC):%F %T} {row['deed']} by {row['by']}: {row['tenant'] or '(none)'},"
            f" {row['type'] or '(none)'}, {row['received_hour'].astimezone(UTC):%FT%H} ({lacking or 'it balanced'}):"
            f" {row['because']}",
            markup=False,
            soft_wrap=True,
        )
    if not rows:
        console.print("nothing was ever signed off")
    if as_json:
        typer.echo(json.dumps({"sign_offs": show.as_json(rows)}))


def _who(by: str) -> str:
    return by.strip() or getpass.getuser()


def _reason(because: str) -> str:
    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    return because.strip()


def _told(
    rows: Sequence[dict[str, Any]], asked: show.Asked, none: str, *, dry_run: bool, done: str, as_json: bool
) -> None:
    """What was done to ``rows``, or with ``dry_run`` would be; exit code 1, and ``none``, when there are none."""
    if not rows:
        Console(stderr=True).print(
            f"books: {asked.tenant}, {asked.type}, {asked.first:%FT%H}: {none}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)
    console = Console(stderr=as_json, highlight=False)
    console.print(_grid(rows))
    console.print(f"dry run: nothing was {done}" if dry_run else done)
    if as_json:
        typer.echo(json.dumps({done.replace(" ", "_"): [] if dry_run else show.as_json(rows)}))


def _grid(rows: Sequence[dict[str, Any]]) -> Table:
    numbers = [name for name in show.NUMBERS if name in _SHOWN or any(row[name] for row in rows)]
    grid = Table(box=None)
    for heading in ("received (UTC)", "tenant", "type"):
        grid.add_column(heading, no_wrap=True)
    for name in numbers:
        grid.add_column(name.replace("_", " "), justify="right")
    grid.add_column("", no_wrap=True)
    for row in rows:
        hour = f"{row['received_hour'].astimezone(UTC):%F %H}h"
        grid.add_row(
            hour, row["tenant"] or "(none)", row["type"] or "(none)", *(f"{row[n]:,}" for n in numbers), _state(row)
        )
    return grid


def _state(row: dict[str, Any]) -> str:
    if row["balanced"]:
        return "balances" if row["closed"] else "open"
    if row["signed_off_at"]:
        return f"signed off by {row['signed_off_by']}"
    return "[red]does not balance[/]" if row["closed"] else "open"


def _utc(given: datetime | None) -> datetime | None:
    return None if given is None else given.replace(tzinfo=UTC)


def _hour(given: datetime) -> datetime:
    return given.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)


def _connected() -> psycopg.Connection[Any]:
    return psycopg.connect(BooksSettings.read().bookkeeper_dsn, autocommit=True, options=SESSION)


@contextmanager
def _said() -> Iterator[None]:
    """Trouble with Postgres is a line, not a traceback."""
    try:
        yield
    except psycopg.Error as error:
        Console(stderr=True).print(f"books: Postgres: {str(error).strip()}", style="red", markup=False)
        raise typer.Exit(1) from error
