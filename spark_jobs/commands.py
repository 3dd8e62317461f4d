"""``watershed load``"""

import json
import logging
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.registry import ContractError, Registry
from runtime import log
from spark_jobs.load_rollups import Summary, load, load_with_rejects
from spark_jobs.settings import LoadSettings

app = typer.Typer(help="Load what is new in the lake into the rollups.")


@app.command("load")
def load_command(
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; may be repeated.")] = None,
    budget_seconds: Annotated[
        float | None, typer.Option("--budget-seconds", min=0.001, help="Instead of LOAD_BUDGET_SECONDS.")
    ] = None,
    recount_rejects: Annotated[
        bool, typer.Option("--recount-rejects", help="Count every rejected event of the lake anew, not only new ones.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Load what is new in the lake into the rollups and the counts of rejected events; or only the types of --type.

    Exit code 1 when a type failed; the others are loaded all the same.
    """
    log.configure("load")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    if type_ and recount_rejects:
        raise typer.BadParameter("rejected events are counted when every type is loaded: without --type")
    settings = LoadSettings.read()
    if budget_seconds is not None:
        settings = settings.model_copy(update={"load_budget_seconds": budget_seconds})
    try:
        registry = Registry.load()
        contracts = [registry.newest(t) for t in type_] if type_ else list(registry)
    except ContractError as error:
        raise typer.BadParameter(str(error)) from error
    summary = load(contracts, settings) if type_ else load_with_rejects(contracts, settings, recount=recount_rejects)
    _show(summary, Console(stderr=as_json))
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    if summary.failed:
        raise typer.Exit(1)


def _show(summary: Summary, console: Console) -> None:
    if summary.loads:
        table = Table("type", "new events", "touched", "recomputed", "rows", "left", box=None)
        for one in sorted(summary.loads, key=lambda item: item.type):
            numbers = (one.events_read, one.minutes_touched, one.minutes_recomputed, one.rows_written, one.minutes_left)
            table.add_row(one.type, *(f"{n:,}" for n in numbers))
        console.print(table)
    if summary.rejects and summary.rejects.hours_counted:
        words = (
            "{rejected:,} new rejected events; {reject_hours_counted:,} hours counted anew, {reject_hours_left:,} left"
        )
        console.print(words.format(**summary.rejects.as_json()), highlight=False)
    if summary.idle:
        console.print(f"nothing new: {', '.join(sorted(summary.idle))}", highlight=False)
    if summary.busy:
        console.print(f"in the hands of another load: {', '.join(sorted(summary.busy))}", highlight=False)
    for name, why in sorted(summary.failed.items()):
        console.print(f"[red]{name} failed: {why}[/red]", highlight=False)
    console.print(f"{summary.seconds:.1f} s", highlight=False)
