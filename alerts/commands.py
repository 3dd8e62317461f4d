"""``watershed alerts …``."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from alerts.check import check
from alerts.definitions import DefinitionError, load_alerts
from alerts.report_needs import missing
from alerts.settings import AlertSettings
from runtime.mail import MailError
from runtime.settings import SettingsError

app = typer.Typer(help="Alerts: rules over the marts, told by mail once when broken and once when over.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


@app.callback()
def alerts() -> None:
    """Alerts: rules over the marts, told by mail once when broken and once when over."""


@app.command("check")
def check_command(as_json: Json = False) -> None:
    """Judge every alert once and tell what changed; run by Airflow every five minutes, or by hand."""
    settings = AlertSettings.read()
    try:
        done = check(settings.alerter_dsn, load_alerts(), settings.teller())
    except (DefinitionError, MailError, SettingsError, psycopg.Error) as error:
        sys.stderr.write(f"alerts: {error}\n")
        raise typer.Exit(1) from error
    console = Console(stderr=as_json, highlight=False)
    console.print(
        f"{done.active} alerts judged: {done.opened} incidents opened, {done.closed} ended, {done.open} go on;"
        f" {done.mails} mails sent"
    )
    if done.untold:
        console.print(f"{done.untold} told to nobody: neither SMTP_HOST nor ALERTS_TO is set")
    for name, reason in done.inactive.items():
        console.print(f"{name} is not active: {reason}")
    if as_json:
        typer.echo(json.dumps(done.as_json(), sort_keys=True))


@app.command("report")
def report_command(
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Which day, each tenant's own; default: yesterday's date (UTC)."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=31, help="So many days, the last of them this one.")] = 1,
    tenant: Annotated[list[str] | None, typer.Option(help="Only of this tenant (repeatable).")] = None,
    dashboard: Annotated[str, typer.Option(help="Slug of the dashboard.")] = "page-views",
    *,
    if_possible: Annotated[
        bool, typer.Option("--if-possible", help="Where a mail server or a browser is missing: say so, and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Mail the daily report of each tenant that has data of the day; each once, however often this is run.

    Once the tenant's day is over and its numbers are complete; twelve hours after its end as they are, and said to be
    preliminary.
    """
    last = day.date() if day else (datetime.now(UTC) - timedelta(days=1)).date()
    wanted = [last - timedelta(days=before) for before in reversed(range(days))]
    if if_possible and (without := _missing()):
        sys.stderr.write(f"alerts: no report is mailed: {without}\n")
        if as_json:
            typer.echo(json.dumps({"day": last.isoformat(), "sent": [], "because": without}))
        return
    try:
        # Not above: the check every five minutes needs no browser, and not every installation has one.
        from alerts.report import REPORT_ERRORS, mail_reports  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"alerts: the picture needs {error.name} and a Chromium: `make setup-dev` installs the first\n"
        )
        raise typer.Exit(1) from error
    settings = AlertSettings.read()
    try:
        teller = settings.teller_or_error()
        sent, found = mail_reports(settings.alerter_dsn, teller, dashboard, wanted, tenant or ())
    except (*REPORT_ERRORS, MailError, SettingsError, psycopg.Error) as error:
        sys.stderr.write(f"alerts: {error}\n")
        raise typer.Exit(1) from error
    names = [f"{each.tenant}, {each.day}{' (preliminary)' if each.preliminary else ''}" for each in sent]
    because = found.why_not or "every report is sent, or no tenant has data of the day"
    Console(stderr=as_json, highlight=False).print(f"reports sent: {'; '.join(names) or f'none: {because}'}")
    if as_json:
        typer.echo(json.dumps({"day": last.isoformat(), "sent": names, **({} if sent else {"because": because})}))


def _missing() -> str:
    """Why no report can be made and sent here; empty when it can. Ends the command where a setting is wrong."""
    try:
        return "; ".join(missing(AlertSettings.read()))
    except (MailError, SettingsError) as error:
        sys.stderr.write(f"alerts: {error}\n")
        raise typer.Exit(1) from error


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """Show what is broken now, and what ended within a week."""
    with psycopg.connect(AlertSettings.read().alerter_dsn) as connection:
        rows = connection.execute(
            """
            select alert, tenant, key, opened_value, opened_at, closed_at, told_at from ledger.incidents
            where closed_at is null or closed_at > now() - interval '7 days'
            order by closed_at desc nulls first, opened_at desc
            """
        ).fetchall()
    table = Table("alert", "tenant", "of", "value", "opened", "ended", "told")
    found = []
    for alert, tenant, key, value, opened, closed, told in rows:
        table.add_row(
            alert, tenant, key, value, f"{opened:%F %T}", f"{closed:%F %T}" if closed else "", str(bool(told))
        )
        found.append({"alert": alert, "tenant": tenant, "key": key, "value": value, "open": closed is None})
    Console(stderr=as_json, highlight=False).print(table)
    if as_json:
        typer.echo(json.dumps({"incidents": found}))
