"""``watershed reprocess``"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from contracts.model import Contract
from contracts.registry import ContractError, Registry
from runtime import log
from spark_jobs.settings import ReprocessSettings
from warehouse import reprocess_runs as runs
from warehouse.load_state import SESSION, Busy
from warehouse.reprocess_apply import BuildAtWork
from warehouse.reprocess_compare import Span
from warehouse.reprocess_undo import CannotUndo

if TYPE_CHECKING:
    from spark_jobs.reprocess import Step

app = typer.Typer(help="Compute a span of time anew from the lake, and put in place what differs.")
DIFFERS = 3
"""Exit code of a dry run that found differences; 1 is a failure, 2 a wrong call."""
_SHOWN = 40


class By(StrEnum):
    """Periods by which differences are told."""

    hour = "hour"
    day = "day"


@app.command("reprocess")
def reprocess_command(
    *,
    from_: Annotated[str | None, typer.Option("--from", help="First minute: 2026-11-01, or with a time (UTC).")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The minute after the last; a date is its midnight.")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; may be repeated.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--apply", help="Only say what differs: exit code 3 when anything does, else 0.")
    ] = False,
    by: Annotated[By, typer.Option("--by", help="Periods by which differences are told.")] = By.day,
    undo: Annotated[UUID | None, typer.Option("--undo", help="Put back what this run replaced.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Runs: how far they are, what they found and did.")] = False,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Take its claim from a build run that does not end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Compute minutes anew from the lake, tell how the rollups differ by period and measure, and put that in place.

    Loads and builds go on meanwhile, and readers see old or new. A run that was killed goes on where it was when the
    same is asked for again. What was replaced is kept for 30 days: --undo RUN puts it back.
    """
    log.configure("reprocess")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    settings = ReprocessSettings.read()
    console = Console(stderr=as_json)
    _refuse_mixtures(from_, to, undo, show_list=show_list, dry_run=dry_run, narrowed=bool(type_ or tenant))
    if show_list:
        _list(settings, console, as_json=as_json)
        return
    # Only now: Spark's and Iceberg's clients take a second of CPU to import.
    from pyspark.errors import PySparkException  # noqa: PLC0415

    from spark_jobs.reprocess import reprocess  # noqa: PLC0415
    from spark_jobs.reprocess import undo as undo_run  # noqa: PLC0415

    contracts = _contracts(type_)
    try:
        if undo is not None:
            outcome = undo_run(contracts, settings, undo, supersede=supersede, grain=by.value)
        else:
            span = Span(moment(from_ or "", "--from"), moment(to or "", "--to"), tenant)
            if span.start >= span.end:
                raise typer.BadParameter("--from must lie before --to")
            outcome = reprocess(
                contracts, settings, span, dry_run=dry_run, supersede=supersede, grain=by.value,
                say=_teller(Console(stderr=True)),
            )  # fmt: skip
    except (runs.AlreadyAtWork, Busy, BuildAtWork, CannotUndo, PySparkException, psycopg.Error) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    _show(outcome.as_json(_SHOWN), console)
    if as_json:
        typer.echo(json.dumps(outcome.as_json()))
    if dry_run and outcome.differing:
        raise typer.Exit(DIFFERS)


def moment(text: str, name: str) -> datetime:
    """A whole minute; without an offset of UTC.

    :raises BadParameter: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{name} {text!r} is no time: as in 2026-11-01 or 2026-11-01T12:30") from error
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if found.second or found.microsecond:
        raise typer.BadParameter(f"{name} {text!r} lies within a minute, and a minute is computed as a whole")
    return found


def _refuse_mixtures(
    from_: str | None, to: str | None, undo: UUID | None, *, show_list: bool, dry_run: bool, narrowed: bool
) -> None:
    alone = "--list" if show_list else "--undo" if undo is not None else None
    if alone and (from_ or to or narrowed or dry_run or (show_list and undo is not None)):
        raise typer.BadParameter(f"{alone} stands alone: it takes no span, type, tenant or --dry-run")
    if not alone and not (from_ and to):
        raise typer.BadParameter("say which span: --from and --to (or --undo RUN, or --list)")


def _contracts(types: list[str] | None) -> list[Contract]:
    try:
        registry = Registry.load()
        return [registry.newest(t) for t in types] if types else list(registry)
    except ContractError as error:
        raise typer.BadParameter(str(error)) from error


def _teller(console: Console) -> "Callable[[Step], None]":
    def tell(step: "Step") -> None:
        left = "" if step.left is None else f", {timedelta(seconds=round(step.left))} left"
        console.print(
            f"{step.type} through {step.through:%Y-%m-%d %H:%M}: {100 * step.done // step.total} %{left};"
            f" {step.differing:,} minutes differ",
            highlight=False,
        )

    return tell


def _show(outcome: dict[str, object], console: Console) -> None:
    differences = outcome["differences"]
    if isinstance(differences, list) and differences:
        table = Table("type", "tenant", "period", "measure", "is", "becomes", "rows", box=None)
        for one in differences:
            measure = one["measure"] if one["part"] == "rollup" else f"books: {one['measure']}"
            told = (one["old"] or "-", one["new"] or "-", str(one["rows"]))
            table.add_row(one["type"], one["tenant"], one["period"], measure, *told)
        console.print(table)
    if outcome["differences_left_out"]:
        console.print(f"and {outcome['differences_left_out']:,} more", highlight=False)
    console.print(
        f"{outcome['kind']} {outcome['run_id']}: {outcome['minutes_compared']:,} minutes compared,"
        f" {outcome['differing']:,} differ, {outcome['replaced']:,} replaced; {outcome['seconds']} s",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if outcome["resumed"]:
        console.print("went on with that run: what it had compared before was not looked at again", highlight=False)
    left_out = {
        "minutes_below_floor": "below the lake's floor: not computed",
        "minutes_waiting": "left to the load, which has them to do",
        "minutes_quarantined": "with quarantined rows: left as they are",
    }
    for name, words in left_out.items():
        if outcome[name]:
            console.print(f"{outcome[name]:,} minutes {words}", highlight=False)
    if outcome["left_as_they_are"]:
        console.print(f"differed, and left as they are: {outcome['left_as_they_are']}", highlight=False)


def _list(settings: ReprocessSettings, console: Console, *, as_json: bool) -> None:
    with psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION) as warehouse:
        found = runs.listed(warehouse)
    table = Table("run", "kind", "state", "from", "to", "compared through", "differ", "replaced", box=None)
    for one in found:
        names = ("run_id", "kind", "state", "from", "to", "compared_through", "differing", "replaced")
        table.add_row(*(str("-" if one[name] is None else one[name]) for name in names))
    console.print(table)
    if as_json:
        typer.echo(json.dumps({"runs": found}))
