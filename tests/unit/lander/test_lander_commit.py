"""The fence, on a real Iceberg table in a folder with its catalog in SQLite."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from collector.lake import BreakingChange, LakeColumn, TableSpec, ensure_table, spec_of
from collector.land_commit import Fenced, State, commit
from collector.land_decode import Batch
from collector.land_events import EventDecoder
from collector.land_expire import expire
from contracts.registry import Registry

CONTRACT = Registry.load().newest("page_view")
DECODER = EventDecoder(CONTRACT, b"k" * 32)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    made = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    yield made
    made.close()


def rows(first: int, count: int, days: int = 1) -> pa.Table:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    values = [
        json.dumps(
            {
                "event_id": f"{n}", "event_type": "page_view", "schema_version": 1,
                "occurred_at": (start + timedelta(days=n % days)).isoformat(), "received_at": start.isoformat(),
                "tenant": "acme", "collector_id": "a" * 16, "sequence": n, "minted": False,
                "data": {"region": "DE", "page_name": "/"},
            }
        ).encode()
        for n in range(first, first + count)
    ]  # fmt: skip
    return DECODER.decode(Batch(values, [0] * count, list(range(first, first + count)))).rows


def sequences(catalog: SqlCatalog) -> list[int]:
    return sorted(catalog.load_table(CONTRACT.table).scan().to_arrow()["sequence"].to_pylist())


def state(table: Table) -> State:
    return State.of(table.properties)


def land(catalog: SqlCatalog, table: Table, first: int, count: int) -> Table:
    base = state(table)
    return commit(catalog, table, rows(first, count), base, base.moved("topic-1", {0: first + count}))


def test_rows_offsets_and_land_seq_go_in_together(catalog: SqlCatalog) -> None:
    table = land(catalog, ensure_table(catalog, CONTRACT), 1, 100)
    table = land(catalog, table, 101, 50)
    assert state(table) == State(2, "topic-1", {0: 151})
    assert state(catalog.load_table(CONTRACT.table)) == state(table)
    found = table.scan().to_arrow()
    assert sorted(found["sequence"].to_pylist()) == list(range(1, 151))
    assert {(r["sequence"] > 100, r["land_seq"]) for r in found.to_pylist()} == {(False, 1), (True, 2)}


def test_each_day_has_a_file_of_its_own(catalog: SqlCatalog) -> None:
    table = ensure_table(catalog, CONTRACT)
    base = state(table)
    table = commit(catalog, table, rows(1, 30, days=3), base, base.moved("topic-1", {0: 31}))
    assert len(list(table.scan().plan_files())) == 3


def test_of_two_landers_with_the_same_messages_one_is_fenced_off(catalog: SqlCatalog) -> None:
    one = ensure_table(catalog, CONTRACT)
    two = catalog.load_table(CONTRACT.table)
    land(catalog, one, 1, 10)
    with pytest.raises(Fenced):
        land(catalog, two, 1, 10)
    assert sequences(catalog) == list(range(1, 11))


def test_a_stale_lander_that_reloads_the_table_is_fenced_off(catalog: SqlCatalog) -> None:
    stale = ensure_table(catalog, CONTRACT)
    base = state(stale)
    land(catalog, catalog.load_table(CONTRACT.table), 1, 10)
    reloaded = catalog.load_table(CONTRACT.table)
    with pytest.raises(Fenced):
        commit(catalog, reloaded, rows(1, 10), base, base.moved("topic-1", {0: 11}))
    assert sequences(catalog) == list(range(1, 11))


def test_a_stale_move_of_offsets_without_rows_is_fenced_off_too(catalog: SqlCatalog) -> None:
    one = ensure_table(catalog, CONTRACT)
    two = catalog.load_table(CONTRACT.table)
    land(catalog, one, 1, 10)
    base = state(two)
    with pytest.raises(Fenced):
        commit(catalog, two, rows(1, 0), base, base.moved("topic-1", {0: 3}))
    assert state(catalog.load_table(CONTRACT.table)).offsets == {0: 11}


def test_offsets_moved_by_hand_fence_off_a_lander_whose_snapshot_is_current(catalog: SqlCatalog) -> None:
    table = land(catalog, ensure_table(catalog, CONTRACT), 1, 10)
    with catalog.load_table(CONTRACT.table).transaction() as by_hand:
        by_hand.set_properties({"watershed.offset.p0": "500"})
    with pytest.raises(Fenced):
        land(catalog, table, 11, 10)
    assert sequences(catalog) == list(range(1, 11))


def test_an_empty_commit_is_an_append(catalog: SqlCatalog) -> None:
    table = ensure_table(catalog, CONTRACT)
    base = state(table)
    table = commit(catalog, table, rows(1, 0), base, base.moved("topic-1", {0: 7}))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary.operation.value == "append"
    assert state(table).offsets == {0: 7}


def test_maintenance_in_between_costs_another_try_and_nothing_else(catalog: SqlCatalog) -> None:
    table = land(catalog, ensure_table(catalog, CONTRACT), 1, 10)
    with catalog.load_table(CONTRACT.table).transaction() as maintenance:
        maintenance.delete("sequence = 3")
    land(catalog, table, 11, 5)
    assert sequences(catalog) == [n for n in range(1, 16) if n != 3]


def test_a_lost_batch_leaves_no_data_files_behind(catalog: SqlCatalog, tmp_path: Path) -> None:
    one = ensure_table(catalog, CONTRACT)
    two = catalog.load_table(CONTRACT.table)
    land(catalog, one, 1, 10)
    before = set(tmp_path.rglob("*.parquet"))
    with pytest.raises(Fenced):
        land(catalog, two, 1, 10)
    assert set(tmp_path.rglob("*.parquet")) == before


def test_the_stored_table_keeps_its_own_retries(catalog: SqlCatalog) -> None:
    land(catalog, ensure_table(catalog, CONTRACT), 1, 10)
    assert "commit.retry.num-retries" not in catalog.load_table(CONTRACT.table).properties


def test_a_partition_that_is_gone_takes_its_offset_with_it(catalog: SqlCatalog) -> None:
    table = ensure_table(catalog, CONTRACT)
    base = state(table)
    table = commit(catalog, table, rows(1, 0), base, base.moved("topic-1", {0: 7, 1: 9}))
    base = state(table)
    table = commit(catalog, table, rows(1, 0), base, replace(base.moved("topic-2", {}), offsets={0: 0}))
    assert state(table) == State(2, "topic-2", {0: 0})


def test_a_contract_that_gains_a_field_gains_a_column(catalog: SqlCatalog) -> None:
    land(catalog, ensure_table(catalog, CONTRACT), 1, 10)
    spec = spec_of(CONTRACT)
    grown = replace(spec, columns=(*spec.columns, LakeColumn("colour", "string", False, "New.")))
    table = ensure_table(catalog, grown)
    assert table.schema().fields[-1].name == "colour"
    assert len(table.scan().to_arrow()) == 10
    assert state(table).offsets == {0: 11}, "evolution moves no offset"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: tuple(x for x in c if x.name != "page_name"), "page_name is gone"),
        (lambda c: tuple(replace(x, kind="long") if x.name == "page_name" else x for x in c), "page_name was string"),
        (lambda c: (*c, LakeColumn("must", "string", True, "New.")), "must is new and required"),
    ],
)
def test_a_breaking_change_is_refused(catalog: SqlCatalog, change, words: str) -> None:  # type: ignore[no-untyped-def]
    before = ensure_table(catalog, CONTRACT)
    spec = spec_of(CONTRACT)
    with pytest.raises(BreakingChange, match=words):
        ensure_table(catalog, TableSpec(spec.identifier, change(spec.columns), spec.day_of, ""))
    assert catalog.load_table(CONTRACT.table).schema() == before.schema()


def test_every_contract_makes_a_table_and_ensuring_it_again_changes_nothing(catalog: SqlCatalog) -> None:
    for contract in Registry.load():
        first = ensure_table(catalog, contract)
        assert ensure_table(catalog, contract).metadata_location == first.metadata_location


def test_old_snapshots_go_and_so_do_the_files_that_only_they_needed(catalog: SqlCatalog, tmp_path: Path) -> None:
    table = ensure_table(catalog, CONTRACT)
    for n in range(40):
        table = land(catalog, table, 1 + 10 * n, 10)
    before = len(list(tmp_path.rglob("*.avro")))
    third_last = table.metadata.snapshots[-3].timestamp_ms / 1000
    gone = expire(catalog.load_table(CONTRACT.table), datetime.fromtimestamp(third_last, UTC))
    table = catalog.load_table(CONTRACT.table)
    assert gone + len(table.metadata.snapshots) == 40
    assert len(table.metadata.snapshots) <= 5
    assert sequences(catalog) == list(range(1, 401)), "every row is still there"
    for snapshot in table.metadata.snapshots:
        pinned = table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()
        assert pinned.num_rows == 10 * int((snapshot.summary or {})["watershed.land_seq"])
    after = len(list(tmp_path.rglob("*.avro")))
    assert after <= 20 < before, "manifests and their lists went with their snapshots"
    assert len(list(tmp_path.rglob("*.metadata.json"))) <= 22
    land(catalog, table, 401, 10)
    assert expire(catalog.load_table(CONTRACT.table), datetime(2000, 1, 1, tzinfo=UTC)) == 0


def test_with_a_tag_on_an_older_snapshot_no_manifest_is_removed(catalog: SqlCatalog) -> None:
    table = ensure_table(catalog, CONTRACT)
    for n in range(4):
        table = land(catalog, table, 1 + 10 * n, 10)
    table.manage_snapshots().create_tag(table.metadata.snapshots[0].snapshot_id, "kept").commit()
    expire(catalog.load_table(CONTRACT.table), datetime.now(UTC) + timedelta(hours=1))
    table = catalog.load_table(CONTRACT.table)
    assert len(table.metadata.snapshots) == 2
    assert table.scan(snapshot_id=table.metadata.snapshots[0].snapshot_id).to_arrow().num_rows == 10


def test_conflicts_without_end_are_reported_and_only_we_try_again(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would append the rows once more to whatever the table has become, without looking at its state."""
    table = ensure_table(catalog, CONTRACT)
    tried = []

    def refuse(*_: object) -> None:
        tried.append(1)
        raise CommitFailedException("somebody is always faster")

    monkeypatch.setattr(catalog, "commit_table", refuse)
    with pytest.raises(CommitFailedException, match="5 conflicts in a row"):
        land(catalog, table, 1, 1)
    assert len(tried) == 5


def test_a_snapshot_that_was_the_newest_until_now_is_not_expired(catalog: SqlCatalog) -> None:
    """However old it is: a load that began before the last commit reads it."""
    table = ensure_table(catalog, CONTRACT)
    for n in range(3):
        table = land(catalog, table, 1 + 10 * n, 10)
    newest = table.metadata.snapshots[-1].timestamp_ms
    table.metadata.snapshots[:] = [
        s.model_copy(update={"timestamp_ms": newest - hours * 3_600_000})
        for s, hours in zip(table.metadata.snapshots, (9, 5, 0), strict=True)
    ]
    second = table.metadata.snapshots[1].snapshot_id
    assert expire(table, datetime.fromtimestamp(newest / 1000, UTC) - timedelta(hours=1)) == 1
    assert catalog.load_table(CONTRACT.table).scan(snapshot_id=second).to_arrow().num_rows == 20
