"""Lake maintenance: retention, compaction, expiry, orphans and old minutes, beside landings and loads (ADR 0018).

The order in one table matters: the floor is raised first and files are deleted after; rewriting makes files
superfluous, which expiry and the search for orphans then remove, when nobody can be reading them any more.
"""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

import psycopg

from contracts.model import Contract
from runtime import log
from spark_jobs import maintain_plan as plan
from spark_jobs import maintain_table as procedures
from spark_jobs.catalog import catalog_dsn, metadata_locations, tables_in
from spark_jobs.lake import Pinned, pin
from spark_jobs.session import open_writing_session
from spark_jobs.settings import MaintainSettings
from warehouse import lake_floor, rejects, reprocess_runs
from warehouse.downsample import downsample
from warehouse.load_state import SESSION, Busy, type_lock

logger = log.get(__name__)
QUALITY = "quality"
REJECTED = "quality.rejected_events"
AWAY_SECONDS = 60.0
"""So long a run that has begun waits for Postgres to be back, as when it is started anew."""
AGAIN_SECONDS = 1.0
_PLAIN = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


class AlreadyAtWork(Exception):
    """Another maintenance runs."""


@dataclass
class Maintained:
    """What was done to one table, or with a dry run would be; ``floor`` only where a contract knows a retention."""

    table: str
    floor: datetime | None = None
    rows_deleted: int = 0
    files_rewritten: int = 0
    files_written: int = 0
    bytes_rewritten: int = 0
    snapshots_expired: int = 0
    orphans_removed: int = 0
    rollup_rows_merged: int = 0
    rollup_rows_made: int = 0
    floor_kept_because: str | None = None
    minutes_kept_because: str | None = None

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {**asdict(self), "floor": self.floor.isoformat() if self.floor else None}


@dataclass
class Summary:
    """What one run did; ``failed`` names the tables that broke, with why."""

    dry_run: bool
    tables: list[Maintained] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    reprocesses_forgotten: int = 0
    seconds: float = 0

    def as_json(self) -> dict[str, object]:
        """For the command's last line; the totals first."""
        numbers = (
            "rows_deleted", "files_rewritten", "files_written", "bytes_rewritten", "snapshots_expired",
            "orphans_removed", "rollup_rows_merged", "rollup_rows_made",
        )  # fmt: skip
        return {
            "dry_run": self.dry_run,
            **{name: sum(getattr(t, name) for t in self.tables) for name in numbers},
            "reprocesses_forgotten": self.reprocesses_forgotten,
            "tables": [t.as_json() for t in self.tables],
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


def maintain(
    contracts: Iterable[Contract], settings: MaintainSettings, *, quality: bool = True, dry_run: bool = False
) -> Summary:
    """Maintain the tables of ``contracts`` and, with ``quality``, those of rejects and receipts; one after the other.

    A server that ends meanwhile costs the table that was at work, not those after it.

    :raises AlreadyAtWork: another maintenance runs.
    :raises PySparkException: the Spark server is away.
    :raises psycopg.OperationalError: Postgres is away.
    """
    started = time.monotonic()
    summary = Summary(dry_run)
    with Job(settings, dry_run=dry_run) as job:
        by_table: dict[str, Contract | None] = {c.table: c for c in contracts}
        by_table |= dict.fromkeys(tables_in(job.catalog, QUALITY) if quality else ())
        for table, contract in by_table.items():
            try:
                summary.tables.append(job.maintain(table, contract))
            except Exception as error:
                logger.exception("maintenance failed", table=table)
                summary.failed[table] = f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
                job.open_anew()
        keep = timedelta(days=settings.reprocess_keep_days)
        summary.reprocesses_forgotten = reprocess_runs.forget(job.warehouse, keep, dry_run=dry_run)
    summary.seconds = time.monotonic() - started
    return summary


@contextmanager
def _alone(warehouse: psycopg.Connection) -> Iterator[None]:
    """Be the only maintenance, and keep erasures away (``warehouse/erasures.py``).

    Let go here: of a connection that is closed Postgres hears when it gets to it.
    """
    row = warehouse.execute("select pg_try_advisory_lock(hashtextextended('maintain', 0))").fetchone()
    if not (row and row[0]):
        raise AlreadyAtWork("another maintenance of the lake, or an erasure, is at work")
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError):  # with the connection the lock went too
            warehouse.execute("select pg_advisory_unlock(hashtextextended('maintain', 0))")


@dataclass(frozen=True)
class Kept:
    """How long a table's rows are kept: so many days by a column. Its floor and its cursor are those of ``type``."""

    type: str
    by: str
    days: int


