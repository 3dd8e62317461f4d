"""What one minute's load costs: ``python -m benchmarks.micro_batch``, on the running stack.

Lands a minute of events of every type at 100 events/s, in a commit each ten seconds as the lander does, then runs
`watershed load` as Airflow does, as a process of its own. Prints wall seconds, and CPU seconds of that process and of
the Spark server together. The types are copies of the contracts under names of their own (``bench_…``), so that the
real tables are left alone; they are dropped at the end.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pyarrow as pa
from psycopg import sql
from pyiceberg.catalog.sql import SqlCatalog

from collector.lake import LakeSettings, arrow_schema, ensure_table, open_catalog
from contracts.model import Contract, FieldSpec
from contracts.registry import Registry
from spark_jobs.settings import SparkSettings
from warehouse.migrate import migrate
from warehouse.settings import MigrateSettings

SHARES = {"page_view": 0.6, "request_log": 0.2, "metric": 0.1, "purchase": 0.04}
"""Of all events, by type; the others share the rest evenly."""
PREFIX = "bench_"
COMMITS = 6
TENANTS = ("bench-a", "bench-b")
START = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER = ("touched", "cells", "cursors", "unpublished", "loads")


@dataclass(frozen=True)
class Run:
    """One micro-batch; ``seconds`` from the start of the process to its end."""

    events: int
    seconds: float
    cpu_client: float
    cpu_spark: float

    @property
    def cpu(self) -> float:
        """CPU seconds of both."""
        return self.cpu_client + self.cpu_spark


@dataclass(frozen=True)
class Bench:
    """The types to measure with, and the environment in which `watershed` knows only them."""

    contracts: Sequence[Contract]
    catalog: SqlCatalog
    environment: dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 when over the aims."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100, help="events a second, over all types")
    parser.add_argument("--runs", type=int, default=8, help="micro-batches measured")
    parser.add_argument("--warm-up", type=int, default=3, help="micro-batches before, not measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    with bench_types() as bench:
        seeded = random.Random(1)  # noqa: S311 - repeatable data, no secret
        runs = [micro_batch(bench, options.rate, minute, seeded) for minute in range(options.warm_up + options.runs)][
            options.warm_up :
        ]
    result = {
        "events": runs[0].events,
        "types": len(bench.contracts),
        "seconds_median": round(statistics.median(r.seconds for r in runs), 2),
        "seconds_worst": round(max(r.seconds for r in runs), 2),
        "cpu_seconds_median": round(statistics.median(r.cpu for r in runs), 2),
        "cpu_seconds_worst": round(max(r.cpu for r in runs), 2),
        "runs": [{name: round(value, 2) for name, value in asdict(r).items()} for r in runs],
    }
    sys.stdout.write(
        f"{result['events']} events of {result['types']} types: "
        f"{result['seconds_median']} s (worst {result['seconds_worst']}; aim under 10), "
        f"{result['cpu_seconds_median']} CPU-s (worst {result['cpu_seconds_worst']}; aim under 15)\n"
    )
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    return int(statistics.median(r.seconds for r in runs) > 10 or statistics.median(r.cpu for r in runs) > 15)


@contextmanager
def bench_types() -> Iterator[Bench]:
    """Copies of all contracts with their tables, and the environment in which `watershed` knows only them."""
    original = Registry.load()
    catalog, dsn = open_catalog(LakeSettings.read()), MigrateSettings.read().warehouse_dsn
    with tempfile.TemporaryDirectory() as folder:
        for contract in original:
            place = Path(folder, PREFIX + contract.type)
            place.mkdir()
            schema = (original.path / contract.type / f"v{contract.version}.schema.json").read_text()
            titled = json.loads(schema) | {"title": place.name}
            (place / f"v{contract.version}.schema.json").write_text(json.dumps(titled))
        contracts = list(Registry.load(Path(folder)))
        try:
            for contract in contracts:
                ensure_table(catalog, contract)
            migrate(dsn, contracts)
            yield Bench(contracts, catalog, {**os.environ, "CONTRACTS_DIR": folder})
        finally:
            with psycopg.connect(dsn) as connection:
                for contract in contracts:
                    rollup = sql.Identifier("rollups", contract.rollup_table)
                    connection.execute(sql.SQL("drop table if exists {}").format(rollup))
                    for table in LEDGER:
                        of_type = sql.SQL("delete from {} where type = %s").format(sql.Identifier("ledger", table))
                        connection.execute(of_type, (contract.type,))
            for contract in contracts:
                if catalog.table_exists(contract.table):
                    catalog.purge_table(contract.table)


def micro_batch(bench: Bench, rate: int, minute: int, seeded: random.Random) -> Run:
    """Land one minute and load it."""
    events = 0
    rest = (1 - sum(SHARES.values())) / (len(bench.contracts) - len(SHARES))
    for contract in bench.contracts:
        count = round(rate * 60 * SHARES.get(contract.type.removeprefix(PREFIX), rest))
        events += count
        land(bench.catalog, contract, count, minute, seeded)
    spark = spark_server()
    before, client_before = spark.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "from cli.main import main; main()", "load", "--json"]
    started = time.monotonic()
    done = subprocess.run(command, env=bench.environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"watershed load failed: {done.stderr[-1000:]}")
    after, client_after = spark.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = json.loads(done.stdout.splitlines()[-1])
    if (loaded := sum(t["events_read"] for t in said["types"].values())) != events:
        raise SystemExit(f"landed {events} events, loaded {loaded}")
    return Run(
        events,
        seconds,
        client_after.ru_utime + client_after.ru_stime - client_before.ru_utime - client_before.ru_stime,
        after.user + after.system - before.user - before.system,
    )


def spark_server() -> psutil.Process:
    """The process that listens where SPARK_REMOTE points."""
    port = urlsplit(SparkSettings.read().spark_remote).port
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            return psutil.Process(connection.pid)
    raise SystemExit(f"nothing of ours listens on port {port}: `make up` starts the Spark Connect server")


def land(catalog: SqlCatalog, contract: Contract, count: int, minute: int, seeded: random.Random) -> None:
    """A minute of one type, in the commits that a lander would make of it."""
    table = catalog.load_table(contract.table)
    for commit in range(COMMITS):
        land_seq = minute * COMMITS + commit + 1
        size = count * (commit + 1) // COMMITS - count * commit // COMMITS
        opened = START + timedelta(minutes=minute, seconds=60 / COMMITS * commit)
        rows = [row(contract, opened + timedelta(seconds=i * 10 / size), land_seq, i, seeded) for i in range(size)]
        with table.transaction() as transaction:
            transaction.append(pa.Table.from_pylist(rows, schema=arrow_schema(contract)))
            transaction.set_properties({"watershed.land_seq": str(land_seq)})


def row(
    contract: Contract, occurred_at: datetime, land_seq: int, sequence: int, seeded: random.Random
) -> dict[str, Any]:
    """An event such as the collector would stamp it."""
    data = {spec.name: value(spec, occurred_at, seeded) for spec in contract.fields}
    hashes = {
        f"{name}_hash": int.from_bytes(hashlib.blake2b(str(data[name]).encode(), digest_size=8).digest(), "big") >> 1
        for name in contract.hashed_fields
    }
    return {
        "event_id": str(uuid.UUID(int=seeded.getrandbits(128))),
        "tenant": seeded.choice(TENANTS),
        "schema_version": contract.version,
        "occurred_at": occurred_at,
        "received_at": occurred_at + timedelta(seconds=seeded.random()),
        "collector_id": "0" * 16,
        "sequence": land_seq * 1_000_000 + sequence,
        "minted": False,
        "land_seq": land_seq,
        "content_hash": seeded.getrandbits(62),
        **data,
        **hashes,
    }


def value(spec: FieldSpec, occurred_at: datetime, seeded: random.Random) -> object:
    """Something that the field may hold: few regions, pages with a long tail, many visitors."""
    match spec.kind:
        case "string":
            length = spec.max_length or 20
            several = (
                int(seeded.paretovariate(0.7)) % 300 if spec.name in ("page_name", "path") else seeded.randrange(200)
            )
            return f"{spec.name}-{several}"[-length:]
        case "integer":
            return seeded.choice((200, 200, 200, 304, 404, 500)) if spec.name == "status" else seeded.randrange(1, 500)
        case "decimal":
            return Decimal(seeded.randrange(10**6)).scaleb(-2).quantize(Decimal(1).scaleb(-(spec.scale or 0)))
        case "boolean":
            return seeded.random() < 0.1
        case "map":
            return [("unit", "ms")]
        case "timestamp":
            return occurred_at


if __name__ == "__main__":
    sys.exit(main())
