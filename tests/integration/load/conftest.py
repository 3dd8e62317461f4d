"""A contract that exists nowhere else, with every kind of measure, on the real lake and the real warehouse."""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pyarrow as pa
import pytest
from psycopg.rows import dict_row
from pyiceberg.catalog.sql import SqlCatalog
from pyspark.sql import SparkSession

from collector.lake import LakeSettings, arrow_schema, ensure_table, open_catalog
from contracts.model import Contract
from contracts.registry import Registry
from spark_jobs.load_rollups import Summary, load
from spark_jobs.maintain_lake import Maintained, maintain
from spark_jobs.reprocess import Outcome, reprocess, undo
from spark_jobs.session import open_session, open_writing_session
from spark_jobs.settings import LoadSettings, MaintainSettings, ReprocessSettings
from tests.integration.load.books_kit import kit, landed
from warehouse.checksum import Checksum, of_rollups
from warehouse.migrate import migrate
from warehouse.reprocess_compare import Span

__all__ = ["kit", "landed"]
CAP = 3
S = TypeVar("S", LoadSettings, MaintainSettings)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def schema(**extra_fields: Mapping[str, object]) -> dict[str, Any]:
    """The probe's contract; ``extra_fields`` are added to its properties."""
    text = {"type": "string", "maxLength": 100, "pattern": "^[^\\u0000-\\u001F]*$", "description": "Some text."}
    whole = {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991, "description": "A number."}
    amount = {
        "type": "string",
        "maxLength": 24,
        "pattern": "^-?(0|[1-9][0-9]{0,13})(\\.[0-9]{1,4})?$",
        "x-decimal": {"precision": 18, "scale": 4},
        "description": "Money.",
    }

    def measure(name: str, kind: str, field: str | None = None, **where: object) -> dict[str, object]:
        result: dict[str, object] = {"name": name, "kind": kind, "description": f"The {kind} called {name}."}
        if field:
            result["field"] = field
        if where:
            result["where"] = where
        return result

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "probe",
        "description": "An event of the tests of the load.",
        "type": "object",
        "additionalProperties": False,
        "required": ["status"],
        "properties": {
            "region": text,
            "page": text,
            "status": whole,
            "amount": amount,
            "quantity": whole,
            "visitor": text,
            "is_bot": {"type": "boolean", "default": False, "description": "Whether it is a bot."},
            **extra_fields,
        },
        "x-watershed": {
            "owner": "tests",
            "browser": False,
            "partition_key": "event_id",
            "partitions": 1,
            "retention_days": 3653,
            "pii": ["visitor"],
            "rollup": {
                "dimensions": [{"name": "region"}, {"name": "page", "capped": True}, {"name": "status"}],
                "measures": [
                    measure("seen", "count"),
                    measure("bots", "count", is_bot=True),
                    measure("errors", "count", status={"gte": 500}),
                    measure("amount_sum", "sum", "amount"),
                    measure("amount_min", "min", "amount"),
                    measure("amount_max", "max", "amount"),
                    measure("amount_last", "last", "amount"),
                    measure("page_last", "last", "page"),
                    measure("visitor_last", "last", "visitor"),
                    measure("quantity_sum", "sum", "quantity"),
                    measure("quantity_spread", "quantile", "quantity"),
                    measure("visitors", "distinct", "visitor", is_bot=False),
                ],
                "cap": CAP,
            },
        },
    }


