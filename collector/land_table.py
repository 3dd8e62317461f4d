"""One table's lander: elected, it reads on from the table's own offsets and commits rows and offsets together."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from sqlalchemy.exc import SQLAlchemyError

from collector import land_metrics as metrics
from collector.lake import BreakingChange, CatalogLost, ensure_table
from collector.land_asking import SLOW_SECONDS, Asking
from collector.land_commit import Fenced, State, commit
from collector.land_db import DatabaseAway
from collector.land_decode import Batch, Decoded, Decoder
from collector.land_expire import expire
from collector.land_settings import LanderSettings
from collector.land_status import TROUBLE, OtherTopic, Servers, Status
from collector.land_through import Checkpoints
from collector.land_topic import OutOfRange, Reader, TopicInfo
from collector.suppressed import ListTooShort, read
from runtime import log

_CHUNK = 10_000
_ELECTION_SECONDS = 2.0
_STOPPED_SECONDS = 30.0

_log = log.get(__name__)


class Seen(Protocol):
    """Who is told of messages as they are read, before they land."""

    def begin(self, info: TopicInfo, starts: Mapping[int, int]) -> None:
        """Reading goes on from ``starts``; everything before has landed."""

    def add(self, info: TopicInfo, batch: Batch) -> None:
        """These were read."""


class TableLander(threading.Thread):
    """Lands one topic in one table until stopped."""

    def __init__(
        self,
        topic: str,
        decoder: Callable[[], Decoder],
        servers: Servers,
        settings: LanderSettings,
        *,
        seen: Seen | None = None,
        committed: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name=f"land-{topic}")
        self.topic, self._new_decoder, self._servers, self._settings = topic, decoder, servers, settings
        self._decoder = decoder()
        self._key = settings.visitor_hash_key.get_secret_value().encode()
        self.table = self._decoder.spec.identifier
        self._seen, self._committed = seen, committed
        self._stop_asked = threading.Event()
        self._again = threading.Event()
        self.status = Status()
        self._asking = Asking("the lake", SLOW_SECONDS)
        self.checkpoints = Checkpoints()
        self._expire_at = time.monotonic() + random.uniform(0, settings.land_expire_seconds)  # noqa: S311
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

    @property
    def not_ready(self) -> str | None:
        """Why this table is not being landed as it should."""
        return self._asking.too_long or self.status.not_ready

    def stop(self) -> None:
        """Ask for the end; what is buffered is committed first, if the servers are there."""
        self._stop_asked.set()

    def look_again(self) -> None:
        """Ask for a new start from the table's state: the topic changed."""
        self._again.set()

    def run(self) -> None:
        """Stand by, be elected, land; start over from the table after every trouble."""
        failures = 0
        while not self._stop_asked.is_set():
            pause = 0.0
            try:
                if self._elected():
                    self._lead()
                    failures = 0
                else:
                    self._show(phase="standby", trouble=None, info=None, landed=None)
                    pause = _ELECTION_SECONDS
            except Fenced as error:
                _log.warning("fenced off: starting again from the table", table=self.table, why=str(error))
                metrics.FENCED.labels(self.table).inc()
                pause = self._random.uniform(0.1, 1.0)
            except (OutOfRange, OtherTopic, BreakingChange, CatalogLost, ListTooShort) as error:
                if self.status.phase != "stopped":
                    _log.error("this table is stopped until someone decides", table=self.table, why=str(error))
                self._show(phase="stopped", trouble=f"stopped: {error}", info=None)
                self._release()
                pause = _STOPPED_SECONDS
            except TROUBLE as error:
                failures += 1
                pause = self._backoff(failures)
                self._trouble(error)
            except Exception as error:
                failures += 1
                pause = self._backoff(failures)
                _log.exception("unexpected trouble", table=self.table)
                self._show(trouble=f"{type(error).__name__}: {error}")
            self._stop_asked.wait(pause)
        self._release()

    def _elected(self) -> bool:
        database = self._servers.database
        if self.status.session == database.session and self.status.phase != "stopped":
            return True
        session = database.try_lock(self.table)
        if session is None:
            return False
        _log.info("elected", table=self.table, session=session)
        self._show(session=session)
        return True

    def _release(self) -> None:
        database, session = self._servers.database, self.status.session
        self._show(session=-1)
        if session != database.session:
            return
        try:
            database.unlock(self.table)
        except DatabaseAway as error:
            _log.info("the lock went with the connection", table=self.table, why=str(error))

    def _lead(self) -> None:
        """Land until asked to stop, or until the lock or the topic is no longer what it was."""
        self._again.clear()
        self._decoder = self._new_decoder()
        info = self._servers.brokers.describe_one(self.topic)
        with self._asking():
            table = ensure_table(self._servers.catalog(), self._decoder.spec)
        base = State.of(table.properties)
        # After the table: who must be known by its state is on the list by then.
        with self._asking():
            self._decoder.suppressed = read(self._servers.catalog(), self._key, base.suppressed)
        starts = self._starts(base, info)
        if self._seen is not None:
            self._seen.begin(info, starts)
        self.checkpoints.clear()
        self._show(phase="landing", trouble=None, info=info, landed=replace(base, offsets=starts))
        reader = Reader(self._settings.librdkafka(), self.topic)
        try:
            reader.assign(starts)
            self._land(reader, table, base, info)
        finally:
            reader.close()

    def _starts(self, base: State, info: TopicInfo) -> dict[int, int]:
        if base.topic_id is not None and base.topic_id != info.id:
            raise OtherTopic(
                f"{self.table} was landed from a topic {self.topic} with id {base.topic_id}, which is gone; the "
                f"present one has id {info.id}. To land it too: `watershed lake adopt-topic {self.topic}`"
            )
        begins = self._servers.brokers.begin_offsets(self.topic, info.partitions)
        starts = {}
        for partition, begin in begins.items():
            starts[partition] = base.offsets.get(partition, begin)
            if starts[partition] < begin:
                raise OutOfRange(
                    f"{self.topic} partition {partition}: messages {starts[partition]} to {begin - 1} were deleted "
                    f"before they landed. To go on without them: `watershed lake adopt-topic {self.topic}`"
                )
        return starts

    def _land(self, reader: Reader, table: Table, base: State, info: TopicInfo) -> None:
        batch, due = Batch(), float("inf")
        settings = self._settings
        while not self._again.is_set() and self.status.session == self._servers.database.session:
            stopping = self._stop_asked.is_set()
            now = time.monotonic()
            full = len(batch) >= settings.land_rows or batch.size >= settings.land_bytes
            if batch.values and (full or stopping or now >= due):
                table, base, going = self._flush(batch, table, base, info)
                if not going:
                    return
                batch, due = Batch(), float("inf")
                continue
            if stopping:
                return
            if now >= self._expire_at:
                table = self._expire(table)
            before = len(batch)
            most = min(_CHUNK, settings.land_rows - before)
            reader.read(batch, most, min(1.0, max(0.0, due - now)))
            if len(batch) > before:
                if before == 0:
                    due = time.monotonic() + settings.land_seconds
                if self._seen is not None:
                    self._seen.add(info, batch.pick(range(before, len(batch))))

    def _flush(self, batch: Batch, table: Table, base: State, info: TopicInfo) -> tuple[Table, State, bool]:
        """Land a batch, however long the servers are away; the last value: whether to read on.

        :raises Fenced: another lander has landed it.
        """
        decoded, table = self._decode(batch, table)
        failures = 0
        while True:
            try:
                if not self._servers.database.check(self.status.session):
                    return table, base, False
                return self._commit(decoded, table, base, info)
            except TROUBLE as error:
                failures += 1
                self._trouble(error)
                if self._stop_asked.wait(self._backoff(failures)):
                    _log.warning("stopping with rows unlanded; Kafka still has them", table=self.table, rows=len(batch))
                    return table, base, False
                if isinstance(error, OSError | SQLAlchemyError | CommitFailedException):
                    table = self._reload(table)

    def _commit(self, decoded: Decoded, table: Table, base: State, info: TopicInfo) -> tuple[Table, State, bool]:
        now = self._servers.brokers.describe_one(self.topic)
        if now.id != info.id:
            raise OtherTopic(f"topic {self.topic} was deleted and made anew while its messages were waiting to land")
        if decoded.poison:
            self._servers.rejects.write(self.topic, info.id, decoded.poison)
        after = base.moved(info.id, decoded.ends)
        if after.offsets != base.offsets:
            started = time.monotonic()
            with self._asking():
                table = commit(self._servers.catalog(), table, decoded.rows, base, after)
            base = after
            rows = decoded.rows.num_rows
            metrics.landed(self.table, rows, len(decoded.poison), time.monotonic() - started)
            _log.info("landed", table=self.table, rows=rows, poison=len(decoded.poison), land_seq=after.land_seq)
        if decoded.newer and decoded.newer != self.status.paused:
            _log.error("paused: this lander's contracts are too old", table=self.table, why=decoded.newer)
        known = self.status.landed.offsets if self.status.landed else {}
        landed = replace(base, offsets={**known, **base.offsets})
        self._show(trouble=None, paused=decoded.newer, landed=landed)
        if self._committed is not None:
            self._committed()
        if decoded.newer:
            self._stop_asked.wait(self._settings.land_paused_seconds)
        return table, base, decoded.newer is None

    def _decode(self, batch: Batch, table: Table) -> tuple[Decoded, Table]:
        """The batch by the newest contract, and the table that has its columns."""
        decoded = self._decoder.decode(batch)
        if decoded.surprised or decoded.newer:
            fresh = self._new_decoder()
            if fresh.spec != self._decoder.spec:
                # The contract grew while we ran: the table grows first, then the same messages are read anew.
                with self._asking():
                    table = ensure_table(self._servers.catalog(), fresh.spec)
                fresh.suppressed = self._decoder.suppressed
                self._decoder = fresh
                decoded = fresh.decode(batch)
        return decoded, table

    def _expire(self, table: Table) -> Table:
        """Forget snapshots past their keeping; only ever between two appends of this thread."""
        self._expire_at = time.monotonic() + self._settings.land_expire_seconds
        keep_from = datetime.now(UTC) - timedelta(hours=self._settings.land_keep_hours)
        table = self._reload(table)
        try:
            with self._asking():
                expired = expire(table, keep_from)
            if expired:
                table = self._reload(table)
        except CommitFailedException as error:
            _log.info("expiry gave way to another commit", table=self.table, why=str(error))
            table = self._reload(table)
        return table

    def _reload(self, table: Table) -> Table:
        with self._asking():
            return self._servers.catalog().load_table(table.name())

    def _trouble(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
        _log.warning("trouble, trying again", table=self.table, why=text)
        metrics.TROUBLE.labels(self.table).inc()
        self._show(trouble=text)

    def _backoff(self, failures: int) -> float:
        return min(15.0, 0.5 * 2.0 ** min(failures, 6)) * self._random.uniform(0.5, 1.0)

    def _show(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        metrics.show(self.table, self.status.phase, paused=self.status.paused is not None)
