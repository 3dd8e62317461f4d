"""Writes a day into the bucket, and again what was not final when it was written.

``everyone/date=<day>/state.json`` says which tenants were final; it is written last, so that what was cut short is done
again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from reports import render
from reports.bucket import Bucket
from reports.read import Day, first_day, read_day
from reports.settings import ReportSettings
from warehouse.marts import MARTS

STATE = "state.json"


@dataclass(frozen=True)
class Finished:
    """A day of which some tenants' reports became final and were written again."""

    day: date
    tenants: tuple[str, ...]


def folder(tenant: str, day: date) -> str:
    """Where a tenant's report lies in the bucket; a tenant's name cannot lead anywhere else."""
    return f"reports/daily/tenant={quote(tenant, safe='')}/date={day}"


def folder_of_all(day: date) -> str:
    """Where the page of all tenants lies."""
    return f"reports/daily/everyone/date={day}"


def files(day: Day, tenant: str, top: int) -> dict[str, bytes]:
    """A tenant's report: the page, and a table for each mart."""
    tables = {f"{one.mart.name}.csv": render.table(one.of_tenant(tenant)).encode() for one in day.marts}
    return {"report.html": render.page(day, [tenant], top).encode(), **tables}


def write_day(bucket: Bucket, found: Day, top: int, tenants: Sequence[str] | None = None) -> None:
    """Write the report of each tenant (or of ``tenants``), then the page of all, which is always of all."""
    for name in found.tenants if tenants is None else tenants:
        bucket.replace(folder(name, found.day), files(found, name, top))
    final = [name for name in found.tenants if found.is_final(name)]
    page = render.page(found, found.tenants, top).encode()
    bucket.replace(folder_of_all(found.day), {"report.html": page, STATE: json.dumps({"final": final}).encode()})


def write_dump(bucket: Bucket, found: Day) -> dict[str, int]:
    """Write the rows that were read as Parquet, by the first day of their period; gives how many of each mart."""
    for one in found.marts:
        day = first_day(one.mart.grain, found.day)
        bucket.replace(f"dumps/{one.mart.name}/date={day}", {"part-0.parquet": render.parquet(one)})
    return {one.mart.name: len(one.rows) for one in found.marts}


def finish(settings: ReportSettings, bucket: Bucket, days: Sequence[date]) -> list[Finished]:
    """Write again, of ``days`` that were written, the reports that have become final since, and the dumps with them.

    One query and one small object a day where nothing has.
    """
    finished = []
    for day in days:
        written = bucket.read(f"{folder_of_all(day)}/{STATE}")
        if written is None:
            continue  # the day's own run has not been, or is yet to come
        now = read_day(settings.reader_dsn, day, ())
        final = {name for name in now.tenants if now.is_final(name)} - set(json.loads(written)["final"])
        if final:
            write_dump(bucket, read_day(settings.reader_dsn, day, MARTS))
            write_day(bucket, read_day(settings.reader_dsn, day), settings.report_top, sorted(final))
            finished.append(Finished(day, tuple(sorted(final))))
    return finished
