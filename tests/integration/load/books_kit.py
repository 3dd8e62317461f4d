"""What the tests of the books share: a collector that only they know, and the books of one tenant and type."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from psycopg import sql

from books import show
from books.reconcile import Reconciled, reconcile
from books.settings import BooksSettings
from collector.lake import arrow_schema_of, ensure_table
from collector.land_db import Database
from collector.land_decode import Batch
from collector.land_quality import REJECTED_EVENTS
from collector.land_receipts import ReceiptsLedger
from collector.land_topic import Brokers, TopicInfo
from collector.receipts import rfc3339
from warehouse.claims import COMPLETE_IN_ROLLUPS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = NOON + timedelta(days=1)
THROUGH = LATER + timedelta(minutes=30)
"""What the lander says: everything received before is in the lake."""
REASONS = [{"pointer": "/data/status", "keyword": "type", "message": "is no number"}]
Row = dict[str, Any]


class Collector:
    """A collector process that only this test knows: it counts what it takes, and says so in receipts."""

    def __init__(self, ledger: ReceiptsLedger, type_: str, tenant: str) -> None:
        self.id, self._ledger, self._type, self._tenant = uuid.uuid4().hex[:16], ledger, type_, tenant
        self._topic = TopicInfo(uuid.uuid4().hex, frozenset({0}))
        self._cells: Counter[datetime] = Counter()
        self._said = 0
        self.assigned = 0

    def take(self, row: Row, *, answered: bool = True) -> Row:
        """Hand out the next number; ``answered``: with 2xx."""
        self.assigned += 1
        if answered:
            self._cells[row["received_at"].replace(minute=0, second=0, microsecond=0)] += 1
        return row | {"collector_id": self.id, "sequence": self.assigned}

    def settle(self, row: Row) -> None:
        """Answer an event that was taken without one."""
        self._cells[row["received_at"].replace(minute=0, second=0, microsecond=0)] += 1

    def say(self, *, rejected: int = 0, **changes: Any) -> None:
        """Its last receipt, read by the lander."""
        self._said += 1
        value = json.dumps(self.receipt(rejected=rejected) | changes).encode()
        self._ledger.add(self._topic, Batch([value], [0], [self._said]))

    def receipt(self, *, rejected: int = 0) -> Row:
        cells = [
            {"tenant": self._tenant, "event_type": self._type, "accepted": n, "rejected": rejected, "minted": 0}
            | {"received_hour": _stamp(hour)}
            for hour, n in self._cells.items()
        ]
        return {
            "collector_id": self.id, "assigned": self.assigned, "acknowledged": self._cells.total() + rejected,
            "void": [], "in_doubt": [], "cells": cells, "durable_through": _stamp(LATER), "closed": True,
            "at": _stamp(LATER),
        }  # fmt: skip


def _stamp(instant: datetime) -> str:
    return rfc3339(round(instant.timestamp() * 1e6))


class Kit:
    """The books of the probe's type and one tenant."""

    def __init__(self, stack: Any, probe: Any, tenant: str) -> None:
        self.probe, self.tenant = probe, tenant
        own = stack.own("books")
        self.settings = BooksSettings(
            **{name: own[name.upper()] for name in BooksSettings.model_fields if name.upper() in own}
        )
        self._database = Database(stack.own("lander")["LANDER_DSN"], 30)
        connection = {"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"]}
        self._ledger = ReceiptsLedger(self._database, Brokers(connection), connection)
        for type_ in (probe.contract.type, "rejected_events"):
            self.all_landed(type_)

    def all_landed(self, type_: str) -> None:
        """As the lander says it: everything received in these hours is in the lake."""
        self.probe.watershed.execute(
            """
            insert into ledger.landed as l (type, land_seq, through) values (%s, 0, %s)
            on conflict (type) do update set through = greatest(l.through, excluded.through)
            """,
            (type_, THROUGH),
        )

    def collector(self) -> Collector:
        return Collector(self._ledger, self.probe.contract.type, self.tenant)

    def row(self, arrival: Any) -> Row:
        return dict(self.probe.row(self.tenant, arrival))

    def reconcile(self, *, everything: bool = False) -> Reconciled:
        done = reconcile([self.probe.contract], self.settings, everything=everything)
        assert done.failed == {}
        return done

    def books(self) -> dict[datetime, Row]:
        rows = show.books(self.probe.watershed, show.Asked(tenant=self.tenant, type=self.probe.contract.type))
        return {row["received_hour"]: row for row in rows}

    def state(self, hour: datetime = NOON) -> tuple[str, dict[str, int]]:
        """Whether an hour balances, and every number of it that is not 0."""
        row = self.books()[hour]
        state = "open" if not row["closed"] else "balances" if row["balanced"] else "red"
        return state, {name: row[name] for name in show.NUMBERS if row[name]}

    def complete_through(self) -> datetime | None:
        query = sql.SQL("select ({}) as through").format(
            COMPLETE_IN_ROLLUPS.format(type=sql.Literal(self.probe.contract.type), tenant=sql.Literal(self.tenant))
        )
        return self.probe.watershed.execute(query).fetchone()["through"]

    def rejection(self, row: Row, reasons: list[dict[str, str]], **changes: Any) -> Row:
        return {
            "reject_id": str(uuid.uuid4()), "tenant": self.tenant, "event_type": self.probe.contract.type,
            "stage": "collector", "received_at": row["received_at"], "collector_id": row["collector_id"],
            "sequence": row["sequence"], "reasons": json.dumps(reasons), "body": "{}", "body_encoding": "utf-8",
            "kafka_partition": 0, "kafka_offset": row["sequence"],
        } | changes  # fmt: skip

    def reject(self, *rejections: Row) -> None:
        """One commit of the lander of rejected events."""
        table = ensure_table(self.probe.catalog, REJECTED_EVENTS)
        land_seq = int(table.properties.get("watershed.land_seq", 0)) + 1
        rows = [row | {"land_seq": land_seq} for row in rejections]
        with table.transaction() as transaction:
            transaction.append(pa.Table.from_pylist(rows, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
            transaction.set_properties({"watershed.land_seq": str(land_seq)})

    def files(self, table: str | None = None) -> set[str]:
        """The data files that the table names."""
        found = self.probe.catalog.load_table(table or self.probe.contract.table)
        return set(found.inspect.files()["file_path"].to_pylist())

    def delete(self, path: str) -> bytes:
        """Delete a lake object by hand; gives what it held."""
        io = self.probe.catalog.load_table(self.probe.contract.table).io
        with io.new_input(path).open() as file:
            held = file.read()
        io.delete(path)
        return held

    def put_back(self, path: str, held: bytes) -> None:
        io = self.probe.catalog.load_table(self.probe.contract.table).io
        with io.new_output(path).create() as file:
            file.write(held)

    def close(self) -> None:
        self._database.close()
        for table in ("books", "sign_offs"):
            self.probe.watershed.execute(f"delete from ledger.{table} where tenant = %s".encode(), (self.tenant,))


@pytest.fixture
def kit(stack: Any, probe: Any, tenant: str) -> Iterator[Kit]:
    made = Kit(stack, probe, tenant)
    yield made
    made.close()


@pytest.fixture
def landed(kit: Kit, probe: Any, arrival: Any) -> Callable[..., Collector]:
    """Three events at 12:00, 12:01 and 12:02, taken, landed and said; as far as ``load``, loaded too."""

    def land(*, load: bool = True, **said: Any) -> Collector:
        collector = kit.collector()
        probe.land([collector.take(kit.row(arrival(event=n, minute=n))) for n in range(3)])
        collector.say(**said)
        if load:
            probe.load()
        return collector

    return land
