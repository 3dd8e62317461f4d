"""Somebody is taken out of real Iceberg tables in a folder, with the catalog in SQLite."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from collector.lake import ensure_table
from collector.land_commit import State, commit
from collector.land_decode import Batch
from collector.land_events import EventDecoder
from collector.land_quality import REJECTED_EVENTS, rejects_decoder
from collector.suppressed import Person, Suppressed, subject_hash
from contracts.registry import Registry
from erasure import rewrite
from erasure.expire import sweep
from erasure.run import newest_snapshot
from erasure.targets import Events, Rejects, Target
from runtime.log import configure
from tests.readable import readable

KEY = b"0123456789abcdef0123456789abcdef"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANNA = Person("acme", "visitor", "anna-4711")
PAGE_VIEW = Registry.load().newest("page_view")
NOBODY = Suppressed()
HASHES = frozenset({subject_hash(KEY, "acme", "visitor", "anna-4711")})
LEFT_ALONE = {"land_seq"}
Rows = list[dict[str, Any]]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    made = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    yield made
    made.close()


def view(n: int, visitor: str | None, *, tenant: str = "acme", day: int = 0) -> dict[str, Any]:
    data = {"region": "DE", "page_name": f"/{n}", "session_id": f"s-{visitor}", "device": "mobile"}
    return {
        "event_id": f"e-{n}", "event_type": "page_view", "schema_version": 1,
        "occurred_at": (NOON + timedelta(days=day, minutes=n)).isoformat(), "received_at": NOON.isoformat(),
        "tenant": tenant, "collector_id": "a" * 16, "sequence": n + 1, "minted": False,
        "data": data | ({"visitor_id": visitor} if visitor else {}),
    }  # fmt: skip


def decoded(messages: Rows, who: Suppressed = NOBODY) -> pa.Table:
    decoder = EventDecoder(PAGE_VIEW, KEY)
    decoder.suppressed = who
    values: list[bytes | None] = [json.dumps(m).encode() for m in messages]
    return decoder.decode(Batch(values, [0] * len(values), list(range(len(values))))).rows


def land(catalog: SqlCatalog, *messages: dict[str, Any]) -> Table:
    table = ensure_table(catalog, PAGE_VIEW)
    base = State.of(table.properties)
    return commit(catalog, table, decoded(list(messages)), base, base.moved("topic", {0: len(messages)}))


def content(catalog: SqlCatalog) -> Rows:
    rows: Rows = catalog.load_table(PAGE_VIEW.table).scan().to_arrow().to_pylist()
    return sorted(rows, key=lambda row: row["sequence"])


def forget(
    catalog: SqlCatalog, target: Target | None = None, at_once: int = 20, without: Collection[str] = ()
) -> tuple[rewrite.Rewritten, set[Any]]:
    touched: set[Any] = set()
    target = target or Events(PAGE_VIEW, ANNA, KEY)
    tell = rewrite.Tell(lambda files: touched.update(*(one.touched for one in files)), nobody, nobody)
    return rewrite.rewrite(catalog, target, at_once, tell, without), touched


def nobody(_: Sequence[rewrite.Found]) -> None:
    """Is told, and does nothing."""


def test_a_tombstone_made_in_the_lake_is_the_one_made_on_arrival(catalog: SqlCatalog) -> None:
    messages = [view(n, "anna-4711" if n % 2 else "ben", day=n % 3) for n in range(12)]
    land(catalog, *messages)
    forget(catalog)
    who = Suppressed(1, HASHES, frozenset({"acme"}), KEY)
    expected = {row["sequence"]: row for row in decoded(messages, who).to_pylist()}
    for row in content(catalog):
        assert {k: v for k, v in row.items() if k not in LEFT_ALONE} == expected[row["sequence"]]


def test_rows_keep_their_number_their_order_and_their_land_seq(catalog: SqlCatalog) -> None:
    land(catalog, view(0, "anna-4711"), view(1, "ben"))
    table = land(catalog, view(2, "anna-4711"), view(3, None))
    before = State.of(table.properties)
    done, touched = forget(catalog)
    assert (done.rows, done.files) == (2, 2)
    assert touched == {("acme", NOON), ("acme", NOON + timedelta(minutes=2))}
    assert [(r["sequence"], r["land_seq"], r["erased"]) for r in content(catalog)] == [
        (1, 1, True), (2, 1, None), (3, 2, True), (4, 2, None)
    ]  # fmt: skip
    assert State.of(catalog.load_table(PAGE_VIEW.table).properties) == before, "the lander goes on where it was"
    assert [r["visitor_id"] for r in content(catalog)] == [None, "ben", None, None]


def test_files_without_them_are_not_touched_and_a_second_time_there_is_nothing_to_do(catalog: SqlCatalog) -> None:
    land(catalog, view(0, "ben"), view(1, "anna-4711", tenant="other"))
    table = land(catalog, view(2, "anna-4711"))
    untouched = {t.file.file_path for t in table.scan().plan_files()}
    forget(catalog)
    left = {t.file.file_path for t in catalog.load_table(PAGE_VIEW.table).scan().plan_files()}
    assert len(left & untouched) == 1
    snapshot = catalog.load_table(PAGE_VIEW.table).current_snapshot()
    assert forget(catalog) == (rewrite.Rewritten(), set())
    assert catalog.load_table(PAGE_VIEW.table).current_snapshot() == snapshot
    assert [r["visitor_id"] for r in content(catalog)] == ["ben", "anna-4711", None]


def test_a_file_that_is_missing_holds_up_no_other_and_is_looked_into_when_it_is_back(catalog: SqlCatalog) -> None:
    land(catalog, view(0, "anna-4711"))
    (gone,) = (Path(task.file.file_path.removeprefix("file://")) for task in land(catalog).scan().plan_files())
    land(catalog, view(1, "anna-4711"))
    content_of_it = gone.read_bytes()
    gone.unlink()
    with pytest.raises(FileNotFoundError):
        forget(catalog)
    without = {f"file://{gone}"}
    assert forget(catalog, without=without)[0] == rewrite.Rewritten(rows=1, files=1)
    gone.write_bytes(content_of_it)
    assert [(r["sequence"], r["visitor_id"]) for r in content(catalog)] == [(1, "anna-4711"), (2, None)]
    assert forget(catalog)[0] == rewrite.Rewritten(rows=1, files=1)


def test_a_landing_meanwhile_is_kept_and_looked_through_too(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(catalog, view(0, "anna-4711"))
    landed = []

    def quicker(table: Table, *given: Any) -> None:
        if not landed:
            landed.append(land(catalog, view(1, "anna-4711"), view(2, "ben")))
        plainly(table, *given)

    plainly = rewrite._commit
    monkeypatch.setattr(rewrite, "_commit", quicker)
    done, _ = forget(catalog)
    assert done.rows == 2
    assert [(r["sequence"], r["visitor_id"]) for r in content(catalog)] == [(1, None), (2, None), (3, "ben")]


def test_a_compaction_meanwhile_brings_nobody_back_and_doubles_nothing(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(catalog, view(0, "anna-4711"))
    land(catalog, view(1, "ben"))
    compacted = []

    def quicker(table: Table, *given: Any) -> None:
        if not compacted:
            now = catalog.load_table(PAGE_VIEW.table)
            now.overwrite(now.scan().to_arrow())
            compacted.append(True)
        plainly(catalog.load_table(PAGE_VIEW.table), *given)

    plainly = rewrite._commit
    monkeypatch.setattr(rewrite, "_commit", quicker)
    counted: dict[str, int] = {}

    def withdraw(files: Sequence[rewrite.Found]) -> None:
        for one in files:
            del counted[one.file.file_path]

    note = lambda files: counted.update({one.file.file_path: one.rows for one in files})  # noqa: E731
    rewrite.rewrite(catalog, Events(PAGE_VIEW, ANNA, KEY), 20, rewrite.Tell(note, withdraw, nobody))
    assert [(r["sequence"], r["visitor_id"]) for r in content(catalog)] == [(1, None), (2, "ben")]
    assert list(counted.values()) == [1], "it counts where it was found in the end"


def test_what_is_to_be_counted_anew_is_noted_before_each_commit(catalog: SqlCatalog) -> None:
    """Killed between commit and note, an erasure asked for again would not find the rows any more."""
    for n in range(3):
        land(catalog, view(n, "anna-4711"))
    seen: list[int] = []

    def note(_: Sequence[rewrite.Found]) -> None:
        seen.append(sum(row["visitor_id"] is not None for row in content(catalog)))

    rewrite.rewrite(catalog, Events(PAGE_VIEW, ANNA, KEY), 1, rewrite.Tell(note, nobody, nobody))
    assert seen == [3, 2, 1]


def files_with(folder: Path, id_: str) -> set[str]:
    """Everything below a folder that has an id in it, by what kind of file it is."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.suffix for path in files if id_ in readable(path.name, path.read_bytes())}


