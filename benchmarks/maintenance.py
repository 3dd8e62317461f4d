"""What maintenance does for queries: ``python -m benchmarks.maintenance``, on the running stack.

Lands thirty days of page views as a lander does that commits often (so many small files a day), asks Spark for a day, a
minute and everything, maintains the table, and asks again. The table is a copy of the contract under a name of its own,
dropped at the end.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.micro_batch import PREFIX, START, Bench, bench_types, row
from cli.main import adopt_stack_environment
from collector.lake import arrow_schema
from contracts.model import Contract
from spark_jobs.maintain_lake import maintain
from spark_jobs.session import open_writing_session
from spark_jobs.settings import MaintainSettings

DAYS = 30
ASKED = 3
"""How often each question is asked; the median counts."""


@dataclass(frozen=True)
class Answer:
    """Seconds for one question before and after."""

    question: str
    seconds_before: float
    seconds_after: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="page views a day")
    parser.add_argument("--files", type=int, default=24, help="files a day")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    adopt_stack_environment()
    with bench_types() as bench:
        contract = next(c for c in bench.contracts if c.type == f"{PREFIX}page_view")
        fill(bench, contract, options.rows, options.files)
        settings = MaintainSettings.read()
        spark = open_writing_session(settings)
        try:
            before = ask(spark, contract)
            summary = maintain([contract], settings, quality=False)
            after = ask(spark, contract)
        finally:
            spark.stop()
        if summary.failed:
            raise SystemExit(f"maintenance failed: {summary.failed}")
        (done,) = summary.tables
    answers = [Answer(name, round(before[name], 2), round(after[name], 2)) for name in before]
    result = {
        "maintenance": [asdict(answer) for answer in answers],
        "days": DAYS,
        "rows": DAYS * options.rows,
        "files_before": done.files_rewritten,
        "files_after": done.files_written,
        "maintenance_seconds": round(summary.seconds, 1),
    }
    sys.stdout.write(
        f"{result['files_before']} files became {result['files_after']} in {result['maintenance_seconds']} s\n"
        + "".join(f"{a.question}: {a.seconds_before} s, then {a.seconds_after} s\n" for a in answers)
    )
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    return 0


def fill(bench: Bench, contract: Contract, rows: int, files: int) -> None:
    """Thirty days of many small files, as many as a lander that commits so often would leave."""
    table = bench.catalog.load_table(contract.table)
    seeded = random.Random(1)  # noqa: S311 - repeatable data, no secret
    some = [row(contract, START, 1, i, seeded) for i in range(rows)]
    step = timedelta(days=1) / rows
    for day in range(DAYS):
        moments = [START + timedelta(days=day) + step * i for i in range(rows)]
        moved = [{**one, "occurred_at": at, "received_at": at} for one, at in zip(some, moments, strict=True)]
        part = pa.Table.from_pylist(moved, schema=arrow_schema(contract))
        if day == 0:
            # Written in one commit a day, which is quicker to set up: the files are the same.
            with table.transaction() as transaction:
                transaction.set_properties({"write.target-file-size-bytes": str(part.nbytes // files)})
        table.append(part)


def ask(spark: SparkSession, contract: Contract) -> dict[str, float]:
    """Seconds of each question, the median of some askings after one that warms up."""
    rows = spark.read.table(f"lake.{contract.table}")
    day = START + timedelta(days=DAYS // 2)
    minute = (F.col("occurred_at") >= F.lit(day)) & (F.col("occurred_at") < F.lit(day + timedelta(minutes=1)))
    questions: dict[str, DataFrame] = {
        "one minute": rows.where(minute),
        "one day": rows.where(
            (F.col("occurred_at") >= F.lit(day)) & (F.col("occurred_at") < F.lit(day + timedelta(1)))
        ),
        "thirty days": rows,
    }
    found = {}
    for name, asked in questions.items():
        answer = asked.groupBy("region").agg(F.count_distinct("visitor_id_hash"), F.count("*"))
        answer.collect()
        found[name] = statistics.median(_seconds(answer) for _ in range(ASKED))
    return found


def _seconds(answer: DataFrame) -> float:
    started = time.monotonic()
    answer.collect()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
