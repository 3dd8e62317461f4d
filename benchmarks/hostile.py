"""What hostile requests cost the other clients of a collector: ``python -m benchmarks.hostile``.

Starts a collector of its own, as ``benchmarks.collector`` does, and measures an honest load of one event a request: by
itself, then beside two clients that send every request of docs/bad-input.md, over and over, as fast as it answers.
"""

import argparse
import asyncio
import itertools
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.collector import own_load, start
from collector.keys import KeyFile, KeyKind
from tests.integration.collector import hostile_requests, hostile_texts
from tests.integration.collector.harness import BROWSER_KEY, SERVER_KEY
from tests.integration.collector.hostile_kit import Hostile, send

ROWS = (
    *hostile_texts.JSON.values(),
    *hostile_texts.VALUES.values(),
    *hostile_texts.TIMES.values(),
    *hostile_texts.BATCHES.values(),
    *hostile_requests.COMPRESSION.values(),
    *hostile_requests.LENGTHS.values(),
    *hostile_requests.REQUESTS.values(),
    *hostile_requests.KEYS.values(),
)


@dataclass(frozen=True)
class Result:
    """The honest clients' side. Latencies in milliseconds; ``hostile_requests`` were answered meanwhile."""

    beside: str
    connections: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failed: int
    hostile_requests: int


@contextmanager
def hostile(port: int, clients: int) -> Iterator[list[int]]:
    """So many clients that send all rows but those that wait for a time-out; gives how many were sent, at the end."""
    rows = [row for row in ROWS if not row.takes_long]
    stop, sent = threading.Event(), [0] * clients

    def attack(number: int) -> None:
        for row in itertools.cycle(rows[number::clients]):
            if stop.is_set():
                return
            send(port, Hostile(row.sent, leaves=row.leaves))
            sent[number] += 1

    threads = [threading.Thread(target=attack, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    yield sent
    stop.set()
    for thread in threads:
        thread.join()


def main() -> None:
    """Measure both, and print a table, or one JSON line with ``--json``."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--seconds", type=float, default=10, help="length of each measurement")
    options.add_argument("--connections", type=int, default=16, help="of honest clients")
    options.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    chosen = options.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFile(Path(folder) / "keys.json")
        keys.create("hostile", KeyKind.SERVER, secret=SERVER_KEY)
        keys.create("hostile", KeyKind.BROWSER, secret=BROWSER_KEY)
        process, port = start(Path(folder))
        try:
            for beside, clients in (("nobody", 0), ("two hostile clients", 2)):
                asyncio.run(own_load(port, 1, chosen.connections, 1))
                with hostile(port, clients) as sent:
                    before = sum(sent)
                    load = asyncio.run(own_load(port, 1, chosen.connections, chosen.seconds))
                    meanwhile = sum(sent) - before
                results.append(Result(beside, chosen.connections, round(load[0], 1), *load[1:], meanwhile))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    for result in results:
        sys.stdout.write(
            f"beside {result.beside:<20} {result.requests_per_second:>8.0f} requests/s, p50 {result.p50_ms:.1f} ms, "
            f"p99 {result.p99_ms:.1f} ms, {result.failed} failed; {result.hostile_requests} hostile ones answered\n"
        )
    if chosen.json:
        sys.stdout.write(json.dumps({"hostile": [asdict(result) for result in results]}) + "\n")


if __name__ == "__main__":
    main()