def test_at_the_end_no_file_has_them_whoever_left_it_there(catalog: SqlCatalog, tmp_path: Path) -> None:
    """Older snapshots, their manifests with columns' bounds, what a compaction replaced, what was never committed."""
    lake, who = tmp_path / "warehouse", Suppressed(1, HASHES, frozenset({"acme"}), KEY)
    land(catalog, view(0, "anna-4711"), view(1, "ben"))
    table = land(catalog, view(2, "anna-4711"))
    table.overwrite(table.scan().to_arrow())
    stray = next(path for path in lake.rglob("*.parquet"))
    stray.with_name("of-a-lander-that-was-fenced-off.parquet").write_bytes(stray.read_bytes())
    assert files_with(lake, "anna-4711") == {".parquet", ".avro"}
    forget(catalog)
    rewrite.add_snapshot(catalog, PAGE_VIEW.table)

    waiting = sweep(catalog, [PAGE_VIEW], who, NOON)
    assert waiting.oldest < datetime.now(UTC)
    assert ".avro" in files_with(lake, "anna-4711"), "a reader may have an older snapshot in hand"
    assert not list(lake.rglob("of-a-lander*")), "and nobody what was never committed"
    done = sweep(catalog, [PAGE_VIEW], who, datetime.now(UTC) + timedelta(seconds=1))
    assert done.oldest == datetime.max.replace(tzinfo=UTC)
    assert files_with(lake, "anna-4711") == set()
    assert [(r["visitor_id"], r["erased"]) for r in content(catalog)] == [(None, True), ("ben", None), (None, True)]


