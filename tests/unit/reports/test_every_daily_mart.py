"""The page and the table of every mart that the daily report shows, with the columns that the mart has."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from reports import render
from reports.read import Column, Day, Rows
from stack.settings import REPO
from warehouse.marts import MARTS, Mart

DAILY = {mart.name: mart for mart in MARTS if mart.grain == "day"}
DAY, START = date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)
TOP, MANY = 3, 12
BEST: dict[str, tuple[str, tuple[str, ...]]] = {
    "page_views_daily": ("page_views", ()),
    "region_daily": ("page_views", ()),
    "page_daily": ("page_views", ()),
    "page_region_daily": ("page_views", ()),
    "apps_region_daily": ("created", ()),
    "app_daily": ("purchases", ()),
    "popular_apps_daily": ("rank", ("ranked_by", "currency")),
    "revenue_daily": ("revenue", ("currency",)),
    "signups_region_daily": ("signups", ()),
    "user_activity_daily": ("signups", ()),
    "requests_region_daily": ("requests", ()),
}
"""By mart: by what its rows are put in order, and within what."""
APART = {"ranked_by": ("purchases", "revenue"), "currency": ("EUR", "JPY")}
TABLE = re.compile(r"create table if not exists marts\.(\w+) \((.*?)\);\n", re.DOTALL)
ADDED = re.compile(r"alter table marts\.(\w+) add column if not exists (\w+ .*?)(?: not null|;)")
LINE = re.compile(r"^(\w+) (bigint ?\[\]|\w+(?:\(\d+, \d+\))?)")
AS_POSTGRES_SPELLS = {"timestamptz": "timestamp with time zone", "bigint []": "bigint[]"}


def columns_of_marts() -> dict[str, tuple[Column, ...]]:
    """As ``warehouse/schema/marts.sql`` makes them."""
    text = (REPO / "warehouse" / "schema" / "marts.sql").read_text(encoding="utf-8")
    found: dict[str, tuple[Column, ...]] = {}
    for name, body in TABLE.findall(text):
        like = re.search(r"like marts\.(\w+)", body)
        lines = (LINE.match(line.strip()) for line in body.splitlines() if "primary key" not in line)
        found[name] = found[like[1]] if like else tuple(_column(line) for line in lines if line)
    for name, line in ADDED.findall(text):
        column = LINE.match(line)
        assert column, line
        found[name] = (*found[name], _column(column))
    return found


def _column(line: re.Match[str]) -> Column:
    return Column(line[1], AS_POSTGRES_SPELLS.get(line[2], line[2].replace(", ", ",")))


COLUMNS = columns_of_marts()


def value(column: Column, place: int, mart: Mart) -> Any:
    """Of the row at ``place`` (0: the best): what is not the best row's measure says the opposite."""
    if column.name == BEST[mart.name][0]:
        return place + 1 if column.name == "rank" else MANY - place
    kinds: dict[str, Callable[[], Any]] = {
        "text": lambda: f"{column.name}-{MANY - place:02}",
        "bigint": lambda: place,
        "bigint[]": lambda: [place, place],
        "jsonb": lambda: {"1": place},
        "timestamp with time zone": lambda: START,
    }
    return Decimal(place) if column.sql_type.startswith("numeric") else kinds[column.sql_type]()


def filled(mart: Mart) -> Rows:
    """Rows in key order, in which the best stand last; of a mart that has a row a day, that one."""
    apart: list[dict[str, str]] = [{}]
    for name in BEST[mart.name][1]:
        apart = [{**one, name: each} for one in apart for each in APART[name]]
    columns = COLUMNS[mart.name]
    rows = [
        {**{c.name: value(c, place, mart) for c in columns}, **one, "tenant": "acme"}
        for one in apart
        for place in range(MANY if mart.dimensions else 1)
    ]
    rows.sort(key=lambda row: [str(row[name]) for name in mart.key])
    return Rows(mart, columns, [tuple(row[c.name] for c in columns) for row in rows])


def on_the_page(rows: Rows) -> list[dict[str, str]]:
    page = render.page(Day(DAY, ("acme",), {}, (rows,)), ["acme"], TOP)
    heads = [head.replace(" ", "_") for head in re.findall(r"<th[^>]*>(.*?)</th>", page)]
    lines = re.findall(r"<tr>(<td.*?)</tr>", page)
    return [dict(zip(heads, re.findall(r"<td[^>]*>(.*?)</td>", line), strict=True)) for line in lines]


def test_of_every_daily_mart_it_is_said_here_by_what_it_is_put_in_order() -> None:
    assert BEST.keys() == DAILY.keys()


@pytest.mark.parametrize("name", DAILY)
def test_the_page_begins_with_the_best_of_each_currency_and_way_to_rank(name: str) -> None:
    rows, (by, within) = filled(DAILY[name]), BEST[name]
    seen: dict[tuple[str, ...], list[str]] = {}
    for row in on_the_page(rows):
        seen.setdefault(tuple(row[each] for each in within), []).append(row[by])
    best = [str(place) for place in ((1, 2, 3) if by == "rank" else (12, 11, 10))]
    lists = len(APART["currency"]) ** len(within)
    assert list(seen.values()) == [best if DAILY[name].dimensions else best[:1]] * lists
    assert list(seen) == sorted(seen)


@pytest.mark.parametrize("name", DAILY)
def test_neither_page_nor_table_shows_what_no_person_reads(name: str) -> None:
    rows = filled(DAILY[name])
    shown = [head for row in on_the_page(rows) for head in row]
    heads = render.table(rows).splitlines()[0].split(",")
    assert [each for each in [*shown, *heads] if each.endswith(("_sketch", "_by_hour"))] == []
    assert [cell for row in on_the_page(rows) for cell in row.values() if cell[0] in "[{"] == []


@pytest.mark.parametrize("name", DAILY)
def test_the_table_has_every_row_and_every_number(name: str) -> None:
    rows = filled(DAILY[name])
    found = list(csv.DictReader(io.StringIO(render.table(rows))))
    numbers = [c.name for c in rows.columns if c.sql_type.startswith(("bigint", "numeric")) and c.sql_type[-1] != "]"]
    at = {c.name: i for i, c in enumerate(rows.columns)}
    assert [[row[each] for each in numbers] for row in found] == [
        [str(row[at[each]]) for each in numbers] for row in rows.rows
    ]


def test_the_page_says_of_what_it_shows_the_first() -> None:
    said = {
        name: re.findall(
            r"<p>(The first .*?)</p>", render.page(Day(DAY, (), {}, (filled(DAILY[name]),)), ["acme"], TOP)
        )
        for name in ("region_daily", "revenue_daily", "popular_apps_daily", "user_activity_daily")
    }
    assert said == {
        "region_daily": ["The first 3 of 12; all of them are in region_daily.csv."],
        "revenue_daily": ["The first 3 of each currency, of 24 in all; all of them are in revenue_daily.csv."],
        "popular_apps_daily": [
            "The first 3 of each way to rank and currency, of 48 in all; all of them are in popular_apps_daily.csv."
        ],
        "user_activity_daily": [],
    }
