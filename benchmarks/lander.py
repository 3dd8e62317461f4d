"""What the lander costs: ``python -m benchmarks.lander [--rows N]``, with a running stack's settings in the env.

Fills a topic of its own with page views, starts a lander of its own on it (own port, own contract folder), and prints
rows per CPU second of the lander's process, user and system, all threads: from the first message read to the last
commit, start-up left out. Leaves nothing behind: topic, table and ledger rows are removed.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from pyiceberg.exceptions import NoSuchTableError

from collector.kafka_settings import KafkaSettings
from collector.lake import LakeSettings, open_catalog

REPO = Path(__file__).resolve().parent.parent
PARTITIONS = 4
TIMEOUT = 300.0


@dataclass(frozen=True)
class Result:
    """One measurement. ``cpu_seconds`` and ``seconds`` are without the start; ``rss_mb`` is the most it took."""

    rows: int
    days: int
    commits: int
    seconds: float
    cpu_seconds: float
    rows_per_cpu_second: float
    rows_per_second: float
    rss_mb: float


def contracts_with(type_: str, folder: Path) -> None:
    """A contract folder with one type, page_view under another name."""
    source = REPO / "contracts"
    for name in ("common.json", "metaschema.json"):
        shutil.copy(source / name, folder / name)
    (folder / type_).mkdir()
    text = (source / "page_view" / "v1.schema.json").read_text().replace('"title": "page_view"', f'"title": "{type_}"')
    (folder / type_ / "v1.schema.json").write_text(text)


def fill(kafka: KafkaSettings, type_: str, rows: int, days: int) -> None:
    """Produce ``rows`` messages as the collector does, spread over ``days``."""
    admin = AdminClient(kafka.librdkafka())
    for future in admin.create_topics([NewTopic(f"events.{type_}", PARTITIONS, 1)]).values():
        future.result(30)
    producer = Producer({**kafka.librdkafka(), "linger.ms": 20, "queue.buffering.max.messages": 200_000, "acks": "all"})
    chosen, now = random.Random(7), datetime.now(UTC)  # noqa: S311 - made-up events
    regions = ("DE", "FR", "US", "IN", "BR")
    for n in range(1, rows + 1):
        visitor = f"visitor-{chosen.randrange(20_000):08x}"
        value = {
            "event_id": f"{chosen.getrandbits(32):08x}-0000-4000-8000-{n:012x}",
            "event_type": type_,
            "schema_version": 1,
            "occurred_at": _text(now - timedelta(seconds=chosen.randrange(days * 86_400))),
            "received_at": _text(now),
            "tenant": "bench",
            "collector_id": "b" * 16,
            "sequence": n,
            "minted": False,
            "data": {
                "region": chosen.choice(regions),
                "page_name": f"/page/{chosen.randrange(500)}",
                "visitor_id": visitor,
                "session_id": f"{visitor}-{chosen.randrange(9)}",
                "referrer": "https://example.org/some/where",
                "device": "desktop",
                "is_bot": False,
            },
        }
        while True:
            try:
                producer.produce(f"events.{type_}", msgspec.json.encode(value), key=f"bench|{visitor}")
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise SystemExit("the topic could not be filled: Kafka did not take everything within 60 s")


def measure(type_: str, folder: Path, rows: int, days: int) -> Result:
    """Start a lander on the filled topic and watch it until everything has landed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "CONTRACTS_DIR": str(folder), "LANDER_PORT": str(port), "PYTHONPATH": str(REPO)}
    log = folder / "lander.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "-m", "collector.lander"], env=env, cwd=REPO, stderr=sink)
    watched, deadline = psutil.Process(process.pid), time.monotonic() + TIMEOUT
    begun: tuple[float, float] | None = None
    most = 0
    try:
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the lander did not land everything; its last words: {log.read_text()[-2000:]}")
            cpu = watched.cpu_times()
            most = max(most, watched.memory_info().rss)
            found = _metrics(port, f"events.{type_}")
            if begun is None and found.get("lander_landing") == 1:
                begun = time.monotonic(), cpu.user + cpu.system
            if begun is not None and found.get("lander_rows_total") == rows:
                seconds, spent = time.monotonic() - begun[0], cpu.user + cpu.system - begun[1]
                break
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(60)
    commits = round(found["lander_commits_total"])
    return Result(
        rows,
        days,
        commits,
        round(seconds, 2),
        round(spent, 2),
        round(rows / spent),
        round(rows / seconds),
        round(most / 1e6, 1),
    )


@contextlib.contextmanager
def cleaned_up(type_: str) -> Iterator[None]:
    """Remove what the measurement made, whatever became of it."""
    try:
        yield
    finally:
        admin = AdminClient(KafkaSettings.read().librdkafka())
        for future in admin.delete_topics([f"events.{type_}"]).values():
            future.result(30)
        with contextlib.suppress(NoSuchTableError):
            open_catalog(LakeSettings.read()).purge_table(f"events.{type_}")
        with psycopg.connect(os.environ["WAREHOUSE_DSN"]) as connection:
            connection.execute("delete from ledger.landed where type = %s", (type_,))


def _metrics(port: int, table: str) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    label = f'{{table="{table}"}} '
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if label in line}


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000, help="messages to land")
    parser.add_argument("--days", type=int, default=1, help="days over which they are spread: each has a file a commit")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    given = parser.parse_args()
    type_ = f"bench_lander_{os.getpid()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contracts_with(type_, folder)
        with cleaned_up(type_):
            fill(KafkaSettings.read(), type_, given.rows, given.days)
            result = measure(type_, folder, given.rows, given.days)
    sys.stdout.write(
        f"{result.rows:,} rows in {result.commits} commits: {result.rows_per_cpu_second:,} rows per CPU second, "
        f"{result.rows_per_second:,} rows a second, {result.rss_mb:g} MB resident\n"
    )
    if given.json:
        sys.stdout.write(json.dumps({"lander": [asdict(result)]}) + "\n")


if __name__ == "__main__":
    main()
