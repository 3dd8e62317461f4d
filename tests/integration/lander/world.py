"""A world of its own for each test: a topic, a contract folder, landers on free ports, and a way to cut connections."""

import contextlib
import json
import os
import shutil
import signal
import socket
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

from collector.lake import LakeSettings, open_catalog
from collector.land_topic import CLIENT_LOG
from tests.integration.lander.processes import REPO, Cable, LanderProcess, wait_for

PARTITIONS = 2


class World:
    """One event type, its topic and table, and the landers that land it."""

    wait_for = staticmethod(wait_for)

    def __init__(self, env: Mapping[str, str], own: Mapping[str, str], folder: Path) -> None:
        self.type = f"lt_{uuid.uuid4().hex[:10]}"
        self.topic = self.table = f"events.{self.type}"
        self.collector_id = uuid.uuid4().hex[:16]
        self.folder, self.contracts = folder, folder / "contracts"
        self.contracts.mkdir()
        for name in ("common.json", "metaschema.json"):
            shutil.copy(REPO / "contracts" / name, self.contracts / name)
        self._given, self._own = env, own
        self.env = {
            **os.environ,
            **env,
            **own,  # landers have the rights that they have in earnest
            "CONTRACTS_DIR": str(self.contracts),
            "PYTHONPATH": str(REPO),
            "LAND_SECONDS": "0.5",
            "LAND_HEARTBEAT_SECONDS": "0.5",
            "LAND_LOCK_SECONDS": "3",
            "LAND_ANNOUNCE_SECONDS": "1",
            "LAND_PAUSED_SECONDS": "0.5",
            "LAND_DISCOVER_SECONDS": "1",
        }
        self.sent: list[tuple[str, int]] = []
        self.landers: list[LanderProcess] = []
        self.cables: list[Cable] = []
        self._sequence = 0
        self.servers = env["KAFKA_BOOTSTRAP_SERVERS"]
        self.admin = AdminClient({"bootstrap.servers": self.servers}, logger=CLIENT_LOG)
        self._producer = Producer(
            {"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 5}, logger=CLIENT_LOG
        )
        self.catalog: SqlCatalog = open_catalog(
            LakeSettings(**{name: self.env[name.upper()] for name in LakeSettings.model_fields})  # type: ignore[arg-type]
        )
        self.write_contract()
        self.make_topic()

    def operators_env(self) -> dict[str, str]:
        """What the operator's commands are told: as the landers, with the operator's credentials."""
        kept = {name: value for name, value in self.env.items() if name not in self._own}
        return kept | {name: self._given[name] for name in self._own if name in self._given}

    def write_contract(self, version: int = 1, type_: str | None = None, **fields: Any) -> None:
        """page_view under the type's name, with ``fields`` besides."""
        type_ = type_ or self.type
        schema = json.loads((REPO / "contracts" / "page_view" / "v1.schema.json").read_text())
        schema["title"] = type_
        schema["properties"] |= fields
        place = self.contracts / type_
        place.mkdir(exist_ok=True)
        draft = place / "draft"
        draft.write_text(json.dumps(schema))
        draft.rename(place / f"v{version}.schema.json")

    def make_topic(self, topic: str | None = None) -> None:
        """Create the topic."""
        for future in self.admin.create_topics([NewTopic(topic or self.topic, PARTITIONS, 1)]).values():
            future.result(30)

    def delete_topic(self) -> None:
        """Delete it, and wait until it is gone."""
        for future in self.admin.delete_topics([self.topic]).values():
            future.result(30)
        wait_for("the topic is gone", lambda: self.topic not in self.admin.list_topics(timeout=10).topics)

    def delete_messages(self) -> None:
        """Delete what the topic holds, as retention would."""
        ends = {TopicPartition(self.topic, p): OFFSET_END for p in range(PARTITIONS)}
        for future in self.admin.delete_records(
            [TopicPartition(t.topic, t.partition, o) for t, o in ends.items()]
        ).values():
            future.result(30)

    def message(self, **changes: Any) -> dict[str, Any]:
        """The next message as the collector would write it."""
        self._sequence += 1
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {
            "event_id": str(uuid.uuid4()), "event_type": self.type, "schema_version": 1, "occurred_at": now,
            "received_at": now, "tenant": "lander-tests", "collector_id": self.collector_id, "sequence": self._sequence,
            "minted": False, "data": {"region": "DE", "page_name": "/", "visitor_id": f"v{self._sequence}"},
        } | changes  # fmt: skip

    def produce(self, count: int) -> None:
        """Send ``count`` good messages and remember them."""
        for _ in range(count):
            message = self.message()
            self.sent.append((message["collector_id"], message["sequence"]))
            self.raw(json.dumps(message).encode(), message["sequence"] % PARTITIONS, flush=False)
        assert self._producer.flush(90) == 0

    def raw(self, value: bytes | None, partition: int = 0, *, topic: str | None = None, flush: bool = True) -> None:
        """Send anything."""
        self._producer.produce(topic or self.topic, value, partition=partition)
        if flush:
            assert self._producer.flush(30) == 0

    def start(self, **settings: str) -> LanderProcess:
        """Start a lander."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.folder / f"lander-{len(self.landers)}.log"
        lander = LanderProcess({**self.env, "LANDER_PORT": str(port), **settings}, log)
        self.landers.append(lander)
        return lander

    def leads(self, lander: LanderProcess) -> bool:
        """Whether this lander lands the table."""
        return lander.metric("lander_landing", self.table) == 1

    def cable(self, setting: str) -> Cable:
        """Put a cable that can be cut between landers and the server that ``setting`` names."""
        parts = urlsplit(self.env[setting])
        cable = Cable(parts.hostname or "", parts.port or 0)
        self.cables.append(cable)
        for name in ("S3_ENDPOINT", "LANDER_DSN", "LAKE_CATALOG_URI"):
            self.env[name] = self.env[name].replace(f":{parts.port}", f":{cable.port}")
        return cable

    def landed(self) -> list[tuple[str, int]]:
        """(collector_id, sequence) of every row, sorted; with repetitions, if there are any."""
        try:
            rows = self.catalog.load_table(self.table).scan(selected_fields=("collector_id", "sequence")).to_arrow()
        except NoSuchTableError:
            return []
        return sorted(zip(rows["collector_id"].to_pylist(), rows["sequence"].to_pylist(), strict=True))

    def all_landed(self) -> bool:
        """Whether there are as many rows as were sent, at least."""
        return len(self.landed()) >= len(self.sent)

    def assert_landed_once(self) -> None:
        """Everything sent is in the table, once, and nothing else is."""
        wait_for("everything sent has landed", self.all_landed)
        landed = self.landed()
        assert [pair for pair, count in Counter(landed).items() if count > 1] == [], "nothing lands twice"
        assert landed == sorted(self.sent), "nothing is lost, nothing comes from nowhere"

    def ledger(self, query: str, *values: object) -> list[Any]:
        """Ask the warehouse."""
        with psycopg.connect(self.env["WAREHOUSE_DSN"]) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def through(self) -> datetime | None:
        """``ledger.landed.through`` of the type."""
        rows = self.ledger("select through from ledger.landed where type = %s", self.type)
        return rows[0][0] if rows else None

    def rejections(self) -> list[dict[str, Any]]:
        """What is in rejected_events about this topic."""
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": "lander-tests", "auto.offset.reset": "earliest"}
        )
        try:
            partitions = consumer.list_topics("rejected_events", timeout=10).topics["rejected_events"].partitions
            ends = {p: consumer.get_watermark_offsets(TopicPartition("rejected_events", p)) for p in partitions}
            consumer.assign([TopicPartition("rejected_events", p, low) for p, (low, _) in ends.items()])
            left, found = sum(high - low for low, high in ends.values()), []
            while left > 0:
                for message in consumer.consume(1000, 1.0):
                    left -= 1
                    found.append(json.loads(message.value() or b"null"))
        finally:
            consumer.close()
        return [r for r in found if r.get("topic") == self.topic]

    def close(self) -> None:
        """Stop everything and remove what was made."""
        for lander in self.landers:
            if lander.process.poll() is None:
                lander.process.send_signal(signal.SIGCONT)
                lander.kill()
        for cable in self.cables:
            cable.close()
        with contextlib.suppress(NoSuchTableError):
            self.catalog.purge_table(self.table)
        for future in self.admin.delete_topics([self.topic]).values():
            future.result(30)
        self.catalog.close()
        with psycopg.connect(self.env["WAREHOUSE_DSN"]) as connection:
            connection.execute("delete from ledger.landed where type = %s", (self.type,))
            connection.execute("delete from ledger.collectors where collector_id = %s", (self.collector_id,))
