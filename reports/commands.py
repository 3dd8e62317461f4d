"""``watershed report …``"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import psycopg
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from reports.bucket import Bucket
from reports.read import read_day
from reports.settings import ReportSettings
from reports.write import files, finish, folder, folder_of_all, write_day, write_dump
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
        if tenant is None:
            write_day(bucket, found, settings.report_top)
        else:
            bucket.replace(folder(tenant, day), files(found, tenant, settings.report_top))
    except (psycopg.Error, BotoCoreError, ClientError) as error:
        raise _failed(error) from error
    at = folder_of_all(day) if tenant is None else folder(tenant, day)
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

    Of the marts by week and month it writes the period that holds the day, by its first day; each day's run replaces it
    until it is over. What is of all time is written whole, as of 1970-01-01.
    """
    log.configure("report")
    settings, day = ReportSettings.read(), _day(of_day)
    try:
        bucket = Bucket(settings)
        rows = write_dump(bucket, read_day(settings.reader_dsn, day, MARTS))
    except (psycopg.Error, BotoCoreError, ClientError) as error:
        raise _failed(error) from error
    result = {"day": day.isoformat(), "marts": len(rows), "rows": rows}
    _say(result, f"{sum(rows.values())} rows of {len(rows)} marts dumped", as_json=as_json)


@app.command("finish")
def finish_command(
    of_day: OfDay = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="So many days, the last of them this one.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Write again, with their dumps, the reports that were preliminary when they were written and now are final."""
    log.configure("report")
    settings, last = ReportSettings.read(), _day(of_day)
    wanted = [last - timedelta(days=before) for before in reversed(range(days))]
    try:
        bucket = Bucket(settings)
        done = finish(settings, bucket, wanted)
    except (psycopg.Error, BotoCoreError, ClientError) as error:
        raise _failed(error) from error
    finished = [f"{name}, {one.day}" for one in done for name in one.tenants]
    result: dict[str, object] = {"day": last.isoformat(), "finished": finished}
    if done:
        result["links"] = {"Report": bucket.link(f"{folder_of_all(done[-1].day)}/report.html")}
    else:
        result["because"] = "no report that was preliminary has become final"
    _say(result, f"reports that are final now: {'; '.join(finished) or 'no other'}", as_json=as_json)


def _day(given: datetime | None) -> date:
    return given.date() if given else (datetime.now(UTC) - timedelta(days=1)).date()


def _say(result: Mapping[str, object], text: str, *, as_json: bool) -> None:
    Console(stderr=as_json).print(text, highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(result))


def _failed(error: Exception) -> typer.Exit:
    Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
    return typer.Exit(1)
