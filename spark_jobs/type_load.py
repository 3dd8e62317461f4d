"""One event type while one run loads it: under its lock, step 1, then step 2 chunk by chunk."""

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from threading import Lock
from uuid import UUID

import psycopg
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from contracts.model import Contract
from runtime import log
from spark_jobs.catalog import catalog_dsn, metadata_locations
from spark_jobs.lake import Pinned, minutes_of, new_rows, newest_commit, pin
from spark_jobs.recompute import recompute
from spark_jobs.session import open_session
from spark_jobs.settings import LoadSettings
from warehouse import repairs, touched
from warehouse.held import missing_files
from warehouse.load_state import SESSION, State, change_horizon, states, type_lock
from warehouse.loads import Load, write
from warehouse.replace import replace

logger = log.get(__name__)


class LazySpark:
    """A session that is opened when the first type needs one: a run without anything new never calls Spark."""

    def __init__(self, settings: LoadSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._session: SparkSession | None = None
        self._failure: Exception | None = None

    def __call__(self) -> SparkSession:
        with self._lock:
            if self._failure is not None:
                raise self._failure  # not tried anew for each type: to be told that it is away takes half a minute
            if self._session is None:
                try:
                    self._session = open_session(self._settings)
                except Exception as error:
                    self._failure = error
                    raise
            return self._session


class TypeLoad:
    """One type: :meth:`begin`, then :meth:`chunk` until it gives False, then :meth:`end`."""

    def __init__(self, contract: Contract, settings: LoadSettings, spark: LazySpark, run_id: UUID) -> None:
        self.contract = contract
        self._settings = settings
        self._spark = spark
        self._run_id = run_id
        self._held = ExitStack()
        self._pinned: Pinned | None = None

    def begin(self, wait_seconds: float) -> None:
        """Take the lock, then step 1.

        :raises Busy: another load kept the lock.
        """
        self._warehouse = self._held.enter_context(
            psycopg.connect(self._settings.loader_dsn, autocommit=True, options=SESSION)
        )
        self._held.enter_context(type_lock(self._warehouse, self.contract.type, wait_seconds))
        self._catalog = self._held.enter_context(psycopg.connect(catalog_dsn(self._settings), autocommit=True))
        type_ = self.contract.type
        state = states(self._warehouse, [type_])[type_]
        self.load = Load(self._run_id, self.contract.type, state.land_seq, state.land_seq)
        write(self._warehouse, self.load)
        self._floor = state.floor  # raised under the lock that is held now, so it stays until the end
        if self._floor is not None and (dropped := touched.drop_below(self._warehouse, type_, self._floor)):
            logger.warning("touched below the floor: not recomputed", type=type_, minutes=dropped)
        self._note_new_rows(state)

    def _note_new_rows(self, state: State) -> None:
        pinned = self._pin()
        if pinned is None:
            return
        missing = missing_files(self._warehouse, self.contract.type)
        new = new_rows(pinned, state.land_seq, state.sequence_number, state.floor, missing)
        # Past a missing file too, for good: its rows are of a commit that was read, and are loaded when it is back.
        self.load.land_seq_to = max(new.land_seq, newest_commit(pinned)) if missing else new.land_seq
        self.load.events_read = new.events
        self.load.minutes_touched = new.minutes.num_rows
        self.load.quarantined = pc.sum(new.quarantined["events"]).as_py() or 0
        touched.record(
            self._warehouse,
            self.contract.type,
            new.minutes,
            new.quarantined,
            land_seq=self.load.land_seq_to,
            sequence_number=pinned.sequence_number,
            metadata_location=pinned.metadata_location,
            through=state.landed_through,
            late_after=timedelta(minutes=self._settings.load_late_minutes),
            repaired=self._repaired(pinned, state, missing) if new.events else touched.NONE_REPAIRED,
        )

    def _repaired(self, pinned: Pinned, state: State, missing: Collection[str]) -> Mapping[tuple[str, str], datetime]:
        awaited = repairs.awaited(self._warehouse, self.contract.type)
        if not awaited:
            return touched.NONE_REPAIRED
        return minutes_of(pinned, awaited, state.land_seq, state.sequence_number, missing)

    def _pin(self) -> Pinned | None:
        """The table as it is now, or None while it does not exist; its metadata is read again only when it changed."""
        location = metadata_locations(self._catalog, [self.contract.table]).get(self.contract.table)
        if location is None:
            return None
        if self._pinned is None or self._pinned.metadata_location != location:
            self._pinned = pin(self.contract.table, location, self._settings)
        return self._pinned

    def chunk(self) -> bool:
        """Step 2 for the newest touched minutes; False when there was nothing left to do."""
        horizon = change_horizon(self._warehouse)
        pinned = self._pin()
        # Before minutes are claimed: a file found missing after it would be read around for minutes that have rows in
        # it, and they would shrink. Of one that is there again meanwhile the minutes are touched above the horizon.
        missing = missing_files(self._warehouse, self.contract.type)
        claimed = touched.newest(
            self._warehouse,
            self.contract.type,
            horizon=horizon,
            floor=self._floor,
            most_minutes=self._settings.load_chunk_minutes,
            most_events=self._settings.load_chunk_events,
        )
        if not claimed or pinned is None:
            return False
        rollup, cells = recompute(self._spark(), self.contract, pinned, claimed, self.load.land_seq_to, missing)
        replace(self._warehouse, self.contract, claimed, rollup, cells)
        self.load.minutes_recomputed += len(claimed)
        self.load.rows_written += rollup.num_rows
        self.load.over_cap += pc.sum(cells["over_cap"]).as_py() or 0
        return True

    def end(self) -> None:
        """Write the numbers and let the lock go."""
        with self._held:
            self.load.minutes_left = touched.left(self._warehouse, self.contract.type)
            self.load.finished_at = datetime.now(UTC)
            write(self._warehouse, self.load)

    def give_up(self) -> None:
        """Let the lock go, whatever state the connections are in."""
        self._held.close()
