"""Counts of rejected events, from the lake into ``ledger.rejects``: the load's own two steps, by hour of receipt.

Step 1 turns rows above the cursor into touched hours. Step 2 counts touched hours anew from the lake, newest first, in
a transaction each, until none is left or the time is up. Nothing is ever added, so a run that is repeated, is stopped,
or runs at the same time as another changes nothing.
"""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from contracts.model import Contract
from spark_jobs.catalog import catalog_dsn, metadata_locations
from spark_jobs.reject_labels import Labels
from spark_jobs.settings import LoadSettings
from warehouse import rejects
from warehouse.held import missing_files
from warehouse.load_state import SESSION, State, change_horizon, nothing_new, states, type_lock

if TYPE_CHECKING:
    from spark_jobs.lake import Pinned

TABLE = "quality.rejected_events"


@dataclass
class RejectsLoad:
    """The numbers of one run. ``hours_left``: touched and not yet counted."""

    events_read: int = 0
    hours_touched: int = 0
    hours_counted: int = 0
    rows_written: int = 0
    hours_left: int = 0

    def as_json(self) -> dict[str, int]:
        """For the command's last line, beside the numbers of the types."""
        return {
            "rejected": self.events_read,
            "reject_hours_counted": self.hours_counted,
            "reject_hours_left": self.hours_left,
        }


def load_rejects(contracts: Iterable[Contract], settings: LoadSettings, *, recount: bool = False) -> RejectsLoad:
    """Count what landed since the last run; with ``recount`` everything that the lake has.

    ``contracts`` say which types and fields have a name of their own in the counts.

    :raises Busy: another run was at it for all of ``load_budget_seconds``.
    """
    deadline = time.monotonic() + settings.load_budget_seconds
    done = RejectsLoad()
    with ExitStack() as held:
        warehouse = held.enter_context(psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION))
        catalog = held.enter_context(psycopg.connect(catalog_dsn(settings), autocommit=True))
        if not recount and _idle(warehouse, catalog):
            return done
        held.enter_context(type_lock(warehouse, rejects.CURSOR, settings.load_budget_seconds))
        if recount:
            rejects.forget_cursor(warehouse)
        _Run(warehouse, catalog, settings, done).run(Labels(contracts), deadline)
    return done


def _state(warehouse: psycopg.Connection) -> State:
    return states(warehouse, [rejects.CURSOR])[rejects.CURSOR]


def _idle(warehouse: psycopg.Connection, catalog: psycopg.Connection) -> bool:
    """Whether there is nothing to do, asked without the lake's files: the usual case, each minute."""
    state = _state(warehouse)
    location = metadata_locations(catalog, [TABLE]).get(TABLE)
    if location != state.metadata_location or rejects.left(warehouse):
        return False
    if location is not None:
        nothing_new(warehouse, {rejects.CURSOR: (location, state.landed_through)})
    return True


class _Run:
    """One run, under the lock."""

    def __init__(
        self, warehouse: psycopg.Connection, catalog: psycopg.Connection, settings: LoadSettings, done: RejectsLoad
    ) -> None:
        self._warehouse, self._catalog, self._settings, self._done = warehouse, catalog, settings, done
        self._pinned: Pinned | None = None

    def run(self, labels: Labels, deadline: float) -> None:
        # Only now: Iceberg's client takes a second of CPU to import, which a minute without news does not cost.
        from spark_jobs.count_rejects import new_rejects  # noqa: PLC0415

        state = _state(self._warehouse)
        if (pinned := self._pin()) is not None:
            missing = missing_files(self._warehouse, rejects.CURSOR)
            new = new_rejects(pinned, state.land_seq, state.sequence_number, missing)
            self._done.events_read, self._done.hours_touched = new.events, len(new.hours)
            rejects.record(
                self._warehouse,
                new.hours,
                land_seq=new.land_seq,
                sequence_number=pinned.sequence_number,
                metadata_location=pinned.metadata_location,
                through=state.landed_through,
            )
            while self._count_newest(labels) and time.monotonic() < deadline:
                pass
        self._done.hours_left = rejects.left(self._warehouse)

    def _count_newest(self, labels: Labels) -> bool:
        from spark_jobs.count_rejects import count  # noqa: PLC0415

        horizon = change_horizon(self._warehouse)
        pinned = self._pin()
        missing = missing_files(self._warehouse, rejects.CURSOR)  # before, as in a load of events
        touched = rejects.newest(self._warehouse, horizon)
        if touched is None or pinned is None:
            return False
        counts = count(pinned, touched.hour, labels, missing)
        rejects.replace(self._warehouse, touched, counts)
        self._done.hours_counted += 1
        self._done.rows_written += len(counts)
        return True

    def _pin(self) -> "Pinned | None":
        """The table as it is now, or None while it does not exist."""
        from spark_jobs.lake import pin  # noqa: PLC0415

        location = metadata_locations(self._catalog, [TABLE]).get(TABLE)
        if location is None:
            return None
        if self._pinned is None or self._pinned.metadata_location != location:
            self._pinned = pin(TABLE, location, self._settings)
        return self._pinned
