"""What maintenance sees in a table's metadata."""

from datetime import UTC, date, datetime, timedelta

from pyiceberg.table.snapshots import Operation, Snapshot, Summary

from spark_jobs.maintain_plan import File, crowded, rows_below, superseded
from warehouse.lake_floor import wanted

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
MB = 2**20


def test_a_day_of_many_small_files_is_crowded_and_one_of_few_or_large_ones_is_not() -> None:
    files = [File(MONDAY, 9 * MB, 1)] * 5 + [File(TUESDAY, 9 * MB, 1)] * 4 + [File(TUESDAY, 100 * MB, 1)] * 9
    assert crowded(files, 100 * MB, 5) == {MONDAY: 5}


def test_a_file_near_the_size_aimed_at_is_left_alone() -> None:
    files = [File(MONDAY, 74 * MB, 1)] * 4 + [File(MONDAY, 75 * MB, 1)] * 4
    assert crowded(files, 100 * MB, 4) == {MONDAY: 4}
    assert crowded(files, 100 * MB, 5) == {}


def test_rows_below_the_floor_are_those_of_earlier_days() -> None:
    files = [File(MONDAY, 1, 10), File(TUESDAY, 1, 20), File(None, 1, 40)]
    assert rows_below(files, datetime(2026, 3, 3, tzinfo=UTC)) == 10


def snapshot(number: int, hour: int) -> Snapshot:
    at = datetime(2026, 3, 2, hour, tzinfo=UTC)
    return Snapshot(
        **{"snapshot-id": number, "parent-snapshot-id": number - 1 or None, "timestamp-ms": int(at.timestamp() * 1000)},
        **{"manifest-list": "s3://x", "summary": Summary(Operation.APPEND)},
    )


def test_a_snapshot_stays_as_long_as_a_reader_may_have_pinned_it_as_the_newest() -> None:
    """The second is ten hours old and was the newest until a minute ago: a load may be reading it."""
    line = [snapshot(1, 1), snapshot(2, 2), snapshot(3, 12)]
    noon = datetime(2026, 3, 2, 12, 1, tzinfo=UTC)
    assert superseded(line, [3], noon - timedelta(hours=1)) == [1]
    assert superseded(line, [3], noon + timedelta(hours=1)) == [1, 2]
    assert superseded(line, [3, 1], noon + timedelta(hours=1)) == [2]


def test_retention_ends_at_the_start_of_a_day() -> None:
    assert wanted(datetime(2026, 3, 12, 23, 59, tzinfo=UTC), 10) == datetime(2026, 3, 2, tzinfo=UTC)
