"""The lander, Kafka to the lake: a thread and an elected process for each table (``python -m collector.lander``)."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pyiceberg.catalog.sql import SqlCatalog

from collector import land_metrics as metrics
from collector.lake import open_catalog
from collector.land_db import Database, Landed
from collector.land_decode import Decoder
from collector.land_events import EventDecoder
from collector.land_probe import Probe
from collector.land_promise import Promise
from collector.land_quality import RECEIPTS_TOPIC, REJECTS_TOPIC, receipts_decoder, rejects_decoder
from collector.land_receipts import ReceiptsLedger
from collector.land_rejects import Rejects
from collector.land_settings import LanderSettings
from collector.land_status import TROUBLE, Servers
from collector.land_table import TableLander
from collector.land_topic import Brokers, TopicInfo
from contracts.model import ContractError
from contracts.registry import Registry
from runtime import log
from runtime.health import HealthServer
from runtime.settings import SettingsError

DecoderFactory = Callable[[], Decoder]
_STOP_SECONDS = 15.0
_BEAT_SECONDS = 4.0
"""Most seconds a heartbeat's question to the brokers may take; `/health/ready` says within 10 s that Kafka is away."""
_SOON_SECONDS = 2.0
"""Brokers that take longer to answer may have been away in between."""
_log = log.get(__name__)


class Lander:
    """All tables of this process, and what they share."""

    def __init__(self, settings: LanderSettings) -> None:
        self._settings = settings
        self._catalog: SqlCatalog | None = None
        self._catalog_mutex = threading.Lock()
        self._servers = Servers(
            self._open_catalog,
            Brokers(settings.librdkafka()),
            Database(settings.lander_dsn.get_secret_value(), settings.land_lock_seconds),
            Rejects(settings.librdkafka()),
        )
        # The heartbeat has to notice Kafka's absence soon, so its questions may not take as long as a commit's.
        self._brokers = Brokers(settings.librdkafka(), _BEAT_SECONDS)
        self._receipts = ReceiptsLedger(self._servers.database, self._servers.brokers, settings.librdkafka())
        self._promise = Promise(settings.land_announce_seconds)
        self._probe = Probe(settings.s3_endpoint)
        self.tables: dict[str, TableLander] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._troubles: dict[str, str] = {}

    def run(self) -> None:
        """Land until :meth:`stop`."""
        discover_at = float("-inf")
        self._probe.start()
        try:
            while not self._stop.is_set():
                if time.monotonic() >= discover_at:
                    self._discover()
                    discover_at = time.monotonic() + self._settings.land_discover_seconds
                self._beat()
                self._wake.wait(self._settings.land_heartbeat_seconds)
                self._wake.clear()
        finally:
            self._finish()

    def stop(self) -> None:
        """Ask for a clean end."""
        self._stop.set()
        self._wake.set()

    def not_ready(self) -> dict[str, str]:
        """Why this process does not land what it should, by table."""
        reasons = dict(self._troubles)
        if self._probe.trouble is not None:
            reasons["lake"] = self._probe.trouble
        if (why := self._servers.database.trouble) is not None:
            reasons["postgres"] = why
        if not self.tables:
            reasons.setdefault("tables", "starting")
        for table in list(self.tables.values()):
            why = table.not_ready
            if why is not None:
                reasons[table.table] = why
        return reasons

    def _open_catalog(self) -> SqlCatalog:
        with self._catalog_mutex:
            if self._catalog is None:
                self._catalog = open_catalog(self._settings)
            return self._catalog

    def _discover(self) -> None:
        """Start a lander for each event type that has none yet: a new type is a new folder, nothing else."""
        try:
            registry = Registry.load()
        except (ContractError, OSError) as error:
            _log.error("the contracts cannot be read; going on with those known", why=str(error))
            self._troubles["contracts"] = str(error)
            return
        self._troubles.pop("contracts", None)
        for contract in registry:
            if contract.topic not in self.tables:
                self._add(contract.topic, _event_decoder(contract.type, self._settings))
        if REJECTS_TOPIC not in self.tables:
            self._add(REJECTS_TOPIC, rejects_decoder)
            self._add(RECEIPTS_TOPIC, receipts_decoder, receipts=True)

    def _add(self, topic: str, decoder: DecoderFactory, *, receipts: bool = False) -> None:
        seen = self._receipts if receipts else None
        table = TableLander(topic, decoder, self._servers, self._settings, seen=seen, committed=self._wake.set)
        self.tables[topic] = table
        table.start()

    def _beat(self) -> None:
        try:
            self._heartbeat()
        except TROUBLE as error:
            _log.warning("heartbeat failed", why=str(error))
            self._troubles["heartbeat"] = f"{type(error).__name__}: {error}"
            self._promise.kafka_was_away()
        else:
            self._troubles.pop("heartbeat", None)

    def _heartbeat(self) -> None:
        """Keep the locks, and bring ``ledger.landed`` up to date.

        The order matters: first the clock, then where the receipts end, then what the ledger knows of the collectors,
        then where the topics end. What was received before the instant that comes of it lies below those ends.

        :raises Exception: one of TROUBLE.
        """
        database = self._servers.database
        database.check(database.session)  # also while Kafka is away: a silent session loses its locks
        started = time.monotonic()
        now = datetime.now(UTC)
        infos = self._brokers.describe([*self.tables])
        receipts = infos.get(RECEIPTS_TOPIC)
        asked = self._brokers.end_offsets({RECEIPTS_TOPIC: receipts.partitions} if receipts else {})
        if time.monotonic() - started > _SOON_SECONDS:
            self._promise.kafka_was_away()
        known = self._receipts.known(receipts.id if receipts else "")
        if receipts is not None:
            self._promise.ask(now, receipts, asked[RECEIPTS_TOPIC])
        through = self._promise.through(known.read, known.durable)
        metrics.promised(through, known.open, known.silent)
        mine = {
            topic: table
            for topic, table in list(self.tables.items())
            if topic in infos and table.status.phase == "landing" and table.status.session == database.session
        }
        ends = self._brokers.end_offsets({topic: infos[topic].partitions for topic in mine})
        rows = [row for topic, table in mine.items() if (row := _landed(table, infos[topic], ends[topic], through))]
        if rows:
            database.write_landed(rows)

    def _finish(self) -> None:
        self._probe.stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for table in self.tables.values():
            table.stop()
        for table in self.tables.values():
            table.join(max(0.1, deadline - time.monotonic()))
        late = [t.table for t in self.tables.values() if t.is_alive()]
        if late:
            _log.warning("stopped without waiting longer; Kafka still has what did not land", tables=late)
        self._servers.database.close()


def _landed(table: TableLander, info: TopicInfo, ends: Mapping[int, int], received: datetime | None) -> Landed | None:
    """How far a table is. ``ends`` were asked for after all that was received before ``received`` was in Kafka."""
    status = table.status
    if status.landed is None:
        return None
    if info != status.info:
        table.look_again()
        return None
    offsets = status.landed.offsets
    if received is not None:
        table.checkpoints.add(received, ends)
    through = table.checkpoints.reached(offsets)
    metrics.LAG.labels(table.table).set(sum(end - offsets.get(p, 0) for p, end in ends.items()))
    if through is None or table.topic == RECEIPTS_TOPIC:
        return None
    metrics.THROUGH.labels(table.table).set(through.timestamp())
    return Landed(table.topic.removeprefix("events."), status.landed.land_seq, through)


def _event_decoder(type_: str, settings: LanderSettings) -> DecoderFactory:
    """Decoders of an event type by the contract as it is on disk at the time."""
    key = settings.visitor_hash_key.get_secret_value().encode()
    return lambda: EventDecoder(Registry.load().newest(type_), key)


def main() -> int:
    """Run until SIGTERM or SIGINT; gives the exit status."""
    log.configure("lander")
    for talkative in ("pyiceberg", "httpx"):  # of every table that is loaded, of every question to S3
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        settings = LanderSettings.read()
    except SettingsError as error:
        _log.error("settings", why=str(error))
        return 2
    lander = Lander(settings)
    health = HealthServer(settings.lander_host, settings.lander_port, lander.not_ready)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: lander.stop())
    health.start()
    try:
        lander.run()
    finally:
        health.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
