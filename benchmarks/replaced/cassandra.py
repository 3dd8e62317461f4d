"""Cassandra 5, one node, as a store of periods: a logged batch over the three tables, the most that it offers.

Such a batch is applied whole sooner or later, also after a crash, but a reader may see it half done; only within one
partition of one table is it seen at once.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.replaced import fetch
from benchmarks.replaced.periods import TABLES, Seen, race
from benchmarks.replaced.processes import running, settle
from stack.programs import Program, tcp_not_ready
from stack.settings import StackSettings

SERVER = "org.apache.cassandra:cassandra-all:5.0.6"
DRIVER = "cassandra-driver==3.30.1"
EXPORTS = (
    *("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/java.lang.ref"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server"),
    *("java.sql/java.sql", "jdk.unsupported/sun.misc"),
)
OPENS = (
    *("java.base/java.lang.module", "java.base/jdk.internal.loader", "java.base/jdk.internal.ref", "java.base/java.io"),
    *(
        "java.base/jdk.internal.reflect",
        "java.base/jdk.internal.math",
        "java.base/jdk.internal.module",
        "java.base/java.nio",
    ),
    *("java.base/jdk.internal.util.jar", "jdk.management/com.sun.management.internal", "java.base/sun.nio.ch"),
    *("java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.util"),
)
"""What Cassandra's own ``jvm17-server.options`` opens; the artifact does not carry that file."""
HEAP_MB = 512
"""Its start script would take a quarter of the machine's memory, at most 8 GB."""


def program(place: Path, port: int, storage_port: int) -> Program:
    """One node with one token."""
    config = place / "cassandra.yaml"

    def prepare() -> None:
        place.mkdir(parents=True, exist_ok=True)
        config.write_text(
            "cluster_name: replaced\nnum_tokens: 1\npartitioner: org.apache.cassandra.dht.Murmur3Partitioner\n"
            "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms\nendpoint_snitch: SimpleSnitch\n"
            f"listen_address: 127.0.0.1\nrpc_address: 127.0.0.1\nstorage_port: {storage_port}\n"
            f"native_transport_port: {port}\ndata_file_directories: ['{place}/data']\n"
            f"commitlog_directory: '{place}/commitlog'\nsaved_caches_directory: '{place}/saved'\n"
            f"hints_directory: '{place}/hints'\ncdc_raw_directory: '{place}/cdc'\n"
            "seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider,"
            f" parameters: [{{seeds: '127.0.0.1:{storage_port}'}}]}}]\n"
        )
        (place / "logback.xml").write_text(
            '<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder>'
            "<pattern>%d %p %c{1} %m%n</pattern></encoder></appender>"
            '<root level="WARN"><appender-ref ref="out"/></root></configuration>'
        )

    opened = [f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS]
    opened += [f"--add-opens={name}=ALL-UNNAMED" for name in OPENS]
    flags = [f"-Xms{HEAP_MB // 2}m", f"-Xmx{HEAP_MB}m", "-XX:+UseSerialGC", "-Djava.security.manager=allow"]
    flags += [f"-Dcassandra.config=file://{config}", f"-Dcassandra.storagedir={place}", "-Dcassandra-foreground=yes"]
    flags += [f"-Dlogback.configurationFile={place / 'logback.xml'}", "-XX:+ExitOnOutOfMemoryError"]
    return Program(
        name="cassandra",
        argv=["java", *flags, *opened, "-cp", fetch.jars(SERVER), "org.apache.cassandra.service.CassandraDaemon"],
        prepare=prepare,
        not_ready=tcp_not_ready(port),
    )


class Cassandra:
    """Two sessions of the driver, which lies beside the core environment and not in it."""

    def __init__(self, port: int) -> None:
        sys.path.append(str(fetch.python_packages([DRIVER])))
        cluster = importlib.import_module("cassandra.cluster")
        self._query: Any = importlib.import_module("cassandra.query")
        self._cluster: Any = cluster.Cluster(["127.0.0.1"], port=port)
        self._writer, self._reader = self._cluster.connect(), self._cluster.connect()

    def create(self) -> None:
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self._writer.execute(f"create keyspace replaced with replication = {replication}")
        for session in (self._writer, self._reader):
            session.set_keyspace("replaced")
        for table in TABLES:
            columns = "tenant text, period timestamp, page text, version int, primary key ((tenant, period), page)"
            self._writer.execute(f"create table {table} ({columns})")
        self._writer.execute(
            "create table ledger (tenant text, period timestamp, version int, primary key ((tenant, period)))"
        )
        prepare = self._writer.prepare
        # A batch has one timestamp, and of equal ones a delete wins: the delete is dated before the rows.
        delete = "delete from {} using timestamp ? where tenant = 'a' and period = 0"
        self._delete = [prepare(delete.format(table)) for table in TABLES]
        insert = "insert into {} (tenant, period, page, version) values ('a', 0, ?, ?) using timestamp ?"
        self._insert = [prepare(insert.format(table)) for table in TABLES]
        self._note = prepare("insert into ledger (tenant, period, version) values ('a', 0, ?) using timestamp ?")

    def replace(self, version: int, rows: Sequence[int]) -> None:
        batch = self._query.BatchStatement(batch_type=self._query.BatchType.LOGGED)
        now = (version + 1) * 2
        for delete, insert, count in zip(self._delete, self._insert, rows, strict=True):
            batch.add(delete, (now - 1,))
            for i in range(count):
                batch.add(insert, (f"/page/{i}", version, now))
        batch.add(self._note, (version, now))
        self._writer.execute(batch)

    def read(self) -> Seen:
        # All three are asked for at once: there is no snapshot to read them from.
        asked = [
            self._reader.execute_async(f"select version from {name} where tenant = 'a' and period = 0")  # noqa: S608
            for name in (*TABLES, "ledger")
        ]
        hourly, daily, ledger = ([row.version for row in future.result()] for future in asked)
        return hourly, daily, ledger

    def close(self) -> None:
        self._cluster.shutdown()


def measure(settings: StackSettings) -> dict[str, Any]:
    """Start (s), idle memory (MiB) and the race."""
    # Nothing of the stack itself runs here; any of its ports is free.
    port, storage_port = settings.port("kafka"), settings.port("kafka_controller")
    with running(program(settings.watershed_state / "cassandra", port, storage_port), settings.logs) as server:
        settle()
        memory = server.memory_mb()
        store = Cassandra(port)
        result = race(store)
        store.close()
        return {
            "ready_seconds": server.ready_seconds,
            "memory_mb_idle": memory,
            "memory_mb_after": server.memory_mb(),
            **result,
        }
