"""What a run may publish: what it claimed, built and had gated, less the tenants that a gate holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

EVERY_TENANT = "*"
"""The tenant of a failed expectation that cannot say whose rows failed: it holds everyone."""


class NotGated(Exception):
    """A gate has not seen what would be published; the message names the stage."""


class SupersededRun(Exception):
    """A later run holds the claim now."""


@dataclass(frozen=True)
class Hour:
    """One claimed hour of one tenant and why it changed: where a reprocessing changed it, by which run."""

    tenant: str
    start: datetime
    cause: str
    reprocessed_by: UUID | None = None


@dataclass(frozen=True)
class Candidate:
    """What is ``claimed`` as (type, tenant); of it the built hours ``by_type``, without tenants ``held`` and why."""

    claimed: frozenset[tuple[str, str]]
    by_type: Mapping[str, Sequence[Hour]]
    held: dict[str, str]
    tenants: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = {hour.tenant for hours in self.by_type.values() for hour in hours}
        object.__setattr__(self, "tenants", tuple(sorted(names)))

    def hours(self, event_type: str) -> Sequence[Hour]:
        """The hours of one event type to publish."""
        return self.by_type.get(event_type, ())


def read_candidate(connection: psycopg.Connection, run_id: UUID) -> Candidate:
    """What ``run_id`` may publish; an empty claim gives an empty candidate.

    An hour counts as built only with the change_id that dbt read: an hour that was claimed later is not in the build.

    :raises NotGated: a stage has no results, or they are older than the claim or the build.
    :raises SupersededRun: the run built hours and none of them is claimed by it any more.
    """
    if not _has_built(connection):
        raise NotGated("dbt has built nothing yet: run `watershed marts build` and the gates")
    claimed = connection.execute(
        """
        select u.type, u.tenant, u.hour, u.cause, u.reprocessed_by, b.change_id is not null
        from ledger.unpublished as u
        left join intermediate.int_claimed_hours as b
            on
                b.run_id = u.claimed_by
                and b.event_type = u.type
                and b.tenant = u.tenant
                and b.hour = u.hour
                and b.change_id = u.claimed_change_id
        where u.claimed_by = %s
        """,
        (run_id,),
    ).fetchall()
    if not claimed:
        lost = connection.execute(
            """
            select from intermediate.int_claimed_hours
            where run_id = %(run_id)s and not exists (select from ledger.publications where run_id = %(run_id)s)
            limit 1
            """,
            {"run_id": run_id},
        ).fetchone()
        if lost is not None:
            raise SupersededRun(f"run {run_id} holds no claim any more: a later run has taken over what it built")
        return Candidate(frozenset(), {}, {})
    _require_gates(connection, run_id)
    held = _held(connection, run_id, {tenant for _, tenant, *_ in claimed})
    by_type: dict[str, list[Hour]] = {}
    for event_type, tenant, hour, cause, reprocessed_by, is_built in claimed:
        if is_built and tenant not in held:
            by_type.setdefault(event_type, []).append(Hour(tenant, hour, cause, reprocessed_by))
    return Candidate(frozenset((type_, tenant) for type_, tenant, *_ in claimed), by_type, held)


def _has_built(connection: psycopg.Connection) -> bool:
    row = connection.execute("select to_regclass('intermediate.int_claimed_hours') is not null").fetchone()
    return row is not None and bool(row[0])


def _require_gates(connection: psycopg.Connection, run_id: UUID) -> None:
    row = connection.execute(
        """
        select
            (select max(claimed_at) from ledger.unpublished where claimed_by = %(run_id)s),
            (select min(checked_at) from ledger.gate_results where run_id = %(run_id)s and stage = 'rollups'),
            (select max(built_at) from intermediate.int_claimed_hours where run_id = %(run_id)s),
            (select min(checked_at) from ledger.gate_results where run_id = %(run_id)s and stage = 'marts')
        """,
        {"run_id": run_id},
    ).fetchone()
    assert row is not None  # noqa: S101 - a select without from gives a row
    claimed_at, rollups_checked_at, built_at, marts_checked_at = row
    if rollups_checked_at is None or rollups_checked_at < claimed_at:
        raise NotGated(f"the gate on rollups has not seen the claim: run `watershed gate rollups --run-id {run_id}`")
    # Without a build every claimed tenant was held by the gate before it: nothing was built that could be gated.
    if built_at is not None and (marts_checked_at is None or marts_checked_at < built_at):
        raise NotGated(f"the gate on marts has not seen the build: run `watershed gate marts --run-id {run_id}`")


def _held(connection: psycopg.Connection, run_id: UUID, tenants: set[str]) -> dict[str, str]:
    failed = connection.execute(
        """
        select tenant, string_agg(distinct suite || ': ' || expectation, '; ' order by suite || ': ' || expectation)
        from ledger.gate_results
        where run_id = %s and severity = 'stop' and not success
        group by tenant
        """,
        (run_id,),
    ).fetchall()
    reasons: dict[str, str] = dict(failed)
    everyone = reasons.pop(EVERY_TENANT, None)
    if everyone is not None:
        return {tenant: reasons.get(tenant, everyone) for tenant in tenants}
    return {tenant: reason for tenant, reason in reasons.items() if tenant in tenants}


def settle_claim(connection: psycopg.Connection, run_id: UUID, candidate: Candidate) -> None:
    """Take what is published off the books; an hour that changed after the claim stays for the next run.

    What remains of such an hour was received after the rollups were complete through the claim's instant: else its
    oldest receipt would hold completeness back for as long as an hour keeps changing.

    :raises SupersededRun: not every hour was the run's any more: what was copied may be a build that no gate has seen.
    """
    hours = [(type_, hour) for type_, found in candidate.by_type.items() for hour in found]
    published = {
        "run_id": run_id,
        "types": [type_ for type_, _ in hours],
        "tenants": [hour.tenant for _, hour in hours],
        "hours": [hour.start for _, hour in hours],
    }
    # Locked in the order in which the load writes, before anything is deleted: no deadlock with it.
    connection.execute(
        """
        select from ledger.unpublished as u
        inner join unnest(%(types)s::text[], %(tenants)s::text[], %(hours)s::timestamptz[]) as p (type, tenant, hour)
            using (type, tenant, hour)
        order by u.type, u.tenant, u.hour
        for update of u
        """,
        published,
    )
    deleted = connection.execute(
        """
        delete from ledger.unpublished as u
        using unnest(%(types)s::text[], %(tenants)s::text[], %(hours)s::timestamptz[]) as p (type, tenant, hour)
        where
            u.type = p.type and u.tenant = p.tenant and u.hour = p.hour
            and u.claimed_by = %(run_id)s and u.change_id = u.claimed_change_id
        """,
        published,
    )
    kept = connection.execute(
        """
        update ledger.unpublished as u
        set
            received_from = greatest(u.received_from, u.claimed_complete_through),
            claimed_by = null,
            claimed_change_id = null,
            claimed_at = null,
            claimed_complete_through = null
        from unnest(%(types)s::text[], %(tenants)s::text[], %(hours)s::timestamptz[]) as p (type, tenant, hour)
        where
            u.type = p.type and u.tenant = p.tenant and u.hour = p.hour
            and u.claimed_by = %(run_id)s and u.change_id <> u.claimed_change_id
        """,
        published,
    )
    lost = len(hours) - deleted.rowcount - kept.rowcount
    if lost:
        raise SupersededRun(
            f"run {run_id} lost its claim on {lost} of {len(hours)} hours while it published: nothing is published"
        )
