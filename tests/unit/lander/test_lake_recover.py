"""The catalog is lost, or an old one is put back: what the bucket has is found again, and nothing is made over it."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import create_autospec

import pyarrow as pa
import pytest
from pydantic import SecretStr
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from collector import suppressed
from collector.lake import CatalogLost, TableSpec, arrow_schema_of, ensure_table
from collector.lake_metadata import Bucket, number
from collector.lake_recover import LanderAtWork, What, look, recover
from collector.land_commit import State, commit
from collector.land_db import Database
from collector.land_events import EventDecoder
from collector.land_rejects import Rejects
from collector.land_settings import LanderSettings
from collector.land_status import Servers
from collector.land_table import TableLander
from collector.land_topic import Brokers, TopicInfo
from collector.suppressed import Person, Suppressed
from contracts.columns import LakeColumn
from contracts.model import Contract
from contracts.registry import Registry

SPEC = TableSpec(
    "events.test",
    (
        LakeColumn("n", "long", True, "A number."),
        LakeColumn("at", "timestamp", True, "When."),
        LakeColumn("land_seq", "long", True, "The commit."),
    ),
    "at",
    "A table.",
)
AT = datetime(2026, 11, 20, tzinfo=UTC)
SCHEMA = arrow_schema_of(column for column in SPEC.columns if column.name != "land_seq")
KEPT = 20
"""So many metadata files before the newest a table keeps (collector/lake.py)."""
Open = Callable[[], SqlCatalog]


class AtRest(Database):
    """A warehouse in which nobody holds the tables that are asked for, unless told."""

    def __init__(self, *, held: bool = False, lost: bool = False) -> None:
        super().__init__("postgresql://nowhere", 30)
        self.held, self.lost = held, lost

    def try_lock(self, table: str) -> int | None:
        return None if self.held else 1

    def check(self, session: int) -> bool:
        return not self.lost

    def unlock(self, table: str) -> None:
        """Nothing."""


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[Open]:
    """Opens the catalog as its file in the folder is by now."""
    made: list[SqlCatalog] = []

    def again() -> SqlCatalog:
        made.append(SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake"))
        return made[-1]

    yield again
    for catalog in made:
        catalog.close()


@pytest.fixture
def catalog(reopened: Open) -> SqlCatalog:
    return reopened()


def land(catalog: SqlCatalog, times: int = 1) -> Table:
    table = ensure_table(catalog, SPEC)
    for _ in range(times):
        base = State.of(table.properties)
        rows = pa.Table.from_pylist([{"n": base.land_seq + 1, "at": AT}], schema=SCHEMA)
        table = commit(catalog, table, rows, base, base.moved("topic", {0: base.land_seq + 1}))
    return table


def landed(catalog: SqlCatalog) -> list[int]:
    return sorted(row["n"] for row in catalog.load_table(SPEC.identifier).scan().to_arrow().to_pylist())


def manifests(table: Table) -> set[str]:
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return {manifest.manifest_path for manifest in snapshot.manifests(table.io)}


def manifest_list(table: Table) -> str:
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return snapshot.manifest_list


def files(table: Table) -> set[str]:
    return {task.file.file_path for task in table.scan().plan_files()}


def path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


def brought(catalog: SqlCatalog, database: Database | None = None) -> What:
    return recover(catalog, Bucket(catalog), SPEC.identifier, database or AtRest()).what


def test_what_an_old_catalog_names_is_gone_and_the_newest_is_found(reopened: Open, tmp_path: Path) -> None:
    """A table keeps twenty metadata files before the newest: at a commit every ten seconds, a backup's for minutes."""
    land(reopened(), 3)
    shutil.copy(tmp_path / "catalog.db", tmp_path / "backup")
    newest = land(reopened(), KEPT + 1)
    shutil.copy(tmp_path / "backup", tmp_path / "catalog.db")
    catalog = reopened()
    with pytest.raises(FileNotFoundError):
        catalog.load_table(SPEC.identifier)
    with pytest.raises(CatalogLost, match="watershed lake recover"):
        ensure_table(catalog, SPEC)
    assert brought(catalog) is What.PUT_BACK
    assert catalog.load_table(SPEC.identifier).metadata_location == newest.metadata_location
    assert landed(catalog) == list(range(1, KEPT + 5))
    land(catalog)
    assert landed(catalog) == list(range(1, KEPT + 6))


