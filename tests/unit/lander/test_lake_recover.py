"""The catalog is lost, or an old one is put back: what the bucket has is found again."""

import shutil
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from pydantic import SecretStr
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from collector import lake_commands, suppressed
from collector.lake import CatalogLost, ensure_table
from collector.lake_metadata import Bucket, number
from collector.lake_recover import LanderAtWork, What, look, recover
from collector.land_db import Database
from collector.land_settings import LanderSettings
from collector.suppressed import Person, Suppressed
from tests.unit.lander.lake_kit import AT, KEPT, SPEC, AtRest, Open, land, landed


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


def test_a_commit_that_is_damaged_is_passed_over(reopened: Open, tmp_path: Path) -> None:
    before = land(reopened(), 2)
    newest = land(reopened())
    path(newest.metadata_location).write_text('{"format-version": 2, "table-uu')
    (tmp_path / "catalog.db").unlink()
    found = recover(catalog := reopened(), Bucket(catalog), SPEC.identifier, AtRest())
    assert (found.what, found.passed) == (What.PUT_BACK, (newest.metadata_location,))
    assert catalog.load_table(SPEC.identifier).metadata_location == before.metadata_location


@pytest.mark.parametrize("away", [OSError("S3 is away"), OperationalError("connect", None, Exception("Postgres"))])
def test_a_server_that_is_away_is_said_and_how_to_go_on(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch, away: Exception
) -> None:
    settings = create_autospec(LanderSettings, instance=True)
    settings.lander_dsn, settings.land_lock_seconds = SecretStr("postgresql://nowhere"), 30
    monkeypatch.setattr(LanderSettings, "read", lambda: settings)
    monkeypatch.setattr(lake_commands, "open_catalog", lambda _: catalog)
    monkeypatch.setattr(Bucket, "tables", create_autospec(Bucket.tables, side_effect=away))
    done = CliRunner().invoke(lake_commands.app, ["recover"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "does not answer" in done.output
    assert "ask again" in done.output
