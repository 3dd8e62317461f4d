"""What an import of history takes: ``python -m benchmarks.importing``, without the stack.

Writes files of page views in Parquet, in row groups of a million as writers of such files make them, and imports each
with the real command into a stand-in for the collector that accepts whatever comes: measured is the importer.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stack.settings import REPO

ROWS = (500_000, 5_000_000)
GROUP = 1_000_000
"""Rows of a row group."""


@dataclass(frozen=True)
class Result:
    """One import, in a process of its own. ``rss_mb``: the most that it had in memory, everything included."""

    rows: int
    file_mb: float
    seconds: float
    cpu_seconds: float
    rows_per_cpu_second: float
    rss_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help=f"of a file (repeatable); default: {ROWS}")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    results = []
    with accepting() as (url, heard), tempfile.TemporaryDirectory() as folder:
        for rows in sorted(options.rows or ROWS):
            path = Path(folder) / f"{rows}.parquet"
            write(path, rows)
            heard.clear()
            results.append(measure(path, rows, url))
            if sum(heard) != rows:
                raise SystemExit(f"{sum(heard)} events arrived of {rows} rows")
            path.unlink()
            sys.stdout.write(f"{results[-1]}\n")
    if options.json:
        sys.stdout.write(json.dumps({"importing": [asdict(result) for result in results]}) + "\n")
    return 0


def write(path: Path, rows: int) -> None:
    """Page views of the last thirty days: few regions and pages, as many visitors as a fifth of the rows."""
    draw, end = np.random.default_rng(1), datetime.now(UTC).replace(microsecond=0)
    regions, pages = np.array(["DE", "US", "IN", "BR"]), np.array([f"/page/{n}" for n in range(200)])
    moments: pa.DataType = pa.timestamp("us", "UTC")
    text = dict.fromkeys(("region", "page_name", "visitor_id"), pa.string())
    schema = pa.schema({"occurred_at": moments, **text})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            before = draw.integers(1, timedelta(days=30) // timedelta(microseconds=1), count)
            columns = [
                pa.array(np.datetime64(end.replace(tzinfo=None), "us") - before.astype("timedelta64[us]")).cast(
                    moments
                ),
                pa.array(regions[draw.integers(0, len(regions), count)]),
                pa.array(pages[draw.integers(0, len(pages), count)]),
                pa.array(np.char.add("v-", draw.integers(0, max(1, rows // 5), count).astype(str))),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=GROUP)


def measure(path: Path, rows: int, url: str) -> Result:
    """Import a file with the command, and take what the kernel says of its process."""
    argv = [sys.executable, "-c", "from cli.main import main; main()", "import", str(path), "--type", "page_view"]
    environment = {**os.environ, "COLLECTOR_URL": url, "WRITE_KEY": "any"}
    started = datetime.now(UTC)
    process = subprocess.Popen([*argv, "--batch", "1000", "--json"], cwd=REPO, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101 - asked for
    done = json.loads(process.stdout.read().splitlines()[-1])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = (datetime.now(UTC) - started).total_seconds()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or done["accepted"] != rows:
        raise SystemExit(f"the import ended with {process.returncode}: {done}")
    cpu = usage.ru_utime + usage.ru_stime
    size = path.stat().st_size / 1e6
    return Result(rows, round(size, 1), round(seconds, 1), round(cpu, 1), round(rows / cpu), usage.ru_maxrss // 1024)


@contextmanager
def accepting() -> Iterator[tuple[str, list[int]]]:
    """A server that accepts every event of every request, and the number of each request's."""
    heard: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(body.count(b'"event_id":'))
            answer = b'{"results":[' + b",".join([b'{"status":"accepted"}'] * heard[-1]) + b"]}"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", heard
    server.shutdown()
    server.server_close()
    thread.join()


if __name__ == "__main__":
    sys.exit(main())
