"""``watershed lake maintain``"""

import json
import logging
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from contracts.registry import ContractError, Registry
from runtime import log
from spark_jobs.settings import MaintainSettings

app = typer.Typer(help="Keep the lake small and quick.")


@app.command("maintain")
def maintain_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Retention, compaction, snapshots, orphan files and old minutes: every table, or those of --type.

    Landings and loads may go on meanwhile. Exit code 1 when a table failed; the others are maintained all the same.
    """
    from pyspark.errors import PySparkException  # noqa: PLC0415 - Spark's client takes a second to import

    from spark_jobs.maintain_lake import AlreadyAtWork, maintain  # noqa: PLC0415

    log.configure("maintain")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    settings = MaintainSettings.read()
    try:
        registry = Registry.load()
        contracts = [registry.newest(t) for t in type_] if type_ else list(registry)
    except ContractError as error:
        raise typer.BadParameter(str(error)) from error
    console = Console(stderr=as_json)
    try:
        summary = maintain(contracts, settings, quality=not type_, dry_run=dry_run)
    except (AlreadyAtWork, PySparkException, psycopg.Error) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    grid = Table(
        "table", "floor", "rows deleted", "files", "became", "snapshots", "orphans", "minutes merged", box=None
    )
    for one in summary.tables:
        numbers = (
            one.rows_deleted, one.files_rewritten, one.files_written, one.snapshots_expired, one.orphans_removed,
            one.rollup_rows_merged,
        )  # fmt: skip
        grid.add_row(one.table, f"{one.floor:%Y-%m-%d}" if one.floor else "-", *(f"{n:,}" for n in numbers))
    console.print(grid)
    for name, why in sorted(summary.failed.items()):
        console.print(f"[red]{name} failed: {why}[/red]", highlight=False)
    console.print(f"{'dry run: nothing was changed; ' if dry_run else ''}{summary.seconds:.1f} s", highlight=False)
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    if summary.failed:
        raise typer.Exit(1)
