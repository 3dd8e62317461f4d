"""A day on paper: what people read, and what files keep."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from reports import render
from reports.read import Column, Day, Rows, first_day
from reports.write import folder
from warehouse.marts import Grain, Mart

DAY = date(2026, 3, 1)
START = datetime(2026, 3, 1, tzinfo=UTC)
PLANS = Mart("some_daily", ("purchase",), "day", ("plan",))
COLUMNS = (
    Column("tenant", "text"),
    Column("plan", "text"),
    Column("period_start", "timestamp with time zone"),
    Column("revenue", "numeric(38,4)"),
    Column("buyers", "bigint"),
    Column("buyers_sketch", "bigint[]"),
)
ROWS = Rows(
    PLANS,
    COLUMNS,
    [
        ("acme", "team", START, Decimal("12.5000"), 2, [1, 2]),
        ("acme", "<b>", START, Decimal("1234.0000"), 1, [3]),
        ("other", "free", START, None, 1, [4]),
    ],
)


def day(**complete: datetime | None) -> Day:
    return Day(DAY, ("acme", "other"), complete, (ROWS,))


def test_a_page_shows_one_tenants_numbers_the_greatest_first_and_no_sketches() -> None:
    page = render.page(day(), ["acme"], 20)
    assert page.index("1,234.0000") < page.index("12.5000")
    assert "free" not in page
    assert "sketch" not in page


def test_what_is_said_of_a_row_in_words_does_not_rank_it() -> None:
    columns = (*COLUMNS[:3], Column("app_name", "text"), *COLUMNS[3:])
    rows = [(*row[:3], name, *row[3:]) for row, name in zip(ROWS.rows, ("Zoo", None, "Ark"), strict=True)]
    ranked = render.ranked(Rows(PLANS, columns, rows), 20)
    assert [row["revenue"] for row in ranked] == [Decimal("1234.0000"), Decimal("12.5000"), None]


def test_what_users_named_cannot_become_markup() -> None:
    page = render.page(day(), ["acme"], 20)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_day_is_preliminary_until_everything_received_in_it_is_counted() -> None:
    end = datetime(2026, 3, 2, tzinfo=UTC)
    assert "Preliminary" in render.page(day(acme=None), ["acme"], 20)
    assert "Preliminary" in render.page(day(acme=end.replace(day=1, hour=23)), ["acme"], 20)
    assert "Preliminary" not in render.page(day(acme=end), ["acme"], 20)


def test_a_long_table_is_cut_on_the_page_and_says_where_the_rest_is() -> None:
    page = render.page(day(), ["acme"], 1)
    assert "12.5000" not in page
    assert "some_daily.csv" in page


def test_csv_has_every_row_of_the_tenant_as_it_is() -> None:
    text = render.table(ROWS.of_tenant("acme"))
    assert text.splitlines() == [
        "tenant,plan,period_start,revenue,buyers",
        "acme,team,2026-03-01T00:00:00+00:00,12.5000,2",
        "acme,<b>,2026-03-01T00:00:00+00:00,1234.0000,1",
    ]


def test_what_users_named_is_no_formula_in_a_spreadsheet() -> None:
    names = ['=HYPERLINK("http://x")', "+1", "-1", "@sum", "\tx"]
    rows = Rows(PLANS, COLUMNS, [("acme", name, START, Decimal(-3), 2, [1]) for name in names])
    found = list(csv.reader(io.StringIO(render.table(rows))))[1:]
    assert [row[1] for row in found] == [f"'{name}" for name in names]
    assert {row[3] for row in found} == {"-3"}, "a number is none"


@pytest.mark.parametrize(
    ("grain", "first"), [("hour", "2026-03-01"), ("day", "2026-03-01"), ("week", "2026-02-23"), ("month", "2026-03-01")]
)
def test_a_period_begins_at_or_before_each_of_its_days(grain: Grain, first: str) -> None:
    assert first_day(grain, DAY) == date.fromisoformat(first)
    assert first_day("ever", DAY) == date(1970, 1, 1)


def test_parquet_keeps_decimals_instants_sketches_and_nulls() -> None:
    table = pq.read_table(io.BytesIO(render.parquet(ROWS)))
    assert table.to_pylist()[0] == dict(zip([c.name for c in COLUMNS], ROWS.rows[0], strict=True))
    assert table["revenue"].to_pylist()[2] is None
    assert str(table.schema.field("revenue").type) == "decimal128(38, 4)"


def test_an_empty_day_is_a_file_with_columns_and_no_rows() -> None:
    empty = Rows(PLANS, COLUMNS, [])
    assert pq.read_table(io.BytesIO(render.parquet(empty))).column_names == [c.name for c in COLUMNS]
    assert len(render.table(empty).splitlines()) == 1


def test_equal_data_give_equal_bytes() -> None:
    assert render.parquet(ROWS) == render.parquet(ROWS)
    assert render.page(day(), ["acme"], 20) == render.page(day(), ["acme"], 20)


def test_a_tenants_name_does_not_lead_out_of_its_folder() -> None:
    assert folder("../x/y", DAY) == "reports/daily/tenant=..%2Fx%2Fy/date=2026-03-01"
