"""The daily report: a dashboard's picture, and the day's rows of its charts as CSV, by mail, once a day and tenant."""

import csv
import io
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import httpx
import playwright.sync_api
import psycopg

from alerts.board import Board, ReportError, read_board
from alerts.due import Due, Standing, read_unsent, standing
from alerts.tell import Teller
from runtime.mail import Attachment, Mail
from superset_config.bundle import Bundle
from superset_config.rest import Superset, SupersetError
from superset_config.screenshot import BrowserSettings, LogInError, dashboard_url, logged_in, look

WIDTH, HEIGHT = 1440, 900


REPORT_ERRORS = (ReportError, SupersetError, LogInError, httpx.HTTPError, playwright.sync_api.Error)
"""What can go wrong in making a report."""


@dataclass(frozen=True)
class Report:
    """What a reader gets: ``files`` are name and text of each CSV.

    ``preliminary`` says why the numbers are not final; empty: they are.
    """

    tenant: str
    day: date
    title: str
    url: str
    picture: bytes
    files: Sequence[tuple[str, str]]
    preliminary: str = ""


def mail_reports(
    dsn: str, teller: Teller, slug: str, days: Sequence[date], tenants: Sequence[str] = ()
) -> tuple[list[Due], Standing]:
    """Mail what is due of ``days``; gives what was sent, and what was found.

    What cannot be made of one tenant keeps no other's from being sent; it is told when all were tried.

    :raises Exception: of :data:`REPORT_ERRORS`, or MailError; what was sent before stays sent
    """
    settings, bundle = BrowserSettings.read(), Bundle.load()
    board = read_board(bundle, slug)
    found = standing(read_unsent(dsn, board, days, tenants), datetime.now(UTC))
    sent, failed = [], []
    for due in found.due:
        try:
            report = make(settings, board, due)
        except (ReportError, SupersetError) as error:
            failed.append(f"{due.tenant}, {due.day}: {error}")
            continue
        send(dsn, teller, report, slug)
        sent.append(due)
    if failed:
        raise ReportError("; ".join(failed))
    return sent, found


def make(settings: BrowserSettings, board: Board, due: Due) -> Report:
    """Look at the dashboard as the tenant's, and ask each chart that has a day's rows for them.

    :raises ReportError: a reader of it would see something wrong, or another tenant's numbers
    :raises SupersetError: a chart does not answer
    """
    url = dashboard_url(settings.superset_url, board.slug, due.tenant)
    with Superset(settings) as superset:
        numbers = {uuid: int(row["id"]) for uuid, row in superset.by_uuid("chart").items()}
        with tempfile.TemporaryDirectory() as folder, logged_in(settings, WIDTH, HEIGHT) as page:
            seen = look(page, url, board.slug, Path(folder) / "picture.png")
            charts = {numbers[uuid]: name for uuid, name in board.of_tenant.items()}
            if wrong := [*seen.wrong, *of_others(charts, seen.asked, due.tenant)]:
                raise ReportError(f"{board.slug} of {due.tenant}: {'; '.join(wrong)}")
            picture = seen.picture.read_bytes()
        files = _files(superset, {numbers[uuid]: name for uuid, name in board.of_day.items()}, due)
    return Report(due.tenant, due.day, board.title, url, picture, files, due.preliminary)


def of_others(charts: Mapping[int, str], asked: Mapping[int, Collection[str]], tenant: str) -> list[str]:
    """Which of ``charts``, by number, did not ask for ``tenant``'s numbers and nobody else's."""
    return [
        f"chart {name!r} asked for {', '.join(sorted(asked.get(number, ()))) or 'nothing'} and not for {tenant}"
        for number, name in charts.items()
        if set(asked.get(number, ())) != {tenant}
    ]


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
    if report.preliminary:
        heading += " (preliminary)"
    name = f"{report.day.isoformat()}.png"
    files = ", ".join(file for file, _ in report.files) or "none: no chart has a row of this day"
    said = [f"The rows of the day (of its time zone) are attached: {files}."]
    if report.preliminary:
        said.insert(0, f"Preliminary: {report.preliminary}. The dashboard will have the rest; no mail will.")
    paragraphs = "".join(f'<p style="font: 13px sans-serif">{escape(each)}</p>' for each in said)
    html = (
        f'<h1 style="font: 600 18px sans-serif">{escape(heading)}</h1>'
        f'<p><a href="{escape(report.url)}"><img src="cid:{name}" alt="{escape(heading)}" width="960"></a></p>'
        f"{paragraphs}"
    )
    attached = [Attachment(file, "text/csv", text.encode()) for file, text in report.files]
    picture = Attachment(name, "image/png", report.picture, inline=True)
    text = "\n\n".join([heading, report.url, *said]) + "\n"
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


def _files(superset: Superset, charts: Mapping[int, str], due: Due) -> list[tuple[str, str]]:
    day = due.day.isoformat()
    span = f"{day} : {(due.day + timedelta(days=1)).isoformat()}"
    files = []
    for number, name in charts.items():
        if rows := superset.chart_rows(number, {"tenant": [due.tenant]}, span):
            files.append((f"{day}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.csv", as_csv(rows)))
    return files
