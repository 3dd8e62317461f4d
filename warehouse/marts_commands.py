"""``watershed marts …`` and ``watershed publish``: the steps from changed rollups to charts, each by itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from rich.console import Console

from dbt_project.build import DbtFailed, build, run_dbt
from dbt_project.settings import DbtSettings
from runtime import log
from warehouse import claims
from warehouse import publish as publication
from warehouse.marts_settings import PublisherSettings

app = typer.Typer(no_args_is_help=True, help="Claim what changed, build it beside the marts, see how fresh they are.")
publish = typer.Typer(help="Replace the marts' numbers by what was built and passed the gates.")

RunId = Annotated[UUID, typer.Option("--run-id", help="The build run: one UUID for all of its steps.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.command("claim")
def claim_command(
    run_id: RunId,
    everything: Annotated[
        bool, typer.Option("--all", help="Also every hour in rollups and marts: a full rebuild.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take everything unpublished into the hands of one run; if there is nothing, bring freshness up to date."""
    log.configure("marts")
    settings = PublisherSettings.read()
    try:
        claim = claims.claim(settings.publisher_dsn, run_id, everything=everything)
        if not claim.hours:
            # No publication will follow, and the charts are complete through a later instant all the same.
            publication.refresh_freshness(settings.publisher_dsn)
    except psycopg.Error as error:
        raise _failed(error) from error
    _say(claim.as_json(), f"{claim.hours} hours of {len(claim.tenants)} tenants claimed by {run_id}", as_json=as_json)


@app.command("build")
def build_command(
    run_id: RunId,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every model anew from all the rollups.")
    ] = False,
    run_results: Annotated[
        Path | None, typer.Option(help="Write dbt's results of this run (run_results.json) to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build what the run has claimed into marts_build, with dbt."""
    log.configure("marts")
    try:
        built = build(DbtSettings.read(), run_id, full_refresh=full_refresh, run_results=run_results)
    except (DbtFailed, psycopg.Error) as error:
        raise _failed(error) from error
    _say(built.as_json(), f"{len(built.seconds)} models built for {run_id}", as_json=as_json)


@app.command("test")
def test_command(as_json: AsJson = False) -> None:
    """Run dbt's data tests on all of marts_build and its unit tests."""
    log.configure("marts")
    try:
        done = run_dbt(DbtSettings.read(), ["test"])
    except DbtFailed as error:
        raise _failed(error) from error
    _say(done.as_json(), f"{len(done.seconds)} dbt tests passed", as_json=as_json)


@app.command("freshness")
def freshness_command(as_json: AsJson = False) -> None:
    """Bring marts.freshness up to date while there is nothing to publish."""
    log.configure("marts")
    settings = PublisherSettings.read()
    try:
        rows = publication.refresh_freshness(settings.publisher_dsn)
    except psycopg.Error as error:
        raise _failed(error) from error
    _say({"rows": rows}, f"{rows} rows of marts.freshness are up to date", as_json=as_json)


@publish.command("publish")
def publish_command(run_id: RunId, as_json: AsJson = False) -> None:
    """Replace the marts' numbers by what the run built and the gates passed, in one transaction.

    Exits 0 also when tenants were held: they are listed, their numbers stay as they were, and the next run tries again.
    """
    log.configure("marts")
    settings = PublisherSettings.read()
    try:
        done = publication.publish(settings.publisher_dsn, run_id)
    except (publication.NotGated, publication.SupersededRun, psycopg.Error) as error:
        raise _failed(error) from error
    again = " (by an earlier call)" if done.repeated else ""
    lines = [
        f"{sum(done.rows.values())} rows of {len(done.rows)} tenants published, {done.restatements} restated{again}"
    ]
    lines += [f"held: {tenant} because of {reason}" for tenant, reason in sorted(done.held.items())]
    _say({**done.as_json(), **done.tables()}, "\n".join(lines), as_json=as_json)


def _say(result: Mapping[str, object], text: str, *, as_json: bool) -> None:
    Console(stderr=as_json).print(text, highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(result))


def _failed(error: Exception) -> typer.Exit:
    Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
    return typer.Exit(1)
