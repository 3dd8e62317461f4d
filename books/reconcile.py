"""``watershed books reconcile``: read what is new of the lake's files, then balance the hours that changed.

A run that is repeated, cut short, or comes twice at once changes nothing that another would not: a file is read in one
transaction, an hour is balanced in one.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import psycopg

from books import contents
from books.balance import Known, balance, due
from books.catch_up import catch_up
from books.index import Indexed, Read, index
from books.lake_files import Named, rows
from books.settings import BooksSettings
from contracts.model import Contract
from runtime import log
from spark_jobs.catalog import catalog_dsn, metadata_locations
from spark_jobs.lake import Pinned, pin
from warehouse import rejects
from warehouse.load_state import SESSION

logger = log.get(__name__)
REJECTS = "quality.rejected_events"
ATTEMPTS = 3


class AlreadyAtWork(Exception):
    """Another reconciliation runs."""


@dataclass
class Reconciled:
    """What one run did. ``failed``: tables that could not be looked at, with why; their books stay as they were."""

    run_id: UUID
    everything: bool = False
    files_read: int = 0
    files_left: int = 0
    files_missing: int = 0
    receipts_found: int = 0
    hours: int = 0
    hours_left: int = 0
    red: int = 0
    unlanded: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {**vars(self), "run_id": str(self.run_id), "seconds": round(self.seconds, 3)}


def reconcile(contracts: Collection[Contract], settings: BooksSettings, *, everything: bool = False) -> Reconciled:
    """Bring the books up to date: the hours that changed; with ``everything``, and once a day, all there are.

    :raises AlreadyAtWork: another run is at it.
    """
    started = time.monotonic()
    deadline = started + settings.books_budget_seconds
    done = Reconciled(uuid4(), everything)
    with ExitStack() as held:
        warehouse = held.enter_context(psycopg.connect(settings.bookkeeper_dsn, autocommit=True, options=SESSION))
        held.enter_context(_alone(warehouse))
        catalog = held.enter_context(psycopg.connect(catalog_dsn(settings), autocommit=True))
        _Run(warehouse, catalog, contracts, settings, done).run(deadline)
    done.seconds = time.monotonic() - started
    return done


@contextmanager
def _alone(warehouse: psycopg.Connection) -> Iterator[None]:
    """Be the only run. Let go here: of a connection that is closed Postgres hears when it gets to it."""
    row = warehouse.execute("select pg_try_advisory_lock(hashtextextended('books', 0))").fetchone()
    if not (row and row[0]):
        raise AlreadyAtWork("another reconciliation of the books is at work")
    try:
        yield
    finally:
        if not warehouse.closed:
            warehouse.execute("select pg_advisory_unlock(hashtextextended('books', 0))")


class _Run:
    """One run, under the lock."""

    def __init__(
        self,
        warehouse: psycopg.Connection,
        catalog: psycopg.Connection,
        contracts: Collection[Contract],
        settings: BooksSettings,
        done: Reconciled,
    ) -> None:
        self._warehouse, self._catalog, self._settings, self._done = warehouse, catalog, settings, done
        self._contracts = {c.type: c for c in contracts}

    def run(self, deadline: float) -> None:
        since = self._begin()
        everything = self._done.everything
        self._done.receipts_found = catch_up(self._warehouse, self._catalog, self._settings, everything=everything)
        wanted = [*self._contracts, rejects.CURSOR]
        known = self._known(wanted, deadline)
        hours = due(self._warehouse, None if everything else since, self._contracts.values())
        ahead: list[str] = []
        for attempt in range(ATTEMPTS):
            ahead = self._balance(known, hours, deadline, count=not attempt)
            if not ahead:
                break
            # A load read a commit that was not there when the files were listed: the types are looked at again.
            known |= self._known([*ahead, rejects.CURSOR], deadline)
        if ahead or known.keys() != set(wanted):
            # Not judged in full, and what made hours due is not forgotten with this run.
            self._touch(due(self._warehouse, since) if since else hours)
        self._end()

    def _begin(self) -> datetime | None:
        """Note the run, and whether it is time for every hour; gives when the last run that ended began."""
        row = self._warehouse.execute(
            """
            select
                max(started_at),
                coalesce(max(started_at) filter (where everything), '-infinity') < now() - %s * interval '1 hour'
            from ledger.reconciliations where finished_at is not null
            """,
            (self._settings.books_everything_hours,),
        ).fetchone()
        since: datetime | None = row[0] if row else None
        self._done.everything = self._done.everything or not row or bool(row[1])
        self._warehouse.execute(
            "insert into ledger.reconciliations (run_id, started_at, everything) values (%s, now(), %s)",
            (self._done.run_id, self._done.everything),
        )
        return since

    def _known(self, types: Sequence[str], deadline: float) -> dict[str, Known]:
        """Index the tables of ``types``; gives what is known of those that the ledger now knows in full."""
        landed: dict[str, datetime] = dict(
            self._warehouse.execute("select type, through from ledger.landed").fetchall()
        )
        tables = {type_: REJECTS if type_ == rejects.CURSOR else self._contracts[type_].table for type_ in types}
        locations = metadata_locations(self._catalog, list(tables.values()))
        found = {}
        for type_, table in tables.items():
            location = locations.get(table)
            if location is None:
                found[type_] = Known(landed.get(type_), 0)
                continue
            try:
                pinned = pin(table, location, self._settings)
                indexed = index(self._warehouse, type_, pinned, self._reader(type_, pinned), deadline)
            except Exception as error:
                logger.exception("the files of a table could not be looked at", table=table)
                self._done.failed[table] = f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
                continue
            self._add(indexed)
            if indexed.complete:
                found[type_] = Known(landed.get(type_), indexed.land_seq)
        return found

    def _add(self, indexed: Indexed) -> None:
        self._done.files_read += indexed.files_read
        self._done.files_left += indexed.files_left
        self._done.files_missing += indexed.missing

    def _reader(self, type_: str, pinned: Pinned) -> Read:
        def of_events(file: Named) -> contents.Contents:
            return contents.of_events(type_, rows(pinned, file.source, contents.EVENT_COLUMNS))

        def of_rejects(file: Named) -> contents.Contents:
            found = rows(pinned, file.source, contents.REJECT_COLUMNS)
            aside = "lander" in found["stage"].to_pylist()
            bodies = rows(pinned, file.source, ("body",))["body"].to_pylist() if aside else [None] * found.num_rows
            return contents.of_rejects(found, bodies, self._contracts)

        return of_rejects if type_ == rejects.CURSOR else of_events

    def _balance(
        self, known: dict[str, Known], hours: Sequence[datetime], deadline: float, *, count: bool
    ) -> list[str]:
        """Balance ``hours``, the newest first; gives the types that a load was ahead of."""
        if rejects.CURSOR not in known:
            return []  # what a lander set aside lies there: without it an hour cannot be judged
        types = {type_: k for type_, k in known.items() if type_ != rejects.CURSOR}
        ahead: set[str] = set()
        chunk = self._settings.books_chunk_hours
        for at in range(0, len(hours), chunk):
            if at and time.monotonic() > deadline:
                self._done.hours_left = len(hours) - at
                self._touch(hours[at:])
                break
            part = hours[at : at + chunk]
            ahead |= set(balance(self._warehouse, self._contracts.values(), types, known[rejects.CURSOR], part))
            self._done.hours += len(part) if count else 0
        return sorted(ahead)

    def _touch(self, hours: Sequence[datetime]) -> None:
        """Leave them to the next run."""
        self._warehouse.execute(
            """
            insert into ledger.books_touched (received_hour) select h from unnest(%s::timestamptz[]) as t (h)
            on conflict do nothing
            """,
            (list(hours),),
        )

    def _end(self) -> None:
        row = self._warehouse.execute(
            """
            select count(*), coalesce(sum(unlanded), 0)::bigint from ledger.books
            where closed and not balanced and signed_off_at is null
            """
        ).fetchone()
        self._done.red, self._done.unlanded = row or (0, 0)
        self._warehouse.execute(
            """
            update ledger.reconciliations set finished_at = clock_timestamp(), hours = %s, red = %s where run_id = %s
            """,
            (self._done.hours, self._done.red, self._done.run_id),
        )
        self._warehouse.execute("delete from ledger.reconciliations where started_at < now() - interval '90 days'")