def test_without_any_catalog_every_table_is_put_back_also_the_list_of_who_was_forgotten(
    reopened: Open, tmp_path: Path
) -> None:
    before = reopened()
    land(before, 2)
    key = b"k" * 32
    suppressed.add(before, Suppressed(key=key), Person("acme", "user", "u-1"), AT)
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    bucket = Bucket(catalog)
    assert bucket.tables() == ["events.test", "quality.suppressed"]
    assert {recover(catalog, bucket, table, AtRest()).what for table in bucket.tables()} == {What.PUT_BACK}
    assert landed(catalog) == [1, 2]
    assert suppressed.read(catalog, key, 1).holds("acme", "user", "u-1")
    assert {look(catalog, bucket, table).what for table in bucket.tables()} == {What.AS_IT_IS}


def test_no_table_is_made_over_one_that_the_catalog_has_lost(reopened: Open, tmp_path: Path) -> None:
    newest = land(reopened(), 2)
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    with pytest.raises(CatalogLost, match="watershed lake recover") as refused:
        ensure_table(catalog, SPEC)
    assert newest.metadata_location in str(refused.value)
    with pytest.raises(NoSuchTableError):
        catalog.load_table(SPEC.identifier)
    shutil.move(tmp_path / "lake" / "events" / "test", tmp_path / "away")
    land(catalog)
    assert landed(catalog) == [1]


def test_a_lander_stops_at_a_table_that_the_catalog_has_lost(reopened: Open, tmp_path: Path) -> None:
    contract = Registry.load().newest("page_view")
    table = ensure_table(reopened(), contract)
    base = State.of(table.properties)
    commit(reopened(), table, pa.table({}), base, base.moved("topic", {0: 1}))
    (tmp_path / "catalog.db").unlink()
    lander = landing(contract, reopened())
    lander.run()
    assert lander.status.phase == "stopped"
    assert "`watershed lake recover` puts it back" in (lander.not_ready or "")


def landing(contract: Contract, catalog: SqlCatalog) -> TableLander:
    """A lander that ends where others wait for somebody to decide."""

    class Ended(AtRest):
        def __init__(self) -> None:
            super().__init__()
            self.session = 1

        def unlock(self, table: str) -> None:
            lander.stop()

    topic = TopicInfo("topic", frozenset({0}))
    brokers = create_autospec(Brokers, instance=True)
    brokers.describe_one.return_value = topic
    settings = LanderSettings(
        kafka_bootstrap_servers="nowhere:1", s3_endpoint="http://nowhere", aws_access_key_id="a",
        aws_secret_access_key=SecretStr("s"), lake_warehouse="s3://lake", lake_catalog_uri=SecretStr("sqlite://"),
        lander_dsn=SecretStr("postgresql://nowhere"), visitor_hash_key=SecretStr("k" * 32),
    )  # fmt: skip
    servers = Servers(lambda: catalog, brokers, Ended(), create_autospec(Rejects, instance=True))
    lander = TableLander(contract.topic, lambda: EventDecoder(contract, b"k" * 32), servers, settings)
    return lander


def test_what_was_made_and_never_committed_to_is_made_again(reopened: Open, tmp_path: Path) -> None:
    """Of two who make a table at once, one leaves such a file; so does one that is killed before the catalog knows."""
    ensure_table(reopened(), SPEC)
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    assert Bucket(catalog).tables() == []
    land(catalog)
    assert landed(catalog) == [1]


