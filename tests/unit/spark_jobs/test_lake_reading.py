"""What a job reads of the lake, as far as it takes no server to say."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.catalog import catalog_dsn
from spark_jobs.lake import ranges
from spark_jobs.recompute import bucket_counts
from spark_jobs.rollup import ZERO_BUCKET
from spark_jobs.session import catalog_properties
from spark_jobs.settings import SparkSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
minutes = st.lists(st.integers(0, 5000).map(lambda m: START + timedelta(minutes=m)), min_size=1, max_size=100)


@given(minutes, st.integers(1, 10))
def test_every_minute_lies_in_one_of_few_ranges(wanted, most):
    found = ranges(wanted, most)
    assert len(found) <= most
    assert all(sum(start <= minute < end for start, end in found) == 1 for minute in wanted)
    assert {start for start, _ in found} <= set(wanted)


def test_ranges_leave_out_the_widest_gaps():
    wanted = [START + timedelta(minutes=m) for m in (0, 1, 2, 600, 603, 90000)]
    starts = [(start - START) // timedelta(minutes=1) for start, _ in ranges(wanted, 3)]
    assert starts == [0, 600, 90000]


def test_neighbouring_minutes_are_one_range():
    assert len(ranges([START + timedelta(minutes=m) for m in range(100)])) == 1


def test_buckets_are_counted_row_by_row():
    lists = pa.chunked_array([pa.array([[3, 3, 1], [], [ZERO_BUCKET, 3]], pa.list_(pa.int32()))])
    assert bucket_counts(lists).to_pylist() == ['{"1": 1, "3": 2}', "{}", '{"zero": 1, "3": 1}']


def settings(**more: str) -> SparkSettings:
    values = {"lake_warehouse": "s3://lake/w", "lake_catalog_uri": "postgresql+psycopg://cat:p%40ss@db:5433/catalog"}
    return SparkSettings(**(values | more))


def test_the_catalogs_database_is_the_same_for_every_client():
    assert catalog_dsn(settings()) == "postgresql://cat:p%40ss@db:5433/catalog"
    properties = catalog_properties(settings())
    assert properties["spark.sql.catalog.lake.uri"] == "jdbc:postgresql://db:5433/catalog"
    assert properties["spark.sql.catalog.lake.jdbc.password"] == "p@ss"


def test_a_lake_on_a_disk_needs_no_s3():
    assert not any(".s3." in name for name in catalog_properties(settings(lake_warehouse="file:///tmp/lake")))