def test_a_sweep_leaves_alone_what_is_nobodys_who_was_forgotten(catalog: SqlCatalog, tmp_path: Path) -> None:
    land(catalog, view(0, "ben"))
    stray = next(path for path in (tmp_path / "warehouse").rglob("*.parquet"))
    other = stray.with_name("of-a-commit-under-way.parquet")
    other.write_bytes(stray.read_bytes())
    who = Suppressed(1, HASHES, frozenset({"acme"}), KEY)
    assert sweep(catalog, [PAGE_VIEW], who, datetime.now(UTC)).files == 0
    assert other.exists()


def test_rejected_bodies_that_name_them_go_and_the_rest_of_the_rejection_stays(catalog: SqlCatalog) -> None:
    configure("test")
    bodies = {
        "acme": ['{"data": {"visitor_id": "anna-4711"}}', "visitor=anna-4711&x=1", '{"data": {"visitor_id": "ben"}}'],
        None: ['{"data": {"wrong": ["anna-4711"]}}'],
        "other": ['{"data": {"visitor_id": "anna-4711"}}'],
    }
    values = [
        {
            "reject_id": f"{tenant}-{n}", "received_at": NOON.isoformat(), "stage": "collector", "tenant": tenant,
            "reasons": [{"pointer": "/data/x", "keyword": "type", "message": f"{body[-20:]} is no number"}],
            "body": body, "body_encoding": "utf-8", "event_type": "page_view", "collector_id": "c", "sequence": 7,
        }
        for tenant, texts in bodies.items()
        for n, body in enumerate(texts)
    ]  # fmt: skip
    table = ensure_table(catalog, REJECTED_EVENTS)
    base = State.of(table.properties)
    batch = Batch([json.dumps(v).encode() for v in values], [0] * len(values), list(range(len(values))))
    commit(catalog, table, rejects_decoder().decode(batch).rows, base, base.moved("topic", {0: len(values)}))

    done, touched = forget(catalog, Rejects(ANNA))
    rows: Rows = catalog.load_table(REJECTED_EVENTS.identifier).scan().to_arrow().to_pylist()
    kept = {row["reject_id"]: row for row in rows}
    assert done.rows == 3
    assert touched == {("", NOON)}
    assert {i for i, row in kept.items() if "anna" in row["body"] + row["reasons"]} == {"other-0"}
    assert kept["acme-2"]["body"] == bodies["acme"][2]
    assert (kept["acme-0"]["sequence"], kept["acme-0"]["event_type"]) == (7, "page_view")
    assert json.loads(kept["acme-1"]["reasons"]) == [{"pointer": "/data/x", "keyword": "type", "message": "erased"}]
    assert forget(catalog, Rejects(ANNA))[0] == rewrite.Rewritten()


def test_of_several_tables_the_newest_snapshot_counts_when_somebody_is_said_to_be_gone(catalog: SqlCatalog) -> None:
    names = [PAGE_VIEW.table, REJECTED_EVENTS.identifier]
    assert newest_snapshot(catalog, names) == datetime.fromtimestamp(0, UTC), "there is no table yet"
    ensure_table(catalog, PAGE_VIEW)
    assert newest_snapshot(catalog, names) == datetime.fromtimestamp(0, UTC), "nor anything in it"
    land(catalog, view(1, "anna-4711"))
    land(catalog, view(2, "anna-4711"), view(3, "ben"))
    snapshot = catalog.load_table(PAGE_VIEW.table).current_snapshot()
    assert snapshot is not None
    assert newest_snapshot(catalog, names) == datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
