"""What a reprocessing takes: ``python -m benchmarks.reprocess``, on the running stack.

Lands and loads days of page views, and lets `watershed reprocess --dry-run` compute one of them anew, then all of them,
each as a process of its own. Prints seconds, and the most memory that the process had: it must not grow with the days.
The Spark server, which computes, has the heap that it was given (SPARK_HEAP_MB), whatever is asked. The types are
copies under names of their own, dropped at the end.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

import pyarrow as pa

from benchmarks.micro_batch import PREFIX, START, Bench, bench_types, row
from cli.main import adopt_stack_environment
from collector.lake import arrow_schema
from contracts.model import Contract

WATERSHED = [sys.executable, "-c", "from cli.main import main; main()"]
MOST_GROWTH = 1.2
"""Times the memory for one day that all of them may take."""


@dataclass(frozen=True)
class Run:
    """One dry run over so many days. ``memory_mb``: the most resident memory of its process, in MiB."""

    days: int
    events: int
    minutes: int
    seconds: float
    memory_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 when memory grows with the days."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="page views a day")
    parser.add_argument("--days", type=int, default=10, help="days")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    adopt_stack_environment()
    with bench_types() as bench:
        contract = next(c for c in bench.contracts if c.type == f"{PREFIX}page_view")
        fill(bench, contract, options.rows, options.days)
        _watershed(bench, "load", "--json")
        runs = [reprocessed(bench, contract, days, options.rows) for days in (1, options.days)]
    sys.stdout.write(
        "".join(
            f"{r.days} days, {r.events:,} events, {r.minutes:,} minutes: {r.seconds} s, {r.memory_mb} MiB\n"
            for r in runs
        )
    )
    if options.json:
        sys.stdout.write(json.dumps({"reprocess": [asdict(run) for run in runs]}) + "\n")
    return int(runs[-1].memory_mb > MOST_GROWTH * runs[0].memory_mb)


def fill(bench: Bench, contract: Contract, rows: int, days: int) -> None:
    """Days of page views, each in one commit of the lander's kind, every event with an id of its own."""
    table = bench.catalog.load_table(contract.table)
    seeded = random.Random(1)  # noqa: S311 - repeatable data, no secret
    some = [row(contract, START, 1, number, seeded) for number in range(rows)]
    step = timedelta(days=1) / rows
    for day in range(days):
        first = START + timedelta(days=day)
        moved = [
            {
                **one,
                "event_id": str(uuid.UUID(int=seeded.getrandbits(128))),
                "occurred_at": first + step * number,
                "received_at": first + step * number,
                "land_seq": day + 1,
                "sequence": day * rows + number,
            }
            for number, one in enumerate(some)
        ]
        with table.transaction() as transaction:
            transaction.append(pa.Table.from_pylist(moved, schema=arrow_schema(contract)))
            transaction.set_properties({"watershed.land_seq": str(day + 1)})


def reprocessed(bench: Bench, contract: Contract, days: int, rows: int) -> Run:
    """A dry run over the first ``days``, which must find everything as it is."""
    ends = START + timedelta(days=days)
    words = ["reprocess", "--dry-run", "--from", f"{START:%F}", "--to", f"{ends:%F}", "--type", contract.type, "--json"]
    started = time.monotonic()
    said, most_kib = _watershed(bench, *words)
    seconds = time.monotonic() - started
    if said["differing"] or said["events"] != days * rows:
        raise SystemExit(f"{days * rows} events were to be found as they are: {said}")
    return Run(days, said["events"], said["minutes_compared"], round(seconds, 1), round(most_kib / 1024, 1))


def _watershed(bench: Bench, *words: str) -> tuple[dict[str, int], int]:
    """A command's last line, and the most resident memory of its process in KiB."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*WATERSHED, *words], env=bench.environment, stdout=said)
        _, status, used = os.wait4(process.pid, 0)
        if code := os.waitstatus_to_exitcode(status):
            raise SystemExit(f"watershed {words[0]} failed ({code})")
        said.seek(0)
        found: dict[str, int] = json.loads(said.read().strip().splitlines()[-1])
    return found, used.ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
