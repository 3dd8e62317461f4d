"""What an audit reads where a file is missing: a day's ids, and of the rows before only those with one of them."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from spark_jobs.surviving import ids_of_day
from tests.unit.tracing.trace_kit import NOON, PURCHASE, Lake, event_id, row

BEGIN = NOON - timedelta(hours=12)
END = BEGIN + timedelta(days=1)
YESTERDAY = -24 * 60


def read(lake: Lake, without: frozenset[str] = frozenset(), days: int = 30) -> list[tuple[str, int]]:
    rows = ids_of_day(lake.pinned(PURCHASE.table), BEGIN, END, BEGIN - timedelta(days=days), without)
    numbers = {event_id(number): number for number in range(9)}
    return sorted(
        (f"{r['received_at']:%d}", numbers[str(r["event_id"])]) for r in rows.select(rows.column_names).to_pylist()
    )


def test_rows_of_other_ids_and_of_later_days_and_of_missing_files_are_not_among_them(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    table = lake.land(
        PURCHASE,
        [row(1, minute=YESTERDAY), row(2, minute=YESTERDAY), row(3, minute=40 * YESTERDAY)],
        [row(1), row(3), row(1, minute=-YESTERDAY)],
    )
    assert read(lake) == [("01", 1), ("01", 3), ("28", 1)]
    assert read(lake, days=50) == [("01", 1), ("01", 3), ("20", 3), ("28", 1)]
    files, left = table.inspect.files()["file_path"].to_pylist(), [("01", 1), ("01", 3)]
    (gone,) = (path for path in files if read(lake, frozenset({path})) == left)
    Path(gone.removeprefix("file://")).unlink()
    assert read(lake, frozenset({gone})) == left
    with pytest.raises(FileNotFoundError):
        read(lake)


def test_a_day_without_rows_has_no_ids(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.land(PURCHASE, [row(1, minute=YESTERDAY)])
    rows = ids_of_day(lake.pinned(PURCHASE.table), BEGIN, END, BEGIN - timedelta(days=30), ())
    assert isinstance(rows, pa.Table)
    assert rows.num_rows == 0