def test_another_who_makes_the_table_meanwhile_and_lands_is_no_loss(
    catalog: SqlCatalog, reopened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Bucket.commits
    others = iter([lambda: land(reopened())])

    def late(self: Bucket, identifier: str) -> list[str]:
        next(others, lambda: None)()
        return commits(self, identifier)

    monkeypatch.setattr(Bucket, "commits", late)
    ensure_table(catalog, SPEC)
    assert landed(catalog) == [1]


def test_a_commit_whose_files_were_removed_is_passed_over(reopened: Open, tmp_path: Path) -> None:
    """So is what a lander leaves that came second, or lost its table, just when Postgres was lost."""
    before = land(reopened(), 2)
    failed = land(reopened())
    (brought_by_it,) = files(failed) - files(before)
    path(brought_by_it).unlink()
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    found = recover(catalog, Bucket(catalog), SPEC.identifier, AtRest())
    assert (found.what, found.land_seq, found.passed) == (What.PUT_BACK, 2, (failed.metadata_location,))
    land(catalog)
    assert landed(catalog) == [1, 2, 3]


@pytest.mark.parametrize("gone", ["list", "manifest"])
def test_a_commit_without_its_list_or_a_manifest_is_passed_over(reopened: Open, tmp_path: Path, gone: str) -> None:
    first = land(reopened())
    second = land(reopened())
    (own,) = manifests(second) - manifests(first)
    path(manifest_list(second) if gone == "list" else own).unlink()
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    assert brought(catalog) is What.PUT_BACK
    assert landed(catalog) == [1]


def test_of_two_of_one_number_the_one_with_all_its_files_is_taken(reopened: Open, tmp_path: Path) -> None:
    land(reopened())
    shutil.copy(tmp_path / "catalog.db", tmp_path / "backup")
    made = land(reopened())
    shutil.copy(tmp_path / "backup", tmp_path / "catalog.db")
    rival = land(reopened())
    path(manifest_list(rival)).unlink()
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    found = recover(catalog, Bucket(catalog), SPEC.identifier, AtRest())
    assert found.newest is not None
    assert (found.newest.location, found.passed) == (made.metadata_location, (rival.metadata_location,))


def test_what_others_came_after_is_moved_ahead(reopened: Open, tmp_path: Path) -> None:
    land(reopened())
    shutil.copy(tmp_path / "catalog.db", tmp_path / "backup")
    newest = land(reopened(), 3)
    shutil.copy(tmp_path / "backup", tmp_path / "catalog.db")
    catalog = reopened()
    assert landed(catalog) == [1]
    assert look(catalog, Bucket(catalog), SPEC.identifier).what is What.MOVED_AHEAD
    assert landed(catalog) == [1], "to look changes nothing"
    assert brought(catalog) is What.MOVED_AHEAD
    assert landed(catalog) == [1, 2, 3, 4]
    assert catalog.load_table(SPEC.identifier).metadata_location == newest.metadata_location
    assert brought(catalog) is What.AS_IT_IS


def test_an_old_catalog_that_was_landed_on_is_left_as_it_is(reopened: Open, tmp_path: Path) -> None:
    land(reopened())
    shutil.copy(tmp_path / "catalog.db", tmp_path / "backup")
    land(reopened(), 3)
    shutil.copy(tmp_path / "backup", tmp_path / "catalog.db")
    catalog = reopened()
    land(catalog)
    assert brought(catalog) is What.OTHER_BRANCH
    assert landed(catalog) == [1, 2]


def test_beside_what_a_failed_commit_left_the_catalog_is_as_it_is(
    reopened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though that is whole, dated later, and comes first where both have one number."""
    land(reopened())
    shutil.copy(tmp_path / "catalog.db", tmp_path / "before")
    made = land(reopened()).metadata_location
    shutil.copy(tmp_path / "catalog.db", tmp_path / "after")
    shutil.copy(tmp_path / "before", tmp_path / "catalog.db")
    land(reopened())
    shutil.copy(tmp_path / "after", tmp_path / "catalog.db")
    commits = Bucket.commits
    monkeypatch.setattr(
        Bucket, "commits", lambda self, table: sorted(commits(self, table), key=lambda at: (-number(at), at == made))
    )
    assert brought(reopened()) is What.AS_IT_IS


def test_a_table_of_which_nothing_is_whole_is_said(reopened: Open, tmp_path: Path) -> None:
    path(manifest_list(land(reopened()))).unlink()
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    assert brought(catalog) is What.NOTHING_WHOLE
    with pytest.raises(NoSuchTableError):
        catalog.load_table(SPEC.identifier)


@pytest.mark.parametrize("database", [AtRest(held=True), AtRest(lost=True)], ids=["held", "lost meanwhile"])
def test_a_table_that_a_lander_may_be_at_work_on_is_left(reopened: Open, tmp_path: Path, database: Database) -> None:
    """It removes the files of a commit that came too late, and the catalog would name them."""
    land(reopened())
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    with pytest.raises(LanderAtWork):
        brought(catalog, database)
    with pytest.raises(NoSuchTableError):
        catalog.load_table(SPEC.identifier)
