"""The report and the dumps of a day, from the real marts into the real bucket."""

import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import boto3
import httpx
import psycopg
import pyarrow.parquet as pq
import pytest
from botocore.config import Config

from reports.bucket import Bucket
from reports.read import read_day
from reports.settings import ReportSettings
from reports.write import finish, write_day

DAY = "2024-02-29"


@pytest.fixture
def tenant(stack: Any) -> Iterator[str]:
    """A tenant with a day in the marts."""
    name = f"r-{uuid.uuid4().hex[:8]}"
    with psycopg.connect(stack.env["WAREHOUSE_DSN"], autocommit=True) as connection:
        connection.execute(
            "insert into marts.region_daily values (%s, 'DE', %s, 7, 2, 1, '{1,2}'), (%s, 'FR', %s, 9, 1, 0, '{3}')",
            (name, f"{DAY} 00:00+00", name, f"{DAY} 00:00+00"),
        )
        yield name
        for table in ("region_daily", "freshness"):
            connection.execute(f"delete from marts.{table} where tenant = %s".encode(), (name,))


@pytest.fixture
def bucket(stack: Any) -> Any:
    env = stack.env
    return boto3.client(
        "s3",
        endpoint_url=env["S3_ENDPOINT"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
def report(stack: Any) -> Callable[..., dict[str, Any]]:
    """Runs `watershed report …` as its task does; gives its last line."""

    def run(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-c", "from cli.main import main; main()", "report", *words, "--json"]
        env = {**os.environ, **stack.own("report")}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def objects(bucket: Any, prefix: str) -> dict[str, bytes]:
    keys = [o["Key"] for o in bucket.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", ())]
    return {k.removeprefix(prefix): bucket.get_object(Bucket="lake", Key=k)["Body"].read() for k in keys}


def test_a_day_is_a_page_and_a_table_a_mart_and_its_second_run_leaves_the_same(tenant, bucket, report):
    prefix = f"reports/daily/tenant={tenant}/date={DAY}/"
    said = report("daily", "--date", DAY, "--tenant", tenant)
    assert (said["tenants"], said["rows"], said["final"]) == (1, 2, 0)
    first = objects(bucket, prefix)
    assert {"report.html", "region_daily.csv", "page_daily.csv"} <= set(first)
    assert first["region_daily.csv"].decode().splitlines()[1:] == [
        f"{tenant},DE,2024-02-29T00:00:00+00:00,7,2,1",
        f"{tenant},FR,2024-02-29T00:00:00+00:00,9,1,0",
    ]
    bucket.put_object(Bucket="lake", Key=f"{prefix}of_a_mart_that_is_gone.csv", Body=b"old")
    report("daily", "--date", DAY, "--tenant", tenant)
    assert objects(bucket, prefix) == first


def test_a_day_that_changed_is_replaced_and_other_days_stay(stack, tenant, bucket, report):
    report("daily", "--date", DAY, "--tenant", tenant)
    report("daily", "--date", "2024-03-01", "--tenant", tenant)
    other = objects(bucket, f"reports/daily/tenant={tenant}/date=2024-03-01/")
    with psycopg.connect(stack.env["WAREHOUSE_DSN"]) as connection:
        connection.execute("update marts.region_daily set page_views = 8 where tenant = %s", (tenant,))
    report("daily", "--date", DAY, "--tenant", tenant)
    assert b",8,2,1" in objects(bucket, f"reports/daily/tenant={tenant}/date={DAY}/")["region_daily.csv"]
    assert objects(bucket, f"reports/daily/tenant={tenant}/date=2024-03-01/") == other


def test_the_link_shows_every_tenants_page_to_a_browser_without_a_log_in(tenant, report):
    said = report("daily", "--date", DAY)
    answer = httpx.get(said["links"]["Report"])
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert tenant in answer.text
    assert httpx.get(said["links"]["Report"].replace("everyone", "someone")).status_code == 403


def test_the_marts_of_a_day_are_dumped_whole_and_once(tenant, bucket, report):
    for _ in range(2):
        said = report("dump", "--date", DAY)
        assert said["rows"]["region_daily"] >= 2
        found = objects(bucket, f"dumps/region_daily/date={DAY}/")
        assert list(found) == ["part-0.parquet"]
        rows = pq.read_table(io.BytesIO(found["part-0.parquet"])).to_pylist()
        mine = [row for row in rows if row["tenant"] == tenant]
        assert [(r["region"], r["page_views"], r["visitors_sketch"]) for r in mine] == [
            ("DE", 7, [1, 2]),
            ("FR", 9, [3]),
        ]


FIRST = {"region_daily": DAY, "region_weekly": "2024-02-26", "region_monthly": "2024-02-01", "app_totals": "1970-01-01"}
"""By mart: the first day of its period that holds the day, which is a Thursday."""


@pytest.fixture
def of_each_grain(stack: Any, tenant: str) -> Iterator[str]:
    """The tenant, in California, also with a week, a month and a number of all time."""
    with psycopg.connect(stack.env["WAREHOUSE_DSN"], autocommit=True) as connection:
        complete(stack, tenant, f"{DAY} 12:00+00")
        for mart in ("region_weekly", "region_monthly"):
            connection.execute(
                f"""
                insert into marts.{mart}
                (tenant, region, period_start, page_views, visitors, bot_page_views, visitors_sketch)
                values (%s, 'DE', %s, 70, 2, 1, '{{1,2}}')
                """.encode(),
                (tenant, f"{FIRST[mart]} 08:00+00"),
            )
        connection.execute(
            """
            insert into marts.app_totals
            (tenant, region, category, period_start, created, verified, apps, verified_apps)
            values (%s, 'DE', 'games', '1970-01-01 00:00+00', 3, 2, 3, 2)
            """,
            (tenant,),
        )
        yield tenant
        for mart in FIRST:
            connection.execute(f"delete from marts.{mart} where tenant = %s".encode(), (tenant,))


def test_a_week_and_a_month_under_way_and_what_is_of_all_time_are_in_every_days_dump(of_each_grain, bucket, report):
    report("dump", "--date", DAY)
    for mart, first in FIRST.items():
        (content,) = objects(bucket, f"dumps/{mart}/date={first}/").values()
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        assert [row["region"] for row in rows if row["tenant"] == of_each_grain][:1] == ["DE"], mart


def test_the_report_reads_finished_numbers_only(stack):
    assert set(stack.own("report")) == {
        "WATERSHED_ROOM", "S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
        "LAKE_WAREHOUSE", "READER_DSN",
    }  # fmt: skip


def complete(stack: Any, tenant: str, through: str) -> None:
    """Everything of the tenant, who lives in California, that was received before then is counted."""
    with psycopg.connect(stack.env["WAREHOUSE_DSN"]) as connection:
        connection.execute(
            """
            insert into marts.freshness as f (
                tenant, event_type, complete_through, pending_minutes, pending_hours, published_at, time_zone
            )
            values (%s, 'page_view', %s, 0, 0, now(), 'America/Los_Angeles')
            on conflict (tenant, event_type) do update set complete_through = excluded.complete_through
            """,
            (tenant, through),
        )
        connection.execute(
            "update marts.region_daily set period_start = %s, page_views = page_views + 1 where tenant = %s",
            (f"{DAY} 08:00+00", tenant),
        )


def test_a_report_that_was_preliminary_is_written_again_once_when_its_day_is_complete(stack, tenant, bucket):
    own = {name.lower(): value for name, value in stack.own("report").items()}
    settings = ReportSettings.model_validate({name: own[name] for name in ReportSettings.model_fields if name in own})
    writer, day = Bucket(settings), date.fromisoformat(DAY)

    def finished() -> list[date]:
        days = [day, date(2024, 3, 1), date(2024, 3, 2)]
        return [one.day for one in finish(settings, writer, days) if tenant in one.tenants]

    def pages() -> list[str]:
        folders = (f"reports/daily/tenant={tenant}/date={DAY}/", f"reports/daily/everyone/date={DAY}/")
        return [objects(bucket, folder)["report.html"].decode().split(f"<h2>{tenant}</h2>")[1] for folder in folders]

    complete(stack, tenant, "2024-03-01 01:00+00")
    write_day(writer, read_day(settings.reader_dsn, day), 20)
    assert finished() == []
    complete(stack, tenant, "2024-03-01 07:59+00")
    assert finished() == [], "the day is not over in California"
    assert all("<p class=preliminary>" in page.split("<h2>")[0] for page in pages())
    complete(stack, tenant, "2024-03-01 08:00+00")
    assert finished() == [day]
    assert finished() == []
    assert not any("<p class=preliminary>" in page.split("<h2>")[0] for page in pages())
    table = objects(bucket, f"reports/daily/tenant={tenant}/date={DAY}/")["region_daily.csv"].decode()
    assert f"{tenant},DE,{DAY}T08:00:00+00:00,10,2,1" in table
    (dump,) = objects(bucket, f"dumps/region_daily/date={DAY}/").values()
    rows = [row for row in pq.read_table(io.BytesIO(dump)).to_pylist() if row["tenant"] == tenant]
    assert {row["region"]: row["page_views"] for row in rows} == {"DE": 10, "FR": 12}


def test_a_day_that_was_never_written_is_not_begun_by_finishing(stack, tenant, bucket, report):
    complete(stack, tenant, "2019-05-07 00:00+00")
    said = report("finish", "--date", "2019-05-05", "--days", "1")
    assert said["finished"] == []
    assert said["because"]
    assert objects(bucket, "reports/daily/everyone/date=2019-05-05/") == {}
