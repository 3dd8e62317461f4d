"""``watershed gate …``: what stops a tenant's numbers before dbt reads them and before readers do."""

import json
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from rich.console import Console

from expectations.check import CheckFailed
from expectations.gate import gate
from expectations.settings import GateSettings
from expectations.suites import Stage, SuiteError
from runtime import log

app = typer.Typer(no_args_is_help=True, help="Check what a run has in hand; a failed stop holds the tenant it names.")

RunId = Annotated[UUID, typer.Option("--run-id", help="The build run: one UUID for all of its steps.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.command("rollups")
def rollups_command(run_id: RunId, as_json: AsJson = False) -> None:
    """Check the claimed rollups, before dbt reads them. Exits 0 also when tenants are held: they are listed."""
    _gate("rollups", run_id, as_json=as_json)


@app.command("marts")
def marts_command(run_id: RunId, as_json: AsJson = False) -> None:
    """Check what was built, before it is published. Exits 0 also when tenants are held: they are listed."""
    _gate("marts", run_id, as_json=as_json)


def _gate(stage: Stage, run_id: UUID, *, as_json: bool) -> None:
    log.configure("gate")
    console = Console(stderr=as_json)
    try:
        verdict = gate(GateSettings.read(), stage, run_id)
    except (CheckFailed, SuiteError, psycopg.Error) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    result = verdict.as_json()
    held, warned = verdict.failures("stop"), verdict.failures("warn")
    console.print(f"{result['expectations']} expectations on {stage}, {len(held)} tenants held", highlight=False)
    for word, failures in (("held", held), ("warned", warned)):
        for tenant, failed in sorted(failures.items()):
            console.print(f"{word}: {tenant} because of {'; '.join(failed)}", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(result))
