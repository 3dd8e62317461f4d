"""The daily report: a dashboard's picture, and the day's rows of its charts as CSV, by mail, once a day and tenant."""

import csv
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import Any

import httpx
import playwright.sync_api
import psycopg

from alerts.tell import Teller
from runtime.mail import Attachment, Mail
from superset_config.bundle import Asset, Bundle
from superset_config.rest import Superset, SupersetError
from superset_config.screenshot import BrowserSettings, LogInError, dashboard_url, logged_in, look, placed_on

WIDTH, HEIGHT = 1440, 900


class ReportError(Exception):
    """A report cannot be made as it should be; the message says of what, and why."""


REPORT_ERRORS = (ReportError, SupersetError, LogInError, httpx.HTTPError, playwright.sync_api.Error)
"""What can go wrong in making a report."""


@dataclass(frozen=True)
class Report:
    """What a reader gets: ``files`` are name and text of each CSV."""

    tenant: str
    day: date
    title: str
    url: str
    picture: bytes
    files: Sequence[tuple[str, str]]


def mail_reports(dsn: str, teller: Teller, slug: str, day: date, tenants: Sequence[str] = ()) -> list[str]:
    """Mail what is due of ``day``; gives the tenants whose report was sent.

    :raises Exception: of :data:`REPORT_ERRORS`, or MailError; what was sent before stays sent
    """
    settings, bundle = BrowserSettings.read(), Bundle.load()
    sent = []
    for tenant in due(dsn, day, slug, tenants):
        send(dsn, teller, make(settings, bundle, slug, tenant, day), slug)
        sent.append(tenant)
    return sent


def due(dsn: str, day: date, dashboard: str, tenants: Sequence[str] = ()) -> list[str]:
    """The tenants, of ``tenants`` or all that have data of ``day``, who were not sent this report yet."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            """
            select distinct f.tenant from marts.freshness as f
            where f.newest_period_start + interval '1 hour' > %(day)s::date::timestamp at time zone f.time_zone
            and (cardinality(%(tenants)s::text[]) = 0 or f.tenant = any(%(tenants)s))
            and not exists (
                select from ledger.reports as r
                where r.tenant = f.tenant and r.day = %(day)s and r.dashboard = %(dashboard)s
            )
            order by f.tenant
            """,
            {"day": day, "tenants": list(tenants), "dashboard": dashboard},
        ).fetchall()
    return [row[0] for row in rows]


def make(settings: BrowserSettings, bundle: Bundle, slug: str, tenant: str, day: date) -> Report:
    """Look at the dashboard as ``tenant``'s, and ask each of its charts for ``day``.

    :raises ReportError: there is no such dashboard, or a reader of it would see something wrong
    :raises SupersetError: a chart does not answer
    """
    board = _dashboard(bundle, slug)
    url = dashboard_url(settings.superset_url, slug, tenant)
    with tempfile.TemporaryDirectory() as folder, logged_in(settings, WIDTH, HEIGHT) as page:
        seen = look(page, url, slug, Path(folder) / "picture.png", placed_on(board))
        if seen.wrong:
            raise ReportError(f"{slug} of {tenant}: {'; '.join(seen.wrong)}")
        picture = seen.picture.read_bytes()
    with Superset(settings) as superset:
        files = _files(superset, bundle, board, tenant, day)
    return Report(tenant, day, board.name, url, picture, files)


def send(dsn: str, teller: Teller, report: Report, slug: str) -> None:
    """Mail ``report``, and note that it was sent. A run that dies in between sends it again.

    :raises MailError: the server did not take it
    """
    teller.mailer.send(mail_of(report, teller.to))
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into ledger.reports (tenant, day, dashboard) values (%s, %s, %s) on conflict do nothing",
            (report.tenant, report.day, slug),
        )


def mail_of(report: Report, to: tuple[str, ...]) -> Mail:
    """The report as a mail: the picture within, the files beside."""
    heading = f"{report.title}: {report.tenant}, {report.day.isoformat()}"
    name = f"{report.day.isoformat()}.png"
    files = ", ".join(file for file, _ in report.files) or "none: no chart has a row of this day"
    html = (
        f'<h1 style="font: 600 18px sans-serif">{escape(heading)}</h1>'
        f'<p><a href="{escape(report.url)}"><img src="cid:{name}" alt="{escape(heading)}" width="960"></a></p>'
        f'<p style="font: 13px sans-serif">The rows of the day (of its time zone) are attached: {escape(files)}.</p>'
    )
    attached = [Attachment(file, "text/csv", text.encode()) for file, text in report.files]
    picture = Attachment(name, "image/png", report.picture, inline=True)
    text = f"{heading}\n\n{report.url}\n\nThe rows of the day (of its time zone) are attached: {files}.\n"
    return Mail(to=to, subject=heading, text=text, html=html, attachments=[picture, *attached])


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """``rows`` with a line of names. What a spreadsheet would take for a formula is quoted with an apostrophe."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return out.getvalue()


def _harmless(value: Any) -> Any:
    # Names of pages and apps are what senders chose (OWASP, "CSV Injection").
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _dashboard(bundle: Bundle, slug: str) -> Asset:
    for board in bundle.of("dashboards"):
        if board.content["slug"] == slug:
            return board
    known = ", ".join(str(board.content["slug"]) for board in bundle.of("dashboards"))
    raise ReportError(f"there is no dashboard {slug!r}: choose from {known}")


def _files(superset: Superset, bundle: Bundle, board: Asset, tenant: str, day: date) -> list[tuple[str, str]]:
    numbers = {uuid: int(row["id"]) for uuid, row in superset.by_uuid("chart").items()}
    placed = {part["meta"]["uuid"] for part in board.content["position"].values() if _is_chart(part)}
    span = f"{day.isoformat()} : {(day + timedelta(days=1)).isoformat()}"
    files = []
    for chart in bundle.of("charts"):
        if chart.uuid in placed and (rows := superset.chart_rows(numbers[chart.uuid], {"tenant": [tenant]}, span)):
            name = re.sub(r"[^a-z0-9]+", "-", chart.name.lower()).strip("-")
            files.append((f"{day.isoformat()}-{name}.csv", as_csv(rows)))
    return files


def _is_chart(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "CHART"
