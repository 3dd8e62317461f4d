"""What each role of the warehouse may not do, tried for real."""

import psycopg
import pytest

from warehouse.migrate import migrate

DENIED = psycopg.errors.InsufficientPrivilege

FORBIDDEN = {
    "LOADER_DSN": [
        "select from marts.region_hourly",
        "insert into marts.freshness (tenant) values ('x')",
        "create table rollups.mine (x int)",
        "create table public.mine (x int)",
        "drop table rollups.page_view_minute",
        "truncate rollups.page_view_minute",
        "alter table rollups.page_view_minute add column x int",
        "update ledger.landed set land_seq = 0",
        "insert into ledger.collectors (collector_id) values ('x')",
        "delete from ledger.gate_results",
        "insert into ledger.publications (run_id) values (null)",
        "update ledger.repairs set sent_at = now()",
        "delete from ledger.repairs",
    ],
    "DBT_DSN": [
        "delete from rollups.page_view_minute",
        "insert into marts.freshness (tenant) values ('x')",
        "select from marts.region_hourly",
        "delete from ledger.unpublished",
        "update ledger.touched set cause = 'x'",
        "create table marts.mine (x int)",
        "create table rollups.mine (x int)",
        "create schema mine",
        "select rollups.ensure_months('page_view_minute', '{2020-01-01}')",
    ],
    "GATE_DSN": [
        "delete from rollups.page_view_minute",
        "delete from ledger.unpublished",
        "insert into ledger.publications (run_id) values (null)",
        "select from marts.region_hourly",
        "create table marts_build.mine (x int)",
        "create table staging.mine (x int)",
    ],
    "PUBLISHER_DSN": [
        "delete from rollups.page_view_minute",
        "delete from ledger.touched",
        "update ledger.cursors set land_seq = 0",
        "insert into ledger.gate_results (run_id) values (null)",
        "create table marts.mine (x int)",
        "drop table marts.region_hourly",
        "truncate marts.region_hourly",
        "create table marts_build.mine (x int)",
        "delete from marts.loads",
        "insert into marts.gate_results (suite) values ('x')",
        "update marts.publications set held_because = null",
    ],
    "MAINTAINER_DSN": [
        "select from marts.region_hourly",
        "insert into ledger.touched (type) values ('x')",
        "delete from ledger.touched",
        "update ledger.cells set landed = 0",
        "select from ledger.cells",
        "update ledger.cursors set land_seq = 0",
        "insert into ledger.unpublished (type) values ('x')",
        "delete from ledger.lake_floor",
        "truncate rollups.page_view_minute",
        "create table rollups.mine (x int)",
    ],
    "LANDER_DSN": [
        "select from rollups.page_view_minute",
        "select from marts.region_hourly",
        "select from ledger.touched",
        "insert into ledger.touched (type) values ('x')",
        "update ledger.cursors set land_seq = 0",
        "delete from ledger.landed",
        "delete from ledger.collectors",
        "select from ledger.cells",
    ],
    "REPAIRER_DSN": [
        "select from rollups.page_view_minute",
        "select from marts.region_hourly",
        "select from ledger.cells",
        "select from ledger.rejects",
        "insert into ledger.touched (type) values ('x')",
        "update ledger.lake_floor set floor = now()",
        "delete from ledger.repair_runs",
        "create table ledger.mine (x int)",
    ],
    "TRACER_DSN": [
        "insert into ledger.touched (type) values ('x')",
        "update ledger.books set signed_off_at = now()",
        "delete from rollups.page_view_minute",
        "delete from marts.region_hourly",
        "delete from marts.loads",
        "create table ledger.mine (x int)",
    ],
    "ERASER_DSN": [
        "select from rollups.page_view_minute",
        "select from marts.region_hourly",
        "delete from ledger.touched",
        "update ledger.cells set landed = 0",
        "update ledger.cursors set land_seq = 0",
        "delete from ledger.restatements",
        "update ledger.reprocess_rows set content = '{}'",
        "create table ledger.mine (x int)",
    ],
    "READER_DSN": [
        "select from rollups.page_view_minute",
        "select from ledger.cells",
        "insert into marts.freshness (tenant) values ('x')",
        "update marts.region_hourly set page_views = 0",
        "delete from marts.region_hourly",
        "delete from marts.loads",
        "create table marts.mine (x int)",
        "create table public.mine (x int)",
    ],
}


@pytest.mark.parametrize(("role", "statement"), [(r, s) for r, all_ in FORBIDDEN.items() for s in all_])
def test_a_role_is_refused_what_is_not_its_business(stack, role, statement):
    with psycopg.connect(stack.env[role]) as connection, pytest.raises(DENIED):
        connection.execute(statement)


PERMITTED = {
    "LOADER_DSN": ["select from rollups.page_view_minute", "delete from ledger.cells where false"],
    "DBT_DSN": ["select from rollups.page_view_minute", "create table marts_build.zz_try (x int)"],
    "GATE_DSN": ["select from rollups.page_view_minute", "select from ledger.cells"],
    "PUBLISHER_DSN": ["select from ledger.cursors", "delete from marts.region_hourly where false"],
    "LANDER_DSN": ["update ledger.landed set land_seq = land_seq where false"],
    "TRACER_DSN": ["select from ledger.cells", "select from rollups.page_view_minute", "select from marts.freshness"],
    "ERASER_DSN": [
        "delete from ledger.erasures where false",
        "select from ledger.touched",
        "delete from ledger.reprocess_rows where false",
    ],
    "READER_DSN": ["select from marts.region_hourly"],
}


@pytest.mark.parametrize(("role", "statement"), [(r, s) for r, all_ in PERMITTED.items() for s in all_])
def test_a_role_may_do_its_work(stack, role, statement):
    with psycopg.connect(stack.env[role]) as connection:
        connection.execute(statement)
        connection.rollback()


def test_the_loader_gets_a_month_but_only_of_a_rollup_table(stack):
    with psycopg.connect(stack.env["LOADER_DSN"]) as connection:
        made = connection.execute("select rollups.ensure_months('page_view_minute', '{1999-05-17,1999-05-02}')")
        assert made.fetchone() == (1,)
        for table in ("no_such_table", "page_view_minute_199905", "pg_class"):
            with pytest.raises(psycopg.errors.UndefinedTable), connection.transaction():
                connection.execute("select rollups.ensure_months(%s, '{2020-01-01}')", (table,))
        connection.rollback()


def test_a_right_that_is_not_written_down_is_taken_away_by_the_next_migration(stack, probe):
    probe.watershed.execute("grant select on ledger.cells to reader")
    probe.watershed.execute("grant usage on schema ledger to reader")
    migrate(stack.env["WAREHOUSE_DSN"], [probe.contract])
    with psycopg.connect(stack.env["READER_DSN"]) as connection, pytest.raises(DENIED):
        connection.execute("select from ledger.cells")


def test_a_role_cannot_reach_the_catalog_of_the_lake(stack):
    for role in ("READER_DSN", "DBT_DSN", "PUBLISHER_DSN", "GATE_DSN", "LOADER_DSN"):
        info = psycopg.conninfo.conninfo_to_dict(stack.env[role])
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(**{**info, "dbname": "catalog"})
