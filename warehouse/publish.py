"""Replace the claimed periods of the marts by what was built and passed the gates: one transaction, all or nothing.

Readers see the marts before or after it, never between, and never one mart new beside another old. While it runs nobody
claims and nobody builds: all of it is what the gates have seen. After the commit
nothing is left to do: a run that dies has published or has not, and can be repeated.
"""

from dataclasses import dataclass
from uuid import UUID

import psycopg

from runtime import log
from warehouse.claims import SESSION
from warehouse.first_fillings import settle_fillings
from warehouse.marts import MARTS
from warehouse.publication_lock import alone_with_candidates, alone_with_claims
from warehouse.publish_claim import Candidate, NotGated, SupersededRun, read_candidate, settle_claim
from warehouse.publish_freshness import write_freshness
from warehouse.publish_periods import Periods, replace_periods, write_restatements

__all__ = ["NotGated", "Publication", "SupersededRun", "publish", "refresh_freshness"]


@dataclass(frozen=True)
class Publication:
    """What one run has published: rows by tenant, and the tenants that were held with the reason.

    ``marts``: those in which periods were replaced; of a publication that an earlier call made, none.
    """

    run_id: UUID
    rows: dict[str, int]
    held: dict[str, str]
    restatements: int
    repeated: bool = False
    marts: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {
            "run_id": str(self.run_id),
            "published": self.rows,
            "held": self.held,
            "restatements": self.restatements,
            "repeated": self.repeated,
        }

    def tables(self) -> dict[str, list[str]]:
        """For the command's last line, too: which tables this was between."""
        return {
            "reads": [f"marts_build.{name}" for name in self.marts],
            "writes": [f"marts.{name}" for name in self.marts],
        }


def publish(dsn: str, run_id: UUID) -> Publication:
    """Publish run ``run_id``. A run that has published all it claimed changes nothing and gives what it did.

    :raises NotGated: a gate has not looked at everything that the run claimed and built.
    :raises SupersededRun: a later run has taken over the claim; it will publish what this one built.
    :raises psycopg.errors.LockNotAvailable: another publication, a claim or a build did not end in time.
    """
    with psycopg.connect(dsn, options=SESSION) as connection:
        # Before anything is read: of two publications the second sees what the first has done.
        alone_with_claims(connection)
        alone_with_candidates(connection)
        candidate = read_candidate(connection, run_id)
        before = None if candidate.claimed else _published_before(connection, run_id)
        if before is not None:
            return before
        publication = _publish(connection, run_id, candidate)
    log.get(__name__).info("published", **publication.as_json())
    return publication


def _publish(connection: psycopg.Connection, run_id: UUID, candidate: Candidate) -> Publication:
    rows = dict.fromkeys(candidate.tenants, 0)
    restatements = 0
    replaced = {}
    for mart in MARTS:
        periods = Periods.of(connection, candidate, mart)
        if periods:
            replaced[mart] = sorted(set(periods.tenants))
            restatements += write_restatements(connection, run_id, mart, periods)
            for tenant, written in replace_periods(connection, mart, periods).items():
                rows[tenant] += written
    settle_claim(connection, run_id, candidate)
    settle_fillings(connection, replaced)
    write_freshness(connection, candidate.claimed, candidate.held, candidate.tenants)
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ledger.publications as p (run_id, tenant, rows_written, held_because) values (%s, %s, %s, %s)
            on conflict (run_id, tenant) do update set
                published_at = now(),
                rows_written = p.rows_written + excluded.rows_written,
                held_because = excluded.held_because
            """,
            [(run_id, tenant, written, None) for tenant, written in sorted(rows.items())]
            + [(run_id, tenant, 0, reason) for tenant, reason in sorted(candidate.held.items())],
        )
    return Publication(run_id, rows, candidate.held, restatements, marts=tuple(mart.name for mart in replaced))


def _published_before(connection: psycopg.Connection, run_id: UUID) -> Publication | None:
    found = connection.execute(
        "select tenant, rows_written, held_because from ledger.publications where run_id = %s", (run_id,)
    ).fetchall()
    if not found:
        return None
    restatements = connection.execute(
        "select count(*) from ledger.restatements where run_id = %s", (run_id,)
    ).fetchone()
    return Publication(
        run_id,
        {tenant: rows for tenant, rows, held in found if held is None},
        {tenant: held for tenant, _, held in found if held is not None},
        restatements[0] if restatements else 0,
        repeated=True,
    )


def refresh_freshness(dsn: str) -> int:
    """Bring ``marts.freshness`` up to date while there is nothing to publish; gives its number of rows."""
    with psycopg.connect(dsn, options=SESSION) as connection:
        alone_with_claims(connection)
        return write_freshness(connection, (), None)
