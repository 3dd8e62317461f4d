"""An erasure from the list to the last touch, in the order that lets it be killed anywhere and asked for again.

1. On the list of the landers, and every table asserts it: from here on nothing of theirs lands.
2. What is in the lake becomes tombstones; rejected bodies go. What has to be counted anew is noted before each commit.
3. What was noted is touched: after the commits, so that no load answers the touch with old rows (docs/adr/0007).

What is left then are older snapshots and their files: see :mod:`erasure.expire`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

from collector import suppressed
from collector.lake import ensure_table, open_catalog
from collector.suppressed import Person
from contracts.registry import Registry
from erasure import rewrite
from erasure.settings import EraseSettings
from erasure.targets import Events, Rejects, Target
from runtime import log
from warehouse import erasures
from warehouse.held import missing_files
from warehouse.load_state import SESSION

_log = log.get(__name__)


class NobodyToForget(Exception):
    """No contract says in which field such a person's id is."""


@dataclass
class TableDone:
    """What was made of one table's rows, or of a dry run would be."""

    table: str
    rows: int = 0
    files: int = 0
    to_count_anew: int = 0
    missing: int = 0
    """Files that could not be looked into, because their objects are gone."""


@dataclass
class Forgotten:
    """What an erasure did, or a dry run would do."""

    dry_run: bool
    tables: list[TableDone] = field(default_factory=list)
    erasure_id: str | None = None
    minutes_touched: int = 0
    minutes_below_floor: int = 0

    @property
    def missing(self) -> int:
        """Files that could not be looked into: the erasure is not through before they are there again."""
        return sum(one.missing for one in self.tables)

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return {**vars(self), "tables": [vars(one) for one in self.tables], "files_missing": self.missing}


@dataclass
class Forget:
    """One person, and where everything is. ``progress`` is told of the rows that are done, with the table's name."""

    settings: EraseSettings
    registry: Registry
    person: Person
    progress: Callable[[str, int], None]

    def targets(self) -> list[Target]:
        """The tables in which the person may be.

        :raises NobodyToForget: no contract has events of such people.
        """
        contracts = [c for c in self.registry if self.person.subject in c.subjects]
        if not contracts:
            raise NobodyToForget(f"no contract says where the id of a {self.person.subject} is (`subjects`)")
        return [*(Events(c, self.person, self.settings.key) for c in contracts), Rejects(self.person)]

    def look(self) -> Forgotten:
        """What would be done, read from the newest snapshots.

        :raises NobodyToForget: see :meth:`targets`.
        """
        catalog, done = open_catalog(self.settings), Forgotten(dry_run=True)
        with psycopg.connect(self.settings.eraser_dsn, autocommit=True, options=SESSION) as connection:
            missing = {target.identifier: missing_files(connection, _type(target)) for target in self.targets()}
        for target in self.targets():
            found = TableDone(target.identifier, missing=len(missing[target.identifier]))
            touched: rewrite.Touches = set()
            for one in rewrite.find(catalog, target, missing[target.identifier]):
                found.rows += one.rows
                found.files += 1
                touched |= one.touched
            found.to_count_anew = len(touched)
            done.tables.append(found)
        return done

    def apply(self, by: str) -> Forgotten:
        """Forget the person; asked again, it goes on where it was cut short and finds what has come since.

        Files that are missing are left out, and the erasure is not through then: it is to be asked for again.

        :raises ErasureAtWork: another erasure or a maintenance of the lake is at work.
        :raises NobodyToForget: see :meth:`targets`.
        :raises KeepsChanging: what is done stays done; ask again.
        :raises ReprocessingAtWork: so it does; ask again when the reprocessing is through.
        """
        catalog, targets = open_catalog(self.settings), self.targets()
        dsn = self.settings.eraser_dsn
        with psycopg.connect(dsn, autocommit=True, options=SESSION) as connection, erasures.alone(connection):
            return self._apply(connection, catalog, targets, by)

    def _apply(self, connection: psycopg.Connection, catalog: SqlCatalog, targets: list[Target], by: str) -> Forgotten:
        person, key = self.person, self.settings.key
        hashed = suppressed.subject_hash(key, person.tenant, person.subject, person.id)
        erasure = erasures.begin(connection, person.tenant, person.subject, hashed, by)
        done = Forgotten(dry_run=False, erasure_id=str(erasure.erasure_id))
        self._suppress(catalog)
        erasures.suppressed(connection, erasure.erasure_id)
        _log.info("suppressed", erasure=done.erasure_id)
        for target in targets:
            done.tables.append(self._leave_nothing(connection, catalog, target, erasure))
        wait = timedelta(seconds=self.settings.erase_wait_seconds)
        done.minutes_touched, done.minutes_below_floor = erasures.touch(connection, erasure.erasure_id, wait)
        newest = newest_snapshot(catalog, [target.identifier for target in targets])
        told = erasures.done(connection, erasure.erasure_id, newest, through=not done.missing)
        numbers = {"events": told.events, "rejections": told.rejections, "missing": done.missing}
        _log.info("the lake is through", erasure=done.erasure_id, **numbers)
        return done

    def _suppress(self, catalog: SqlCatalog) -> None:
        """On the list, and known to every lander, of types too in which there are no such people yet."""
        known = suppressed.read(catalog, self.settings.key, 0)
        version = suppressed.add(catalog, known, self.person, datetime.now(UTC))
        for identifier in (*(c.table for c in self.registry), Rejects.identifier):
            try:
                suppressed.require(catalog, identifier, version)
            except NoSuchTableError:
                continue  # its lander makes it, and reads the list as it is by then

    def _leave_nothing(
        self, connection: psycopg.Connection, catalog: SqlCatalog, target: Target, erasure: erasures.Erasure
    ) -> TableDone:
        type_ = _type(target)
        if not catalog.table_exists(target.identifier):
            return TableDone(target.identifier)
        if isinstance(target, Events):
            ensure_table(catalog, target.contract)  # a table that no lander has seen since may lack `erased`
        touched: rewrite.Touches = set()
        missing = missing_files(connection, type_)

        def note(files: Sequence[rewrite.Found]) -> None:
            touches = set().union(*(one.touched for one in files))
            rows = {one.file.file_path: one.rows for one in files}
            erasures.note(connection, erasure.erasure_id, type_, touches, rows)
            touched.update(touches)

        def withdraw(files: Sequence[rewrite.Found]) -> None:
            erasures.withdraw(connection, erasure.erasure_id, [one.file.file_path for one in files])

        def replaced(files: Sequence[rewrite.Found]) -> None:
            self.progress(target.identifier, sum(one.rows for one in files))

        tell = rewrite.Tell(note, withdraw, replaced)
        rewritten = rewrite.rewrite(catalog, target, self.settings.erase_files_at_once, tell, missing)
        rewrite.add_snapshot(catalog, target.identifier)
        return TableDone(target.identifier, rewritten.rows, rewritten.files, len(touched), len(missing))


def _type(target: Target) -> str:
    return target.contract.type if isinstance(target, Events) else erasures.REJECTED


def newest_snapshot(catalog: SqlCatalog, identifiers: Iterable[str]) -> datetime:
    """When the newest snapshot of the tables was made, by its maker's clock; long ago, where there is none."""
    made = [
        snapshot.timestamp_ms
        for identifier in identifiers
        if catalog.table_exists(identifier) and (snapshot := catalog.load_table(identifier).current_snapshot())
    ]
    return datetime.fromtimestamp(max(made, default=0) / 1000, UTC)
