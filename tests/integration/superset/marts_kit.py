"""Temporary marts of one connection, and the datasets over them, rendered as Superset renders them.

Nothing of the running warehouse is read or changed: the temporary tables only take the shape of its marts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from jinja2.sandbox import SandboxedEnvironment

from superset_config.bundle import Bundle
from superset_config.macros import MACROS
from warehouse.marts import MARTS

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)  # a Wednesday
BUNDLE = Bundle.load()
DIMENSIONS = {mart.name: mart.dimensions for mart in MARTS}


@dataclass(frozen=True)
class Time:
    """What `get_time_filter` gives a template."""

    from_expr: str | None = None
    to_expr: str | None = None


@dataclass
class Marts:
    """Temporary marts, and the datasets over them."""

    connection: psycopg.Connection[dict[str, Any]]
    datasets: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {d.name: dict(d.content) for d in BUNDLE.of("datasets")}
    )

    def shape(self) -> None:
        """Make an empty temporary table of every mart, published view and all."""
        marts = self.connection.execute(
            "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind in ('r', 'v')"
        ).fetchall()
        for mart in marts:
            name = mart["relname"]
            if not name.startswith("page_views_"):
                self.connection.execute(f"create temp table {name} as select * from marts.{name} with no data".encode())
        grown = """
            , array(
                select count(distinct visitor)
                from generate_series(1, 24) as h (hour)
                left join pg_temp.region_hourly as r
                    on
                        r.tenant = d.tenant and r.period_start >= date_trunc('hour', d.period_start, 'UTC')
                        and r.period_start < date_trunc('hour', d.period_start, 'UTC') + h.hour * interval '1 hour'
                left join unnest(r.visitors_sketch) as visitor on true
                group by h.hour order by h.hour
            ) as visitors_by_hour
        """
        for grain in ("hourly", "daily", "weekly", "monthly"):  # as they are built: what is put into regions is in all
            self.connection.execute(
                f"""
                create temp view page_views_{grain} as
                select
                    tenant, period_start, sum(page_views)::bigint as page_views,
                    sketch.distinct_estimate(sketch.merge_distinct(visitors_sketch)) as visitors,
                    sum(bot_page_views)::bigint as bot_page_views,
                    sketch.merge_distinct(visitors_sketch) as visitors_sketch
                    {grown if grain == "daily" else ""}
                from pg_temp.region_{grain} as d group by tenant, period_start
                """.encode()
            )

    def put(self, mart: str, at: str, *, tenant: str = "t", **values: object) -> None:
        """One row of a mart; columns that are not named are null."""
        row = {"tenant": tenant, "period_start": at + "+00", **values}
        columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        self.connection.execute(f"insert into pg_temp.{mart} ({columns}) values ({marks})".encode(), list(row.values()))

    def add(
        self, mart: str, key: str, at: str, views: int, visitors: Sequence[int], *, tenant: str = "t", bots: int = 0
    ) -> None:
        """One row of a mart of page views; ``visitors`` are the hashes, ``key`` page, region, or both in this order."""
        self.put(
            mart,
            at,
            tenant=tenant,
            **dict(zip(DIMENSIONS[mart], key.split(), strict=True)),
            page_views=views,
            visitors=len(visitors),
            bot_page_views=bots,
            visitors_sketch=sorted(visitors),
        )

    def fresh(
        self,
        tenant: str,
        newest: str,
        complete: datetime | None = NOW,
        held: str | None = None,
        event_type: str = "page_view",
        *,
        time_zone: str = "UTC",
    ) -> None:
        """The tenant's row of freshness of an event type."""
        self.connection.execute(
            "insert into pg_temp.freshness values (%s, %s, %s, 0, 0, %s, now(), %s, %s)",
            (tenant, event_type, complete, newest + "+00", held, time_zone),
        )

    def sql(
        self,
        dataset: str,
        time: Time | None = None,
        grain: str | None = None,
        *,
        asked: Sequence[str] = ("day",),
        **filters: Sequence[str],
    ) -> str:
        """A dataset's SQL over the temporary marts, with the dashboard's ``filters`` and ``time``, for columns."""

        def filter_values(column: str, remove_filter: bool = False) -> list[str]:
            return list(filters.get(column, ()))

        context = {
            **MACROS,
            "filter_values": filter_values,
            "get_time_filter": lambda **_: time or Time(),
            "time_grain": grain,
            "columns": list(asked),
        }
        template = SandboxedEnvironment().from_string(self.datasets[dataset]["sql"])
        return template.render(context).replace("marts.", "pg_temp.")

    def rows(
        self, dataset: str, time: Time | None = None, grain: str | None = None, **filters: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The rows a dataset has."""
        return self.connection.execute(self.sql(dataset, time, grain, **filters).encode()).fetchall()

    def metric(self, dataset: str, name: str, where: str = "true", **filters: Sequence[str]) -> Any:
        """A metric of a dataset over all its rows, as a big number asks for it, or over some, as its line does."""
        metric = next(each for each in self.datasets[dataset]["metrics"] if each["metric_name"] == name)
        asked = () if where == "true" else ("day",)
        sql = (
            f"select {metric['expression']} as n from ({self.sql(dataset, asked=asked, **filters)}) as d where {where}"
        )
        row = self.connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row["n"]
