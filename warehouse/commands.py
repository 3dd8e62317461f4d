"""``watershed warehouse …``"""

import json
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from contracts.registry import ContractError, Registry
from runtime import log
from runtime.settings import SettingsError
from warehouse import checksum
from warehouse.ddl import BreakingChange
from warehouse.migrate import MigrationError, migrate
from warehouse.settings import MigrateSettings

app = typer.Typer(no_args_is_help=True, help="The Postgres warehouse: schemas, ledger, rollup tables, rights.")


@app.callback()
def warehouse() -> None:
    """The Postgres warehouse: schemas, ledger, rollup tables, rights."""


@app.command("migrate")
def migrate_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try everything, then roll back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Bring the warehouse to what the code and the contracts say; a second run changes nothing."""
    log.configure("warehouse")
    console = Console(stderr=as_json)
    try:
        done = migrate(MigrateSettings.read().warehouse_dsn, Registry.load(), dry_run=dry_run)
    except (SettingsError, ContractError, BreakingChange, MigrationError) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", markup=True, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    for change in done.changes:
        verb = "create" if change.created else "widen"
        console.print(f"{verb} rollups.{change.table}: {', '.join(change.columns)}", highlight=False)
    if done.minutes_to_recompute:
        console.print(f"{done.minutes_to_recompute} minutes will be recomputed to fill new columns")
    if dry_run:
        console.print("dry run: rolled back")
    elif not done.changes:
        console.print("the warehouse is up to date")
    if as_json:
        typer.echo(json.dumps(done.as_json()))


@app.command("checksum")
def checksum_command(
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; may be repeated.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's minutes.")] = None,
    marts: Annotated[bool, typer.Option("--marts", help="Of the marts too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Checksums of rollups and books by type: equal data give equal checksums, on whatever server.

    To compare before and after: a reprocessing, an upgrade, a restored backup.
    """
    log.configure("warehouse")
    try:
        registry = Registry.load()
        contracts = [registry.newest(t) for t in type_] if type_ else list(registry)
        dsn = MigrateSettings.read().warehouse_dsn
        with psycopg.connect(dsn, options=checksum.SESSION) as connection:
            found = dict(checksum.of_rollups(connection, contracts, tenant=tenant))
            if marts:
                found |= checksum.of_marts(connection)
    except (SettingsError, ContractError, psycopg.Error) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", markup=True, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    table = Table("table", "rows", "checksum", box=None)
    for name, one in found.items():
        table.add_row(name, f"{one.rows:,}", one.sum)
    Console(stderr=as_json).print(table)
    if as_json:
        typer.echo(json.dumps({name: vars(one) for name, one in found.items()}))
