"""A backup is drilled: what was restored is what there was, for everybody who may see it."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from contracts.registry import Registry
from stack import backup, backup_commands, secrets
from stack.lifecycle import Stack
from stack.servers import postgres
from warehouse import checksum
from warehouse.migrate import migrate

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
REGISTRY = Registry.load()


class Drill:
    """A small stack with a warehouse and a catalog that hold something."""

    def __init__(self, stack: Stack) -> None:
        self.settings = stack.settings
        self.secrets = secrets.load(stack.settings.watershed_state / "secrets.json")

    def dsn(self, role: str, database: str = "warehouse") -> str:
        return postgres.dsn(self.settings, self.secrets, role, database)

    def rows(self, statement: str, role: str = "watershed", database: str = "warehouse") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn(role, database)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def checksums(self) -> dict[str, checksum.Checksum]:
        with psycopg.connect(self.dsn("watershed"), options=checksum.SESSION) as connection:
            return {**checksum.of_rollups(connection, REGISTRY), **checksum.of_marts(connection)}

    def watershed(self, *words: str) -> Any:
        env = {"WATERSHED_STATE": str(self.settings.watershed_state), "PORT_OFFSET": str(self.settings.port_offset)}
        return CliRunner().invoke(backup_commands.app, list(words), env=env)


@pytest.fixture(scope="module")
def drill(small: Callable[[], Stack]) -> Iterator[Drill]:
    stack = small()
    stack.up(lambda _part, _what: None)
    found = Drill(stack)
    migrate(found.dsn("watershed"), REGISTRY)
    found.rows(
        """
        select rollups.ensure_months('page_view_minute', '{2026-11-01}');
        insert into rollups.page_view_minute (tenant, minute, region, page_name, page_views, bot_page_views, visitors)
        select 'acme', timestamptz '2026-11-18 12:00+00' + n * interval '1 minute', 'DE', 'home', n, 0, array[n, n + 1]
        from generate_series(1, 200) as n;
        insert into marts.region_hourly (
            tenant, period_start, region, page_views, visitors, bot_page_views, visitors_sketch
        )
        values ('acme', '2026-11-18 12:00+00', 'DE', 7, 2, 0, '{1,2}')
        """
    )
    found.rows("create table iceberg_tables as select 'events.page_view' as name", "catalog", "catalog")
    yield found
    found.rows("drop table iceberg_tables", "catalog", "catalog")


def made(drill: Drill, folder: Path) -> Mapping[str, Any]:
    done = drill.watershed("create", "--in", str(folder), "--json")
    assert done.exit_code == 0, done.output
    result: Mapping[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def spoil(drill: Drill) -> None:
    drill.rows("delete from rollups.page_view_minute; update marts.region_hourly set page_views = 8")
    drill.rows("truncate iceberg_tables", "catalog", "catalog")


def test_what_was_restored_equals_what_was_backed_up(drill: Drill, tmp_path: Path) -> None:
    before = drill.checksums()
    assert before["rollups.page_view_minute"].rows == 200
    backed_up = made(drill, tmp_path)
    spoil(drill)
    spoiled = drill.checksums()
    assert spoiled != before
    asked = drill.watershed("restore", backed_up["name"], "--in", str(tmp_path))
    assert asked.exit_code == 0
    assert "nothing was changed" in asked.stderr
    assert drill.checksums() == spoiled
    with psycopg.connect(drill.dsn("reader")) as somebody:
        done = drill.watershed("restore", backed_up["name"], "--in", str(tmp_path), "--yes")
        assert done.exit_code == 0, done.output
        with pytest.raises(psycopg.OperationalError):
            somebody.execute("select 1")
    assert drill.checksums() == before
    assert drill.rows("select name from iceberg_tables", "spark", "catalog") == [("events.page_view",)]
    databases = [name for (name,) in drill.rows("select datname from pg_database order by 1", "postgres", "postgres")]
    assert not [name for name in databases if name.endswith(("_restoring", "_replaced"))]


def test_each_role_may_do_in_what_was_restored_what_it_might_before(drill: Drill, tmp_path: Path) -> None:
    name = made(drill, tmp_path)["name"]
    assert drill.watershed("restore", name, "--in", str(tmp_path), "--yes").exit_code == 0
    assert drill.rows("select page_views from marts.region_hourly", "reader") == [(7,)]
    for role, statement in (
        ("reader", "select from rollups.page_view_minute"),
        ("reader", "delete from marts.region_hourly"),
        ("loader", "select from marts.region_hourly"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            drill.rows(statement, role)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        drill.rows("select 1", "airflow")
    assert drill.rows("select count(*) from rollups.page_view_minute", "loader") == [(200,)]
    migrate(drill.dsn("watershed"), REGISTRY)
    assert drill.rows("select count(*) from rollups.page_view_minute", "loader") == [(200,)]


def test_the_floor_of_the_lake_is_not_lowered(drill: Drill, tmp_path: Path) -> None:
    """What it was raised over since the backup is gone from the lake: recomputed, those minutes would be empty."""
    floors = "select type, floor from ledger.lake_floor order by type"
    higher, lower = NOON, NOON - timedelta(days=9)
    drill.rows(f"insert into ledger.lake_floor (type, floor) values ('signup', '{higher}'), ('purchase', '{lower}')")
    name = made(drill, tmp_path)["name"]
    drill.rows("delete from ledger.lake_floor where type = 'signup'")
    drill.rows(f"update ledger.lake_floor set floor = '{higher}'")
    drill.rows(f"insert into ledger.lake_floor (type, floor) values ('metric', '{lower}')")
    assert drill.watershed("restore", name, "--in", str(tmp_path), "--yes").exit_code == 0
    assert drill.rows(floors) == [("metric", lower), ("purchase", higher), ("signup", higher)]
    drill.rows("delete from ledger.lake_floor")


def test_with_an_older_catalog_the_warehouse_loads_again_what_is_landed_again(drill: Drill, tmp_path: Path) -> None:
    """Commits after the backup come again under the same numbers, and not with the same events in them."""
    drill.rows("insert into ledger.cursors (type, land_seq, metadata_location) values ('signup', 7, 's3://seven')")
    name = made(drill, tmp_path)["name"]
    drill.rows("update ledger.cursors set land_seq = 9, sequence_number = 9, metadata_location = 's3://nine'")
    drill.rows("insert into ledger.cursors (type, land_seq) values ('purchase', 3)")
    assert drill.watershed("restore", name, "--in", str(tmp_path), "--only", "catalog", "--yes").exit_code == 0
    cursors = "select type, land_seq, sequence_number, metadata_location from ledger.cursors order by type"
    assert drill.rows(cursors) == [("purchase", 0, 0, None), ("signup", 7, 0, None)]
    drill.rows("delete from ledger.cursors")


def test_one_database_is_restored_alone(drill: Drill, tmp_path: Path) -> None:
    name = made(drill, tmp_path)["name"]
    before = drill.checksums()
    spoil(drill)
    spoiled = drill.checksums()
    assert drill.watershed("restore", name, "--in", str(tmp_path), "--only", "catalog", "--yes").exit_code == 0
    assert drill.rows("select name from iceberg_tables", "catalog", "catalog") == [("events.page_view",)]
    assert drill.checksums() == spoiled
    assert drill.watershed("restore", name, "--in", str(tmp_path), "--only", "warehouse", "--yes").exit_code == 0
    assert drill.checksums() == before


def test_a_damaged_dump_is_refused_before_anything_is_touched(drill: Drill, tmp_path: Path) -> None:
    name = made(drill, tmp_path)["name"]
    path = tmp_path / name / "catalog.dump"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    before = drill.checksums()
    refused = drill.watershed("restore", name, "--in", str(tmp_path), "--yes")
    assert refused.exit_code == 1
    assert "SHA-256" in refused.stderr
    assert drill.checksums() == before


def test_a_restore_that_fails_leaves_what_there_was(drill: Drill, tmp_path: Path) -> None:
    """The second of the two dumps is none: the first was restored beside, and is not put in place."""
    name = made(drill, tmp_path)["name"]
    spoil(drill)
    before = drill.checksums()
    (tmp_path / name / "catalog.dump").write_bytes(b"no dump at all")
    about = json.loads((tmp_path / name / backup.ABOUT).read_text())
    about["files"]["catalog"] = [14, backup.digest(tmp_path / name / "catalog.dump")]
    (tmp_path / name / backup.ABOUT).write_text(json.dumps(about))
    failed = drill.watershed("restore", name, "--in", str(tmp_path), "--yes")
    assert failed.exit_code == 1
    assert "pg_restore failed" in failed.stderr
    assert drill.checksums() == before
    assert drill.rows("select datname from pg_database where datname like '%restoring'", "postgres", "postgres") == []


def test_backups_are_listed_the_newest_first_and_are_for_their_owner_only(drill: Drill, tmp_path: Path) -> None:
    first = made(drill, tmp_path)["name"]
    second = made(drill, tmp_path)["name"]
    listed = drill.watershed("list", "--in", str(tmp_path), "--json")
    assert [b["name"] for b in json.loads(listed.stdout.strip().splitlines()[-1])["backups"]] == [second, first]
    assert {p.stat().st_mode & 0o077 for p in (tmp_path / first).glob("*.dump")} == {0}
    assert (tmp_path / first).stat().st_mode & 0o077 == 0


def test_a_backup_that_cannot_be_made_leaves_nothing_that_looks_like_one(
    drill: Drill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**drill.secrets, "postgres": "another"}
    with pytest.raises(backup.StackError, match="password authentication failed"):
        backup.create(drill.settings, wrong, tmp_path)
    monkeypatch.setattr(backup, "_loaded", lambda *_: {})
    with pytest.raises(backup.StackError, match="pg_dump failed"):
        backup.create(drill.settings, wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []
