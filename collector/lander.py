"""The lander, Kafka to the lake: a thread and an elected process for each table (``python -m collector.lander``)."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from pyiceberg.catalog.sql import SqlCatalog

from collector import land_metrics as metrics
from collector.lake import open_catalog
from collector.land_db import Database, Landed
from collector.land_decode import Batch, Decoder
from collector.land_events import EventDecoder
from collector.land_quality import RECEIPTS_TOPIC, REJECTS_TOPIC, Receipt, receipts_decoder, rejects_decoder
from collector.land_rejects import Rejects
from collector.land_settings import LanderSettings
from collector.land_status import TROUBLE, Servers
from collector.land_table import TableLander
from collector.land_topic import Brokers
from contracts.model import ContractError
from contracts.registry import Registry
from runtime import log
from runtime.health import HealthServer
from runtime.settings import SettingsError

DecoderFactory = Callable[[], Decoder]
_STOP_SECONDS = 15.0
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
        self._receipt = msgspec.json.Decoder(Receipt)
        self.tables: dict[str, TableLander] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._troubles: dict[str, str] = {}

    def run(self) -> None:
        """Land until :meth:`stop`."""
        discover_at = float("-inf")
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
        if not self.tables:
            reasons.setdefault("tables", "starting")
        for table in list(self.tables.values()):
            why = table.status.not_ready
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
        seen = self._book_receipts if receipts else None
        table = TableLander(topic, decoder, self._servers, self._settings, seen=seen, committed=self._wake.set)
        self.tables[topic] = table
        table.start()

    def _book_receipts(self, batch: Batch) -> None:
        """Tell the ledger of receipts as they are read, since the landed-through instant waits for them.

        :raises DatabaseAway: the batch is read again later.
        """
        receipts = []
        for value in batch.values:
            try:
                receipts.append(self._receipt.decode(value or b""))
            except (msgspec.MsgspecError, ValueError):
                continue  # poison; its batch will say so and set it aside
        if receipts:
            self._servers.database.write_collectors(receipts)

    def _beat(self) -> None:
        try:
            self._heartbeat()
        except TROUBLE as error:
            _log.warning("heartbeat failed", why=str(error))
            self._troubles["heartbeat"] = f"{type(error).__name__}: {error}"
        else:
            self._troubles.pop("heartbeat", None)

    def _heartbeat(self) -> None:
        """Keep the locks, and bring ``ledger.landed`` up to date.

        The order matters: first what the collectors promise to be in Kafka, then the clock, then where the topics end.
        What was received before the earlier of the two then lies below those ends.

        :raises Exception: one of TROUBLE.
        """
        database, brokers = self._servers.database, self._servers.brokers
        durable = database.durable_through()
        mine = {
            topic: table
            for topic, table in list(self.tables.items())
            if table.status.phase == "landing" and table.status.session == database.session
        }
        if not mine:
            return
        now = datetime.now(UTC)
        infos = brokers.describe(mine)
        ends = brokers.end_offsets({topic: info.partitions for topic, info in infos.items()})
        rows = []
        for topic, table in mine.items():
            status = table.status
            if topic not in infos or status.landed is None:
                continue
            if infos[topic] != status.info:
                table.look_again()
                continue
            offsets = status.landed.offsets
            table.checkpoints.add(now if durable is None else min(now, durable), ends[topic])
            through = table.checkpoints.reached(offsets)
            metrics.LAG.labels(table.table).set(sum(end - offsets.get(p, 0) for p, end in ends[topic].items()))
            if through is not None and topic.startswith("events."):
                metrics.THROUGH.labels(table.table).set(through.timestamp())
                rows.append(Landed(topic.removeprefix("events."), status.landed.land_seq, through))
        if rows:
            database.write_landed(rows)

    def _finish(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        for table in self.tables.values():
            table.stop()
        for table in self.tables.values():
            table.join(max(0.1, deadline - time.monotonic()))
        late = [t.table for t in self.tables.values() if t.is_alive()]
        if late:
            _log.warning("stopped without waiting longer; Kafka still has what did not land", tables=late)
        self._servers.database.close()


def _event_decoder(type_: str, settings: LanderSettings) -> DecoderFactory:
    """Decoders of an event type by the contract as it is on disk at the time."""
    key = settings.visitor_hash_key.get_secret_value().encode()
    return lambda: EventDecoder(Registry.load().newest(type_), key)


def main() -> int:
    """Run until SIGTERM or SIGINT; gives the exit status."""
    log.configure("lander")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)  # it tells of every table it loads
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
