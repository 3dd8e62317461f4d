"""A sketch's size is written where each language needs it, and is the same everywhere."""

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]


def _number(path: str, pattern: str) -> set[int]:
    return {int(found.replace("_", "")) for found in re.findall(pattern, (REPO / path).read_text())}


def test_spark_postgres_and_superset_keep_as_many_hashes() -> None:
    (size,) = _number("warehouse/schema/sketch.sql", r"function sketch\.k\(\)[^;]*?return (\d+)")
    assert _number("spark_jobs/rollup.py", r"SKETCH_SIZE = ([\d_]+)") == {size}
    assert _number("superset_config/merges.py", r"SKETCH_SIZE = ([\d_]+)") == {size}
    assert _number("warehouse/schema/sketch.sql", r"cardinality\(hashes\) < (\d+)") == {size}
    assert _number("warehouse/schema/sketch.sql", r"limit (\d{3,})") == {size}
    assert _number("warehouse/schema/sketch.sql", r"round\((\d+) \*") == {size - 1}
