"""A build run claims the hours it will publish; what changes after the claim is left for the next run."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg import sql

from warehouse.claim_quiet_days import claim_quiet_days
from warehouse.marts import EVENT_TYPES, MARTS
from warehouse.publication_lock import alone_with_claims
from warehouse.switch_time_zones import switch_time_zones

SESSION = "-c timezone=UTC -c lock_timeout=60s"
"""Hours are those of UTC, whatever the server's zone; a lock that is not had in time is an error, not a hang."""

COMPLETE_IN_ROLLUPS = sql.SQL("""
    select least(
        c.loaded_through,
        (select min(o.durable_through) from ledger.collectors as o where not o.closed),
        (select min(t.received_from) from ledger.touched as t where t.type = {type} and t.tenant = {tenant}),
        (
            select min(b.received_hour) from ledger.books as b
            where b.type = {type} and b.tenant = {tenant} and b.closed and not b.balanced and b.signed_off_at is null
        )
    )
    from ledger.cursors as c
    where c.type = {type} and c.loaded_through is not null
""")
"""Everything received before this instant is in the rollups; null while it is not known. A closed hour of receipt that
does not balance is not, until someone signs it off. One statement, so one snapshot: a load moves minutes from
``touched`` to ``unpublished``, and in two steps they could be seen in neither."""


@dataclass(frozen=True)
class Claim:
    """What one build run has in hand."""

    run_id: UUID
    hours: int
    tenants: tuple[str, ...]
    types: tuple[str, ...]
    oldest_hour: datetime | None
    switched: tuple[str, ...] = ()
    """Tenants that are built in another time zone from this run on."""

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {
            "run_id": str(self.run_id),
            "hours": self.hours,
            "tenants": list(self.tenants),
            "types": list(self.types),
            "switched": list(self.switched),
            "oldest_hour": self.oldest_hour.isoformat() if self.oldest_hour else None,
        }


def claim(dsn: str, run_id: UUID, *, everything: bool = False) -> Claim:
    """Put everything unpublished into the hands of ``run_id``, also what earlier runs claimed and did not publish.

    ``everything`` adds every hour that is in rollups or in a mart, for a full rebuild. Claiming again extends the claim
    to what has changed since; the gates then have to look again, because publish wants results newer than the claim.

    Where a tenant's time zone was changed, all of its hours are claimed, to be built in the new one; where quiet days
    lie before what changed, the first of them is claimed too.

    A running publication is waited for: it has read what it was to publish, and must find it as it was to the end.

    One transaction, but for the marks of quiet days. Rows are locked in key order, as the load writes them, so that the
    two wait and never deadlock.
    """
    with psycopg.connect(dsn, options=SESSION) as connection:
        with connection.transaction():
            claim_quiet_days(connection)
        alone_with_claims(connection)
        switched = switch_time_zones(connection)
        if everything:
            _add_everything(connection)
        connection.execute("select from ledger.unpublished order by type, tenant, hour for update")
        connection.execute(
            sql.SQL(
                """
                update ledger.unpublished as u
                set
                    claimed_by = %s,
                    claimed_change_id = u.change_id,
                    claimed_at = clock_timestamp(),
                    claimed_complete_through = ({complete})
                """
            ).format(
                complete=COMPLETE_IN_ROLLUPS.format(
                    type=sql.Identifier("u", "type"), tenant=sql.Identifier("u", "tenant")
                )
            ),
            (run_id,),
        )
        # Of a run id that it has not met Postgres expects one row: gates would read the rollups anew for each hour.
        connection.execute("analyze ledger.unpublished")
        row = connection.execute(
            """
            select
                count(*),
                coalesce(array_agg(distinct tenant order by tenant), '{}'),
                coalesce(array_agg(distinct type order by type), '{}'),
                min(hour)
            from ledger.unpublished
            where claimed_by = %s
            """,
            (run_id,),
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
        return Claim(run_id, row[0], tuple(row[1]), tuple(row[2]), row[3], switched)


def _add_everything(connection: psycopg.Connection) -> None:
    """Mark every hour in rollups and every period start in the marts as changed.

    In the marts too, because what has left the rollups must leave them. Nothing new was received, so completeness is
    not put back: hence ``loaded_through`` as the time of receipt.
    """
    sources = [
        sql.SQL("select {type}, tenant, date_trunc('hour', minute) from {table}").format(
            type=sql.Literal(event_type), table=sql.Identifier("rollups", f"{event_type}_minute")
        )
        for event_type in EVENT_TYPES
    ]
    sources += [
        # Any of a mart's types claims its period.
        sql.SQL("select {type}, tenant, date_trunc('hour', period_start) from {table}").format(
            type=sql.Literal(mart.event_types[0]), table=sql.Identifier("marts", mart.name)
        )
        for mart in MARTS
    ]
    connection.execute(
        sql.SQL(
            """
            insert into ledger.unpublished (type, tenant, hour, cause, received_from)
            select everything.type, everything.tenant, everything.hour, 'rebuild', coalesce(c.loaded_through, now())
            from ({sources}) as everything (type, tenant, hour)
            left join ledger.cursors as c on c.type = everything.type
            order by everything.type, everything.tenant, everything.hour
            on conflict (type, tenant, hour) do nothing
            """
        ).format(sources=sql.SQL(" union ").join(sources))
    )
