"""``watershed report …``"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

import psycopg
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from reports import render
from reports.bucket import Bucket
from reports.read import Day, read_day
from reports.settings import ReportSettings
from runtime import log
from warehouse.marts import MARTS

app = typer.Typer(
    no_args_is_help=True, help="The business report of a day, and dumps of the marts, in the lake's bucket."
)

OfDay = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="The day, each tenant's own; default: yesterday's date (UTC)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.command("daily")
def daily_command(
    of_day: OfDay = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the day's report of each tenant as HTML and CSV; a second run of the day replaces it."""
    log.configure("report")
    settings, day = ReportSettings.read(), _day(of_day)
    try:
        found = read_day(settings.reader_dsn, day, tenant=tenant)
        bucket = Bucket(settings)
        for name in found.tenants:
            bucket.replace(folder(name, day), files(found, name, settings.report_top))
        everyone = f"reports/daily/everyone/date={day}"
        if tenant is None:
            page = render.page(found, found.tenants, settings.report_top)
            bucket.replace(everyone, {"report.html": page.encode()})
    except (psycopg.Error, BotoCoreError, ClientError) as error:
        raise _failed(error) from error
    at = everyone if tenant is None else folder(tenant, day)
    result = {
        "day": day.isoformat(),
        "tenants": len(found.tenants),
        "final": sum(found.is_final(name) for name in found.tenants),
        "rows": sum(len(one.rows) for one in found.marts),
        "report": f"s3://{bucket.name}/{at}/report.html",
        "links": {"Report": bucket.link(f"{at}/report.html")},
    }
    _say(result, f"{result['tenants']} tenants, {result['rows']} rows: {result['report']}", as_json=as_json)


@app.command("dump")
def dump_command(of_day: OfDay = None, as_json: AsJson = False) -> None:
    """Write the day's rows of every mart as Parquet; a second run of the day replaces them.

    A week or a month is in the dump of its first day, which changes until it is over: dump that day again then.
    """
    log.configure("report")
    settings, day = ReportSettings.read(), _day(of_day)
    try:
        bucket = Bucket(settings)
        found = read_day(settings.reader_dsn, day, MARTS)
        for one in found.marts:
            bucket.replace(f"dumps/{one.mart.name}/date={day}", {"part-0.parquet": render.parquet(one)})
    except (psycopg.Error, BotoCoreError, ClientError) as error:
        raise _failed(error) from error
    rows = {one.mart.name: len(one.rows) for one in found.marts}
    result = {"day": day.isoformat(), "marts": len(rows), "rows": rows}
    _say(result, f"{sum(rows.values())} rows of {len(rows)} marts dumped", as_json=as_json)


def folder(tenant: str, day: date) -> str:
    """Where a tenant's report lies in the bucket; a tenant's name cannot lead anywhere else."""
    return f"reports/daily/tenant={quote(tenant, safe='')}/date={day}"


def files(day: Day, tenant: str, top: int) -> dict[str, bytes]:
    """A tenant's report: the page, and a table for each mart."""
    tables = {f"{one.mart.name}.csv": render.table(one.of_tenant(tenant)).encode() for one in day.marts}
    return {"report.html": render.page(day, [tenant], top).encode(), **tables}


def _day(given: datetime | None) -> date:
    return given.date() if given else (datetime.now(UTC) - timedelta(days=1)).date()


def _say(result: Mapping[str, object], text: str, *, as_json: bool) -> None:
    Console(stderr=as_json).print(text, highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(result))


def _failed(error: Exception) -> typer.Exit:
    Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
    return typer.Exit(1)
