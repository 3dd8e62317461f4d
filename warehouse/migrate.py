"""Bring the warehouse to what this code and these contracts say, in one transaction; a second run changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from contracts.model import Contract
from warehouse.ddl import SCHEMA, TableChange, plan
from warehouse.rebuild import known_marts, mark_cut_sketches, mark_new_marts, sketch_size

SCHEMA_FILES = Path(__file__).resolve().parent / "schema"
BEFORE_ROLLUPS = (
    "planner.sql", "schemas.sql", "ledger.sql", "tenants.sql", "alerts.sql", "sketch.sql", "calendar.sql",
    "rollups.sql", "marts.sql", "reprocess.sql", "published.sql", "rejects.sql", "repairs.sql", "books.sql",
    "audits.sql", "erasures.sql",
)  # fmt: skip
AFTER_ROLLUPS = ("grants.sql", "row_security.sql")
LOCK_TIMEOUT = "30s"
"""A change of a table waits for its readers and stops new ones meanwhile: not for longer than this."""


class MigrationError(Exception):
    """The warehouse could not be brought up to date and is as it was; the message says why and the way out."""


@dataclass(frozen=True)
class Migration:
    """What was done, or with ``dry_run`` would be."""

    changes: tuple[TableChange, ...]
    minutes_to_recompute: int
    hours_to_rebuild: int
    dry_run: bool

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {
            "dry_run": self.dry_run,
            "created": [c.table for c in self.changes if c.created],
            "columns_added": {c.table: list(c.columns) for c in self.changes if not c.created and c.columns},
            "minutes_to_recompute": self.minutes_to_recompute,
            "hours_to_rebuild": self.hours_to_rebuild,
        }


def migrate(dsn: str, contracts: Iterable[Contract], *, dry_run: bool = False) -> Migration:
    """Create or evolve everything in the database of ``dsn``, as its owner.

    A dry run does the same and rolls back, so that it finds the same mistakes.

    :raises BreakingChange: a contract would break a rollup table.
    :raises MigrationError: Postgres refused, or a file in ``warehouse/schema`` has no place in the order.
    """
    _check_order()
    try:
        with psycopg.connect(dsn) as connection:
            connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            connection.execute("set local client_min_messages = warning")
            connection.execute("select pg_advisory_xact_lock(hashtextextended('migrate', 0))")
            contracts = tuple(contracts)
            known, size = known_marts(connection), sketch_size(connection)
            _run_files(connection, BEFORE_ROLLUPS)
            changes: list[TableChange] = []
            minutes = 0
            for contract in contracts:
                change = plan(contract, _columns(connection, contract.rollup_table))
                for statement in change.statements:
                    connection.execute(statement.encode())
                if change.statements:
                    changes.append(change)
                if change.recompute:
                    minutes += _touch_all(connection, contract)
            hours = mark_new_marts(connection, known, contracts)
            if size is not None and size < (sketch_size(connection) or 0):
                hours += mark_cut_sketches(connection, size, contracts)
            _run_files(connection, AFTER_ROLLUPS)
            if dry_run:
                connection.rollback()
    except psycopg.Error as error:
        raise MigrationError(f"the warehouse is as it was: {str(error).strip()}") from error
    return Migration(tuple(changes), minutes, hours, dry_run)


def _check_order() -> None:
    """Every file must be in the written order, so that none is forgotten."""
    unplaced = {p.name for p in SCHEMA_FILES.glob("*.sql")} - set(BEFORE_ROLLUPS) - set(AFTER_ROLLUPS)
    if unplaced:
        raise MigrationError(
            f"warehouse/schema/{', '.join(sorted(unplaced))}: not in the order in warehouse/migrate.py"
        )


def _run_files(connection: psycopg.Connection, names: Iterable[str]) -> None:
    for name in names:
        path = SCHEMA_FILES / name
        try:
            connection.execute(path.read_bytes())
        except psycopg.Error as error:
            raise MigrationError(f"{path.name}: {str(error).strip()}") from error


def _columns(connection: psycopg.Connection, table: str) -> Mapping[str, str] | None:
    rows = connection.execute(
        """
        select a.attname, format_type(a.atttypid, a.atttypmod)
        from pg_attribute as a
        inner join pg_class as c on c.oid = a.attrelid
        where c.relnamespace = %s::regnamespace and c.relname = %s and a.attnum > 0 and not a.attisdropped
        order by a.attnum
        """,
        (SCHEMA, table),
    ).fetchall()
    return dict(rows) if rows else None


def _touch_all(connection: psycopg.Connection, contract: Contract) -> int:
    """Have every minute of a widened table recomputed, so that a new column fills itself by the one way there is.

    What arrived stays complete: hence `now()` as the time of receipt, and not that of the events. Minutes below the
    lake's floor keep the value of an event without the field: what they were made of is gone.
    """
    query = sql.SQL(
        """
        insert into ledger.touched (type, tenant, minute, cause, received_from)
        select distinct %s, tenant, minute, 'reprocess', now() from {table}
        where minute >= coalesce((select f.floor from ledger.lake_floor as f where f.type = %s), '-infinity')
        on conflict (type, tenant, minute) do update set change_id = excluded.change_id
        """
    ).format(table=sql.Identifier(SCHEMA, contract.rollup_table))
    return connection.execute(query, (contract.type, contract.type)).rowcount