class Job:
    """One run's connections: to the warehouse, where it is alone, to the lake's catalog, and to Spark."""

    def __init__(self, settings: MaintainSettings, *, dry_run: bool) -> None:
        self._settings, self._dry_run = settings, dry_run
        self._target = settings.maintain_target_mb * 2**20
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def open_anew(self) -> None:
        """All connections: a table that failed may have failed because of one that broke, and others would after it.

        :raises AlreadyAtWork: another maintenance began in the moment in which this one held no lock.
        :raises PySparkException: the Spark server is away.
        :raises psycopg.OperationalError: Postgres is away, and was for AWAY_SECONDS.
        """
        self._opened.close()
        until = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return self._open()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(AGAIN_SECONDS)

    def _open(self) -> None:
        settings = self._settings
        with ExitStack() as opened:
            self.warehouse = opened.enter_context(
                psycopg.connect(settings.maintainer_dsn, autocommit=True, options=SESSION)
            )
            opened.enter_context(_alone(self.warehouse))
            self.catalog = opened.enter_context(psycopg.connect(catalog_dsn(settings), autocommit=True))
            self._spark = open_writing_session(settings)
            opened.callback(self._spark.stop)
            self._opened = opened.pop_all()

    def maintain(self, table: str, contract: Contract | None) -> Maintained:
        """All steps for one table."""
        done = Maintained(table)
        if not _PLAIN.fullmatch(table):
            raise ValueError(f"{table} is no name of a table of ours")
        if (pinned := self._pin(table)) is None:
            return done
        if contract is not None:
            self._retain(done, Kept(contract.type, "occurred_at", contract.retention_days), pinned)
        elif table == REJECTED:
            self._retain(done, Kept(rejects.CURSOR, "received_at", self._settings.maintain_rejects_days), pinned)
        self._compact(done, table)
        self._expire(done, table)
        older_than = datetime.now(UTC) - timedelta(hours=self._settings.maintain_orphan_hours)
        done.orphans_removed = len(procedures.orphans(self._spark, table, older_than, dry_run=self._dry_run))
        if contract is not None:
            merged = downsample(self.warehouse, contract, dry_run=self._dry_run)
            done.rollup_rows_merged, done.rollup_rows_made = merged.rows_before, merged.rows_after
            done.minutes_kept_because = merged.kept_because
        logger.info("maintained", **done.as_json())
        return done

    def _pin(self, table: str) -> Pinned | None:
        location = metadata_locations(self.catalog, [table]).get(table)
        return None if location is None else pin(table, location, self._settings)

    def _retain(self, done: Maintained, kept: "Kept", pinned: Pinned) -> None:
        """Raise the floor, then delete what is below it."""
        wanted = lake_floor.wanted(datetime.now(UTC), kept.days)
        if self._dry_run:
            done.floor = lake_floor.reachable(self.warehouse, kept.type, wanted)
            done.rows_deleted = plan.rows_below(plan.files_of(pinned.source), done.floor)
            return
        state = self._raised(done, kept.type, wanted)
        done.floor = state.floor
        if state.floor is None or not plan.rows_below(plan.files_of(pinned.source), state.floor):
            return
        procedures.delete_below(self._spark, done.table, kept.by, state.floor, state.land_seq)
        after = self._pin(done.table)
        if after is not None:
            done.rows_deleted = _deleted_since(after, pinned.sequence_number)

    def _raised(self, done: Maintained, type_: str, wanted: datetime) -> lake_floor.Floor:
        """The floor as it is after raising it; once a day it needs raising, and then no load may be at work."""
        state = lake_floor.read(self.warehouse, type_)
        if state.floor is not None and state.floor >= wanted:
            return state
        try:
            with type_lock(self.warehouse, type_, self._settings.maintain_wait_seconds):
                return lake_floor.raise_to(self.warehouse, type_, wanted)
        except Busy as error:
            done.floor_kept_because = str(error)
            return state

    def _compact(self, done: Maintained, table: str) -> None:
        pinned = self._pin(table)
        if pinned is None:
            return
        days = plan.crowded(plan.files_of(pinned.source), self._target, self._settings.maintain_min_files)
        if not days:
            return
        if self._dry_run:
            done.files_rewritten = sum(days.values())
            return
        by_day = pinned.source.schema().find_column_name(pinned.source.spec().fields[0].source_id)
        sort_by = [name for name in (by_day, "received_at") if name in pinned.columns and name is not None]
        rewritten = procedures.compact(
            self._spark, table, list(dict.fromkeys(sort_by)), self._target, self._settings.maintain_min_files
        )
        done.files_rewritten, done.files_written = rewritten.files_before, rewritten.files_after
        done.bytes_rewritten = rewritten.bytes

    def _expire(self, done: Maintained, table: str) -> None:
        pinned = self._pin(table)
        if pinned is None:
            return
        metadata = pinned.source.metadata
        before = datetime.now(UTC) - timedelta(hours=self._settings.maintain_keep_hours)
        heads = [ref.snapshot_id for ref in metadata.refs.values()]
        ids = plan.superseded(metadata.snapshots, heads, before)
        done.snapshots_expired = len(ids)
        if ids and not self._dry_run:
            procedures.expire(self._spark, table, ids)


def _deleted_since(pinned: Pinned, sequence_number: int) -> int:
    """Rows that snapshots younger than ``sequence_number`` deleted, less those they wrote again beside them."""
    younger = [s for s in pinned.source.metadata.snapshots if (s.sequence_number or 0) > sequence_number]
    summaries = [s.summary for s in younger if s.summary is not None and s.summary.operation.value != "append"]
    return sum(int(s["deleted-records"] or 0) - int(s["added-records"] or 0) for s in summaries)
