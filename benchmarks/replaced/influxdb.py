"""InfluxDB 1.8, the newest whose Go module builds by itself, as a store of periods.

It has no transaction. The kindest order is taken: one request writes the points of all tables, each over the one it
replaces, and one more deletes the points that are gone; between the two nothing is ever missing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.replaced import fetch
from benchmarks.replaced.periods import TABLES, Seen, race
from benchmarks.replaced.processes import running, settle
from stack.programs import Program, http_not_ready
from stack.settings import StackSettings

PACKAGE, VERSION = "github.com/influxdata/influxdb/cmd/influxd", "v1.8.10"
PERIOD = 1_700_000_000_000_000_000
"""The period's time in nanoseconds, as Influx keeps it."""


def program(place: Path, port: int) -> Program:
    """The server with its defaults, on 127.0.0.1 and without its own reports."""
    config = place / "influxdb.conf"

    def prepare() -> None:
        place.mkdir(parents=True, exist_ok=True)
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{port + 1}"\n'
            f'[meta]\n  dir = "{place}/meta"\n[data]\n  dir = "{place}/data"\n  wal-dir = "{place}/wal"\n'
            f'[http]\n  bind-address = "127.0.0.1:{port}"\n  log-enabled = false\n[monitor]\n  store-enabled = false\n'
        )

    argv: list[str | Path] = [fetch.go_program(PACKAGE, VERSION), "-config", config]
    url = f"http://127.0.0.1:{port}/ping"
    return Program(name="influxdb", argv=argv, prepare=prepare, not_ready=http_not_ready(url))


class Influx:
    """Two HTTP connections; the reader's three queries are one request."""

    def __init__(self, url: str) -> None:
        self._writer = httpx.Client(base_url=url, params={"db": "replaced"}, timeout=30)
        self._reader = httpx.Client(base_url=url, params={"db": "replaced"}, timeout=30)
        self._rows: Sequence[int] = (0, 0)

    def create(self) -> None:
        self._said(self._writer.post("/query", data={"q": "CREATE DATABASE replaced"}))

    def replace(self, version: int, rows: Sequence[int]) -> None:
        lines = [f"ledger,tenant=a version={version}i {PERIOD}"]
        gone = []
        for table, before, count in zip(TABLES, self._rows, rows, strict=True):
            lines += [f"{table},tenant=a,page=/page/{i} version={version}i {PERIOD}" for i in range(count)]
            pages = " OR ".join(f"page = '/page/{i}'" for i in range(count, before))
            if pages:
                gone.append(f"DELETE FROM {table} WHERE time = {PERIOD} AND ({pages})")  # noqa: S608 - our own names
        self._writer.post("/write", content="\n".join(lines)).raise_for_status()
        if gone:
            self._said(self._writer.post("/query", data={"q": ";".join(gone)}))
        self._rows = rows

    def read(self) -> Seen:
        query = ";".join(f"SELECT version FROM {name} WHERE time = {PERIOD}" for name in (*TABLES, "ledger"))  # noqa: S608
        results = self._said(self._reader.get("/query", params={"q": query}))
        hourly, daily, ledger = (
            [row[1] for series in result.get("series", []) for row in series["values"]] for result in results
        )
        return hourly, daily, ledger

    def close(self) -> None:
        self._writer.close()
        self._reader.close()

    @staticmethod
    def _said(answer: httpx.Response) -> list[dict[str, Any]]:
        """The results of a request's statements; one that failed is in a 200, and is raised."""
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
        for result in results:
            if "error" in result:
                raise SystemExit(f"InfluxDB: {result['error']}")
        return results


def measure(settings: StackSettings) -> dict[str, Any]:
    """Start (s), idle memory (MiB) and the race."""
    port = settings.port("s3")  # nothing of the stack itself runs here; any of its ports is free
    with running(program(settings.watershed_state / "influxdb", port), settings.logs) as server:
        settle()
        memory = server.memory_mb()
        store = Influx(f"http://127.0.0.1:{port}")
        result = race(store)
        store.close()
        return {
            "ready_seconds": server.ready_seconds,
            "memory_mb_idle": memory,
            "memory_mb_after": server.memory_mb(),
            **result,
        }
