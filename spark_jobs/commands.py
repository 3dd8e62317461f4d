"""``watershed load``"""

import json
import logging
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.registry import ContractError, Registry
from runtime import log
from spark_jobs.load_rollups import Summary, load
from spark_jobs.settings import LoadSettings

app = typer.Typer(help="Load what is new in the lake into the rollups.")


@app.command("load")
def load_command(
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; may be repeated.")] = None,
    budget_seconds: Annotated[
        float | None, typer.Option("--budget-seconds", min=0.001, help="Instead of LOAD_BUDGET_SECONDS.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Load what is new in the lake into the rollups: every type, or those of --type.

    Exit code 1 when a type failed; the others are loaded all the same.
    """
    log.configure("load")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    settings = LoadSettings.read()
    if budget_seconds is not None:
        settings = settings.model_copy(update={"load_budget_seconds": budget_seconds})
    try:
        registry = Registry.load()
        contracts = [registry.newest(t) for t in type_] if type_ else list(registry)
    except ContractError as error:
        raise typer.BadParameter(str(error)) from error
    summary = load(contracts, settings)
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
    if summary.idle:
        console.print(f"nothing new: {', '.join(sorted(summary.idle))}", highlight=False)
    if summary.busy:
        console.print(f"in the hands of another load: {', '.join(sorted(summary.busy))}", highlight=False)
    for name, why in sorted(summary.failed.items()):
        console.print(f"[red]{name} failed: {why}[/red]", highlight=False)
    console.print(f"{summary.seconds:.1f} s", highlight=False)
