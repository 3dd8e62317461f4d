"""From a load to the charts, with a history: ``python -m benchmarks.marts``, on the Postgres of the running stack.

Fills the rollups of a database of its own with days of every type (a million events a day, as a load leaves them),
builds all marts once, then measures what `build_marts` does after a load, each step a process as in Airflow: claim,
gate, dbt, gate, publish. Three loads: the minute just past; the same and a minute of the day before, of every type;
the same and a minute at the far end of the history. The database is dropped at the end; one that a killed run left
behind, by the next.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from cli.main import adopt_stack_environment
from contracts.registry import Registry
from stack import remembered
from stack.lifecycle import Stack
from warehouse.migrate import migrate

ROLES = ("WAREHOUSE", "DBT", "GATE", "PUBLISHER")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The last minute of the history ends here: the middle of a day, week and month."""
MINUTE = timedelta(minutes=1)
STEPS = (
    ("marts", "claim"),
    ("gate", "rollups"),
    ("marts", "build"),
    ("gate", "marts"),
    ("publish",),
)
HASH = "(hashint8extended(({} * {})::bigint, 7) >> 1) & 9223372036854775807"
REGION = (
    "(array['US','DE','IN','BR','GB','FR','JP','CA','AU','ES','IT','MX','KR','NL','SE'])[1 + trunc(15 * r * r)::int]"
)
APP = "'app-' || trunc(300 * s * s)"
SEEN = ("count(*)", "'App'", "max(minute)", "1", "max(minute)")


@dataclass(frozen=True)
class Rows:
    """How the rows of a rollup are made of random numbers r, s, t for each event: SQL, in the order of the columns."""

    share: float
    """Of all events."""
    counts: str
    """The measure that counts every event."""
    dimensions: Sequence[str]
    measures: Sequence[str]