def hashed(tenant: str, name: str, value: str | None) -> int | None:
    """As the lander hashes a distinct field (any hash will do here)."""
    if value is None:
        return None
    digest = hashlib.blake2b(f"{tenant}\x1f{name}\x1f{value}".encode(), digest_size=8, key=b"test").digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class Arrival:
    """One row on its way to the lake. Equal ``event``: an equal event_id; equal ``sequence``: the same message."""

    event: int = 0
    sequence: int = 1
    minute: int = 0
    second: float = 0
    received_after: float = 1
    collector: str = "a"
    minted: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Probe:
    """The path from the lake to the rollup of one type of our own, on the real servers."""

    contract: Contract
    settings: LoadSettings
    writer: LoadSettings
    maintainer: MaintainSettings
    catalog: SqlCatalog
    watershed: psycopg.Connection[dict[str, Any]]
    folder: Path
    land_seq: int = 0

    def row(self, tenant: str, arrival: Arrival) -> dict[str, Any]:
        """The lake's row, but for ``land_seq``."""
        occurred_at = NOON + timedelta(minutes=arrival.minute, seconds=arrival.second)
        data = {f.name: arrival.data.get(f.name) for f in self.contract.fields}
        data["status"] = arrival.data.get("status", 200)
        content = json.dumps([occurred_at.isoformat(), data], sort_keys=True, default=str).encode()
        return {
            "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(arrival.event))),
            "tenant": tenant,
            "schema_version": 1,
            "occurred_at": occurred_at,
            "received_at": occurred_at + timedelta(seconds=arrival.received_after),
            "collector_id": arrival.collector * 16,
            "sequence": arrival.sequence,
            "minted": arrival.minted,
            "content_hash": int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True),
            **data,
            **{f"{name}_hash": hashed(tenant, name, data[name]) for name in self.contract.hashed_fields},
        }

    def land(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """One commit of the lander."""
        self.land_seq += 1
        table = self.catalog.load_table(self.contract.table)
        stamped = [{**row, "land_seq": self.land_seq} for row in rows]
        with table.transaction() as transaction:
            transaction.append(pa.Table.from_pylist(stamped, schema=arrow_schema(self.contract)))
            transaction.set_properties({"watershed.land_seq": str(self.land_seq)})

    def arrive(self, tenant: str, *arrivals: Arrival) -> None:
        """Land ``arrivals`` in one commit."""
        self.land([self.row(tenant, a) for a in arrivals])

    def load(self, **changes: object) -> Summary:
        """Run the load of this type; ``changes`` are settings."""
        summary = load([self.contract], self.settings.model_copy(update=changes))
        assert not summary.failed, summary.failed
        return summary

    def compact(self) -> None:
        """Rewrite the table's data files as Spark's maintenance does, whatever their size.

        The server's own credentials only read: a session that writes brings others.
        """
        session = open_writing_session(self.writer)
        try:
            session.sql(
                f"call lake.system.rewrite_data_files(table => '{self.contract.table}',"
                " options => map('rewrite-all', 'true'))"
            ).collect()
        finally:
            session.stop()

    def maintain(self, *, dry_run: bool = False, **changes: object) -> Maintained:
        """Run maintenance of this type's table; ``changes`` are settings."""
        settings = self.maintainer.model_copy(update=changes)
        summary = maintain([self.contract], settings, quality=False, dry_run=dry_run)
        assert not summary.failed, summary.failed
        (done,) = summary.tables
        return done

    def reprocess(self, tenant: str, contract: Contract | None = None, **options: Any) -> Outcome:
        """Reprocess the day of NOON, of one tenant, ``chunk`` events at a time; ``contract`` instead of our own."""
        settings = self.reprocessing(load_chunk_events=options.pop("chunk", 500_000))
        span = Span(NOON.replace(hour=0), NOON.replace(hour=0) + timedelta(days=1), tenant)
        return reprocess([contract or self.contract], settings, span, **{"dry_run": False, **options})

    def undo(self, run_id: uuid.UUID) -> Outcome:
        """Undo a reprocessing."""
        return undo([self.contract], self.reprocessing(), run_id)

    def reprocessing(self, **changes: object) -> ReprocessSettings:
        """The settings of `watershed reprocess`, with ``changes``; nothing is waited for very long."""
        return ReprocessSettings(**{**self.settings.model_dump(), "reprocess_wait_seconds": 30, **changes})

    def checksum(self, tenant: str) -> dict[str, Checksum]:
        """Of the tenant's rollup rows and cells."""
        return dict(of_rollups(self.watershed, [self.contract], tenant=tenant))

    def spark(self) -> SparkSession:
        """The session that loads run in."""
        return open_session(self.settings)

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the warehouse, read as its owner."""
        return self.watershed.execute(statement.encode(), values).fetchall()

    def rollup(self, tenant: str) -> list[dict[str, Any]]:
        """The tenant's rollup rows in key order."""
        return self.query(
            f"select * from rollups.{self.contract.rollup_table} where tenant = %s"
            " order by minute, region, page, status",
            tenant,
        )

    def cells(self, tenant: str) -> list[dict[str, Any]]:
        """The tenant's cells in key order."""
        return self.query(
            "select * from ledger.cells where type = %s and tenant = %s order by minute, received_hour",
            self.contract.type,
            tenant,
        )

    def touched(self, tenant: str) -> list[dict[str, Any]]:
        """The tenant's minutes that are still to be recomputed."""
        return self.query(
            "select * from ledger.touched where type = %s and tenant = %s order by minute", self.contract.type, tenant
        )


LEDGER = ("touched", "cells", "cursors", "unpublished", "loads", "landed", "lake_floor", "id_audits", "id_audits_due")


@pytest.fixture(scope="session")
def load_settings(stack: Any) -> LoadSettings:
    """The settings of `watershed load` on the running servers, as Airflow's task has them."""
    return _settings(LoadSettings, stack.own("load"))


def _settings(kind: type[S], env: Mapping[str, str]) -> S:
    return kind(**{name: env[name.upper()] for name in kind.model_fields if name.upper() in env})


@pytest.fixture(scope="module")
def probe(stack: Any, load_settings: LoadSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """A type of this module's own."""
    name = f"probe_{uuid.uuid4().hex[:8]}"
    folder: Path = tmp_path_factory.mktemp("contracts")
    (folder / name).mkdir()
    (folder / name / "v1.schema.json").write_text(json.dumps(schema() | {"title": name}))
    contract = Registry.load(folder).newest(name)
    catalog = open_catalog(LakeSettings(**{n.lower(): v for n, v in stack.env.items()}))
    ensure_table(catalog, contract)
    migrate(stack.env["WAREHOUSE_DSN"], [contract])
    with psycopg.connect(
        stack.env["WAREHOUSE_DSN"], autocommit=True, row_factory=dict_row, options="-c timezone=UTC"
    ) as c:
        maintainer = _settings(MaintainSettings, stack.own("maintain"))
        yield Probe(contract, load_settings, _settings(LoadSettings, stack.env), maintainer, catalog, c, folder)
        c.execute(f"drop table rollups.{contract.rollup_table}".encode())
        for table in LEDGER:
            c.execute(f"delete from ledger.{table} where type = %s".encode(), (name,))
        c.execute("delete from ledger.reprocesses where types = %s", ([name],))
    catalog.purge_table(contract.table)


@pytest.fixture(scope="session")
def arrival() -> type[Arrival]:
    """The class of a row on its way to the lake; tests have no name to import it by."""
    return Arrival


@pytest.fixture
def tenant() -> str:
    """A tenant that nobody else has."""
    return f"t-{uuid.uuid4().hex[:8]}"
