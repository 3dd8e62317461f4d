"""Events found in real Iceberg tables on a disk, with the file and the commit that brought it."""

import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from collector.land_quality import REJECTED_EVENTS
from tests.unit.tracing.trace_kit import NOON, PURCHASE, Lake, event_id, row
from tracing import rejected
from tracing.lake import Found, Wanted, find, snapshots


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three landings: 1 and 2; 2 again and 3 a day later; 1 of another tenant."""
    made = Lake(tmp_path_factory.mktemp("lake"))
    made.land(
        PURCHASE,
        [row(1), row(2)],
        [row(2, land_seq=2, sequence=9), row(3, land_seq=2, minute=1440)],
        [row(1, land_seq=3, tenant="globex")],
    )
    return made


def ids(*numbers: int) -> frozenset[str]:
    return frozenset(map(event_id, numbers))


def looked(lake: Lake, wanted: Wanted, without: frozenset[str] = frozenset()) -> Found:
    return find(lake.pinned(PURCHASE.table), wanted, without, lambda done, of: None)


def sequences(found: Found) -> list[tuple[str, int]]:
    return sorted((a.row["tenant"], a.row["sequence"]) for a in found.arrivals)


def test_every_arrival_of_an_id_is_found_with_all_its_columns(lake: Lake) -> None:
    found = looked(lake, Wanted(ids(2)))
    assert sequences(found) == [("acme", 2), ("acme", 9)]
    assert len({a.file for a in found.arrivals}) == 2
    assert found.arrivals[0].row["kafka_offset"] == 102
    assert found.arrivals[0].row["amount"] == row()["amount"]
    assert sequences(looked(lake, Wanted(ids(1, 3)))) == [("acme", 1), ("acme", 3), ("globex", 1)]
    assert sequences(looked(lake, Wanted(ids(1), tenant="globex"))) == [("globex", 1)]
    assert looked(lake, Wanted(ids(9))).arrivals == []


def test_a_time_saves_looking_into_the_files_of_other_days(lake: Lake) -> None:
    by_id = looked(lake, Wanted(ids(3)))
    noon = looked(lake, Wanted(ids(1), since=NOON, before=NOON + timedelta(minutes=1)))
    assert noon.files < looked(lake, Wanted(ids(1, 2, 3))).files
    assert sequences(noon) == [("acme", 1), ("globex", 1)]
    assert sequences(by_id) == [("acme", 3)]
    assert looked(lake, Wanted(ids(3), before=NOON + timedelta(minutes=1))).arrivals == []
    assert looked(lake, Wanted(ids(1), since=NOON + timedelta(minutes=1))).arrivals == []


def test_progress_is_told_of_each_file(lake: Lake) -> None:
    told: list[tuple[int, int]] = []
    found = find(lake.pinned(PURCHASE.table), Wanted(ids(1, 2, 3)), (), lambda done, of: told.append((done, of)))
    assert told == [(n + 1, found.files) for n in range(found.files)]


def test_a_file_that_is_gone_is_left_out_and_told(lake: Lake) -> None:
    (file,) = {a.file for a in looked(lake, Wanted(ids(3))).arrivals}
    found = looked(lake, Wanted(ids(1, 2, 3)), frozenset({file}))
    assert found.missing == 1
    assert ("acme", 3) not in sequences(found)


def test_the_commit_of_a_file_is_the_landing_and_later_that_of_the_maintenance(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    table = lake.land(PURCHASE, [row(1)], [row(2, land_seq=2)])
    landings = [s.snapshot_id for s in table.snapshots()]
    for number, landing in zip((1, 2), landings, strict=True):
        (found,) = looked(lake, Wanted(ids(number))).arrivals
        snapshot = snapshots(lake.pinned(PURCHASE.table), {found.file})[found.file]
        assert (snapshot.snapshot_id, snapshot.operation) == (landing, "append")
    table.overwrite(pa.concat_tables([table.scan().to_arrow()]))
    (found,) = looked(lake, Wanted(ids(1))).arrivals
    assert found.row["land_seq"] == 1, "and the landing stays known"
    assert snapshots(lake.pinned(PURCHASE.table), {found.file})[found.file].snapshot_id not in landings


def test_a_table_without_rows_has_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.land(PURCHASE)
    assert looked(lake, Wanted(ids(1))) == Found()
    assert snapshots(lake.pinned(PURCHASE.table), {"x"}) == {}


def rejection(number: int, body: str, **changes: object) -> dict[str, object]:
    return {
        "reject_id": f"r-{number}", "tenant": "acme", "event_type": "purchase", "received_at": NOON,
        "stage": "collector", "reasons": "[]", "body": body, "body_encoding": "utf-8", "kafka_partition": 0,
        "kafka_offset": number, "land_seq": 1,
    } | changes  # fmt: skip


def test_a_rejection_is_found_by_its_own_id_and_by_the_events(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.land(
        REJECTED_EVENTS,
        [
            rejection(1, json.dumps({"event_id": event_id(1).upper()})),
            rejection(2, json.dumps({"data": {"previous": event_id(1)}})),
            rejection(3, '{"event_id": "' + event_id(1)),
        ],
        [rejection(1, json.dumps({"event_id": event_id(1).upper()})), rejection(4, "{}", tenant="globex")],
    )
    read: list[int] = []

    def found(*wanted: str, tenant: str | None = None, without: frozenset[str] = frozenset()) -> list[str]:
        rejects = rejected.find(lake.pinned("quality.rejected_events"), wanted, tenant, without, read.append)
        return sorted(reject.reject_id for reject in rejects)

    assert found(event_id(1)) == ["r-1", "r-3"], "once; and not where another field has it"
    assert sum(read) == 5
    assert found("r-4") == ["r-4"]
    assert found("r-4", tenant="acme") == []
    files = lake.catalog.load_table("quality.rejected_events").inspect.files()["file_path"].to_pylist()
    assert found("r-4", without=frozenset(files)) == []