ROWS: Mapping[str, Rows] = {
    "page_view": Rows(
        0.6,
        "page_views",
        (REGION, "'/page/' || trunc(300 * s ^ 3)"),
        ("count(*)", "0", f"array_agg(distinct {HASH.format(200000, 't * t')})"),
    ),
    "request_log": Rows(
        0.2,
        "requests",
        (
            "'api'",
            "'GET'",
            "'/path/' || trunc(60 * s ^ 3)",
            "case when t < 0.02 then 500 when t < 0.05 then 404 else 200 end",
            REGION,
        ),
        (
            "count(*)",
            "count(*) filter (where t < 0.02)",
            "jsonb_build_object(150 + trunc(60 * max(s)), count(*))",
            "sum(trunc(200 * s))",
            "count(*) filter (where t >= 0.02 and t < 0.05)",
            "count(*)",
            "count(*) filter (where t >= 0.02)",
            "0",
        ),
    ),
    "metric": Rows(
        0.1,
        "samples",
        ("'host-' || trunc(20 * s)", "'metric-' || trunc(5 * t)"),
        ("count(*)", "sum(trunc(100 * r))", "0", "99", "max(trunc(100 * r))", "max(minute)", "'ms'", "max(minute)"),
    ),
    "purchase": Rows(
        0.04,
        "purchases",
        (REGION, "(array['EUR','USD','INR'])[1 + trunc(3 * t)::int]", APP),
        ("sum(trunc(100 * r))", "count(*)", "count(*)", f"array_agg(distinct {HASH.format(50000, 't')})"),
    ),
    "signup": Rows(
        0.02,
        "signups",
        (REGION, "'web'", "'free'"),
        ("count(*)", f"array_agg(distinct {HASH.format(50000, 't')})"),
    ),
    "refund": Rows(0.01, "refunds", (REGION, "'EUR'", APP), ("sum(trunc(100 * r))", "count(*)")),
    "app_created": Rows(0.02, "apps", (REGION, "'games'", APP), SEEN),
    "app_verified": Rows(0.01, "apps", (REGION, "'games'", APP), SEEN),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 when over the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30, help="of history")
    parser.add_argument("--events", type=int, default=1_000_000, help="a day, over all types")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    adopt_stack_environment()
    with database() as (dsns, environment):
        found = []
        begun = time.monotonic()
        for day in reversed(range(options.days)):
            load(dsns, NOW - timedelta(days=day + 1), timedelta(days=1), options.events)
            sys.stderr.write(f"\r{options.days - day} of {options.days} days, {time.monotonic() - begun:.0f} s")
        sys.stderr.write("\n")
        with psycopg.connect(dsns["WAREHOUSE"], autocommit=True) as owner:
            owner.execute("vacuum analyze")  # what autovacuum has done long since where a history grew by itself
        found.append(step_by_step("everything", environment, "--all"))
        per_minute = max(1, options.events // 1440)
        for name, late in (("a minute", None), ("a day late", 1), ("the oldest", options.days - 1)):
            load(dsns, NOW, MINUTE, per_minute)
            if late is not None:
                load(dsns, NOW - timedelta(days=late), MINUTE, 2 * per_minute)
            found.append(step_by_step(name, environment))
    worst = max(row["seconds"] for row in found[1:])
    sys.stdout.write("".join(f"{row['after']:>12}: {row['seconds']} s\n" for row in found) + "aim: under 60 s\n")
    if options.json:
        sys.stdout.write(json.dumps({"marts": found, "days": options.days, "events": options.events}) + "\n")
    return int(worst > 60)


@contextmanager
def database() -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    """A migrated database of its own: connection strings by role, and the environment of commands that use it."""
    stack = Stack(remembered.recall())
    name = f"bench_{uuid4().hex[:12]}"
    at = urlsplit(stack.env["WAREHOUSE_DSN"])
    admin_dsn = f"postgresql://postgres:{stack.secrets['postgres']}@{at.hostname}:{at.port}/postgres"
    dsns = {role: urlunsplit(urlsplit(stack.env[f"{role}_DSN"])._replace(path=f"/{name}")) for role in ROLES}
    with psycopg.connect(admin_dsn, autocommit=True) as admin, tempfile.TemporaryDirectory() as folder:
        for left in drop_left_behind(admin):
            sys.stderr.write(f"dropped {left}, which a killed run left behind\n")
        admin.execute(sql.SQL("create database {} owner watershed").format(sql.Identifier(name)))
        try:
            with psycopg.connect(dsns["WAREHOUSE"], autocommit=True):  # so long it is in use
                migrate(dsns["WAREHOUSE"], Registry.load())
                written = {"WATERSHED_STATE": folder, "SITE_DIR": f"{folder}/site"}
                yield dsns, {**os.environ, **{f"{role}_DSN": dsn for role, dsn in dsns.items()}, **written}
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def drop_left_behind(admin: psycopg.Connection) -> list[str]:
    """Drop the databases of runs that were killed: those that nobody is connected to. Gives their names."""
    left = admin.execute(
        """
        select d.datname from pg_database as d
        where d.datname ~ '^bench_[0-9a-f]{12}$' and not exists (
            select from pg_stat_activity as a where a.datid = d.oid and a.backend_type = 'client backend'
        )
        """
    ).fetchall()
    for (name,) in left:
        admin.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
    return [name for (name,) in left]


def load(dsns: Mapping[str, str], start: datetime, length: timedelta, events: int) -> None:
    """What a load leaves: whole minutes of random events in rollups, their cells, and their hours marked.

    As the owner, who may do it without the loader's claims on the ledger; a minute that is there already is replaced.
    """
    minutes = length // MINUTE
    with psycopg.connect(dsns["WAREHOUSE"]) as connection:
        connection.execute(
            "set local timezone = 'UTC'; set local synchronous_commit = off; set local work_mem = '256MB'"
        )
        for type_, rows in ROWS.items():
            period = {"type": type_, "start": start, "end": start + length, "minutes": minutes}
            table = sql.Identifier("rollups", f"{type_}_minute")
            connection.execute(
                "select rollups.ensure_months(%s, array[%s::date, %s::date])",
                (f"{type_}_minute", start.date(), (start + length).date()),
            )
            connection.execute(
                sql.SQL("delete from {} where minute >= %(start)s and minute < %(end)s").format(table), period
            )
            made = f"""
                insert into rollups.{type_}_minute
                select 'bench', minute, {", ".join([*rows.dimensions, *rows.measures])}
                from (
                    select
                        %(start)s + trunc(random() * %(minutes)s) * interval '1 minute' as minute,
                        random() as r, random() as s, random() as t
                    from generate_series(1, %(events)s)
                ) as events
                group by {", ".join(str(2 + i) for i in range(len(rows.dimensions) + 1))}
            """  # noqa: S608 - the SQL above
            connection.execute(
                made.encode(),
                {**period, "events": max(1, round(events * rows.share))},
            )
            connection.execute(
                "delete from ledger.cells where type = %(type)s and minute >= %(start)s and minute < %(end)s", period
            )
            connection.execute(
                sql.SQL(
                    """
                    insert into ledger.cells
                    select
                        %(type)s, tenant, minute, date_trunc('hour', minute), sum({count}), sum({count}), 0, 0, 0, 0, 0
                    from {table}
                    where minute >= %(start)s and minute < %(end)s
                    group by tenant, minute
                    """
                ).format(table=table, count=sql.Identifier(rows.counts)),
                period,
            )
            connection.execute(
                """
                insert into ledger.unpublished (type, tenant, hour, cause, received_from)
                select distinct %(type)s, tenant, date_trunc('hour', minute), 'load', %(end)s::timestamptz
                from ledger.cells where type = %(type)s and minute >= %(start)s and minute < %(end)s
                on conflict (type, tenant, hour) do update set change_id = nextval('ledger.change_seq')
                """,
                period,
            )
            connection.execute(
                """
                insert into ledger.cursors as c (type, loaded_through) values (%(type)s, %(end)s)
                on conflict (type) do update set loaded_through = greatest(c.loaded_through, excluded.loaded_through)
                """,
                period,
            )


def step_by_step(name: str, environment: Mapping[str, str], *claiming: str) -> dict[str, Any]:
    """Seconds of each step of one build run, and of all."""
    run_id = str(uuid4())
    seconds: dict[str, float] = {}
    for step in STEPS:
        words = [*step, "--run-id", run_id, "--json", *(claiming if step[-1] == "claim" else ())]
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"watershed {' '.join(step)} failed: {done.stderr[-2000:]}")
        seconds["_".join(step)] = round(time.monotonic() - begun, 2)
        sys.stderr.write(f"after {name}: {' '.join(step)} took {seconds['_'.join(step)]} s\n")
        if step == ("publish",) and (held := json.loads(done.stdout.splitlines()[-1])["held"]):
            raise SystemExit(f"the gates held {held}")
    return {"after": name, "seconds": round(sum(seconds.values()), 2), **seconds}


if __name__ == "__main__":
    sys.exit(main())
