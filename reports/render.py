"""A day as HTML, CSV and Parquet: pure functions, equal data give equal bytes."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reports.read import Column, Day, Rows
from runtime.spreadsheet import harmless
from warehouse.marts import written_down

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1d2733 }
table { border-collapse: collapse; margin: 0 0 2rem; width: 100% }
th, td { border-bottom: 1px solid #d8dee6; padding: .3rem .6rem; text-align: left }
td.n, th.n { font-variant-numeric: tabular-nums; text-align: right }
p.preliminary { background: #fff3d6; padding: .5rem .8rem }
"""


APART = {"ranked_by": "way to rank", "currency": "currency"}
"""Dimensions across which nothing compares, and what the page calls one."""
FIRST = {"app_daily": "purchases"}
"""By mart: the measure of most interest, where it is not the first column of numbers."""


def shown(rows: Rows) -> list[Column]:
    """The columns that people read: not tenant and period, which the title says; no sketches, lists or hashes."""
    return [c for c in rows.columns if c.name not in ("tenant", "period_start") and written_down(c.name)]


def is_number(column: Column) -> bool:
    """Whether a column holds numbers."""
    return column.sql_type.startswith(("bigint", "integer", "numeric", "double")) and not column.sql_type.endswith("[]")


def ranked(rows: Rows, top: int) -> list[dict[str, Any]]:
    """The ``top`` best rows of each currency and way to rank: by rank where they have one, else the most first."""
    names = [c.name for c in rows.columns]
    measures = [c.name for c in shown(rows) if c.name not in rows.mart.key and is_number(c)]
    found = [dict(zip(names, row, strict=True)) for row in rows.rows]
    if "rank" in measures:
        found.sort(key=lambda row: row["rank"])
    elif measures:
        most = FIRST.get(rows.mart.name, measures[0])
        found.sort(key=lambda row: -(row[most] or 0))
    lists: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        lists[tuple(row[name] for name in _apart(rows))].append(row)
    return [row for _, each in sorted(lists.items()) for row in each[:top]]


def _apart(rows: Rows) -> list[str]:
    return [name for name in APART if name in rows.mart.key]


def page(day: Day, tenants: Sequence[str], top: int) -> str:
    """The day of ``tenants`` as one HTML page that needs nothing else."""
    title = f"Daily report, {day.day:%A %d %B %Y}"
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"]
    parts.append(f"<h1>{title}</h1>")
    for tenant in tenants:
        through = day.complete_through.get(tenant)
        parts.append(f"<h2>{escape(tenant)}</h2>")
        if day.is_final(tenant):
            zone = escape(day.time_zones.get(tenant, "UTC"))
            parts.append(f"<p>All that was received before the day's end is counted. Days are those of {zone}.</p>")
        else:
            until = f"complete through {through:%Y-%m-%d %H:%M} UTC" if through else "completeness is not known yet"
            parts.append(
                f"<p class=preliminary>Preliminary: {until}. This page is replaced when the day is complete.</p>"
            )
        for rows in day.marts:
            parts += _section(rows.of_tenant(tenant), top)
    return "\n".join([*parts, "</html>\n"])


def _section(rows: Rows, top: int) -> list[str]:
    columns = shown(rows)
    number = {c.name: is_number(c) for c in columns}
    lines = [f"<h3>{escape(rows.mart.name.replace('_', ' '))}</h3>"]
    if not rows.rows:
        return [*lines, "<p>Nothing on this day.</p>"]
    heads = "".join(f"<th{' class=n' * number[c.name]}>{escape(c.name.replace('_', ' '))}</th>" for c in columns)
    lines += ["<table>", f"<tr>{heads}</tr>"]
    best = ranked(rows, top)
    for row in best:
        cells = (f"<td{' class=n' * number[c.name]}>{escape(_word(row[c.name]))}</td>" for c in columns)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</table>")
    if len(best) < len(rows.rows):
        each = " and ".join(APART[name] for name in _apart(rows))
        of = f"each {each}, of {len(rows.rows):,} in all" if each else f"{len(rows.rows):,}"
        lines.append(f"<p>The first {top} of {of}; all of them are in {rows.mart.name}.csv.</p>")
    return lines


def _word(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{value:,}"
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    return str(value)


def table(rows: Rows) -> str:
    """One mart's rows of a day as CSV, without sketches, lists and hashes; times in UTC, an empty field is null."""
    columns = [c for c in rows.columns if written_down(c.name)]
    at = {c.name: i for i, c in enumerate(rows.columns)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    for row in rows.rows:
        values = [row[at[c.name]] for c in columns]
        writer.writerow(
            ["" if value is None else harmless(value) if isinstance(value, str) else _plain(value) for value in values]
        )
    return out.getvalue()


def parquet(rows: Rows) -> bytes:
    """One mart's rows of a day as Parquet, with sketches; decimals keep their digits."""
    arrays = [
        pa.array([_stored(value, column) for value in values], arrow_type(column.sql_type))
        for column, values in zip(
            rows.columns, zip(*rows.rows, strict=True) if rows.rows else ((),) * len(rows.columns), strict=True
        )
    ]
    sink = io.BytesIO()
    names = [c.name for c in rows.columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), sink, compression="zstd")
    return sink.getvalue()


def arrow_type(sql_type: str) -> pa.DataType:
    """The Arrow type of a column; what has none of its own is text: numbers of any precision, JSON."""
    if sql_type.startswith("numeric(") and sql_type.endswith(")"):
        precision, scale = sql_type[len("numeric(") : -1].split(",")
        return pa.decimal128(int(precision), int(scale))
    known: dict[str, pa.DataType] = {
        "bigint": pa.int64(),
        "bigint[]": pa.list_(pa.int64()),
        "integer": pa.int32(),
        "boolean": pa.bool_(),
        "double precision": pa.float64(),
        "date": pa.date32(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }
    return known.get(sql_type, pa.string())


def _stored(value: object, column: Column) -> object:
    if value is None or arrow_type(column.sql_type) != pa.string():
        return value
    return _plain(value)
