"""Wait until everything that was sent is in the charts, then hold them against the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg import sql

from contracts.registry import Registry
from demo import compare
from demo.compare import Difference
from demo.truth import Truth
from warehouse.claims import COMPLETE_IN_ROLLUPS
from warehouse.marts import EVENT_TYPES

LOOK_EVERY = 3.0
"""Seconds between two looks, each one small query per table."""
TELL_EVERY = 15.0
READ_ONLY = "-c default_transaction_read_only=on -c timezone=UTC"


@dataclass
class Outcome:
    """How a comparison ended. ``waited`` in seconds; ``reason`` says why it ended when not equal."""

    waited: float = 0.0
    freshness: compare.Freshness | None = None
    differences: list[Difference] = field(default_factory=list)
    reason: str | None = None

    @property
    def equal(self) -> bool:
        """Whether the charts show the truth, to the last event."""
        return not self.differences and self.reason is None


def until_equal(
    reader_dsn: str,
    warehouse_dsn: str,
    truth: Truth,
    registry: Registry,
    *,
    sent_by: datetime | None,
    patience: float,
    tell: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Look until the charts equal ``truth``, or it is certain that they will not, or ``patience`` (seconds) is over.

    With ``sent_by`` (when the last event was received) equal is not enough: all that was received by then has to be
    loaded and published, since events sent a second time could still change what is equal now. And once all is, a
    difference is certain. Without it the first look that finds them equal ends it. ``patience`` 0 looks once.
    """
    started, told_at, outcome = time.monotonic(), 0.0, Outcome()
    with (
        psycopg.connect(reader_dsn, autocommit=True, options=READ_ONLY) as reader,
        psycopg.connect(warehouse_dsn, autocommit=True, options=READ_ONLY) as warehouse,
    ):
        while True:
            # Read before the numbers: what it promises is then in them.
            settled = sent_by is not None and is_settled(warehouse, truth, sent_by)
            outcome.freshness = compare.freshness(reader, truth.tenant)
            outcome.differences = compare.marts(reader, truth) + compare.rollups(warehouse, truth, registry)
            outcome.waited = time.monotonic() - started
            if not outcome.differences and (settled or sent_by is None):
                return outcome
            if settled:
                outcome.reason = "everything is loaded and published, and is not equal"
                return outcome
            if outcome.waited >= patience:
                still = (
                    "not equal" if outcome.differences else "equal, but not all that was sent is loaded and published"
                )
                outcome.reason = f"{still} after {outcome.waited:.0f} s"
                return outcome
            if outcome.waited >= told_at + TELL_EVERY:
                told_at = outcome.waited
                tell(_state(outcome))
            pause(LOOK_EVERY)


def is_settled(warehouse: psycopg.Connection, truth: Truth, sent_by: datetime) -> bool:
    """Whether all events of the truth's tenant that were received by ``sent_by`` are in rollups and marts."""
    complete = COMPLETE_IN_ROLLUPS.format(type=sql.Identifier("sent", "type"), tenant=sql.Identifier("sent", "tenant"))
    row = warehouse.execute(
        sql.SQL(
            """
            select
                coalesce(bool_and(({complete}) >= %(by)s), true)
                and not exists (
                    select from ledger.unpublished as u where u.tenant = %(tenant)s and u.type = any(%(charted)s)
                )
            from (select type, %(tenant)s::text as tenant from unnest(%(types)s::text[]) as t (type)) as sent
            """
        ).format(complete=sql.SQL("coalesce(({}), '-infinity')").format(complete)),
        {"by": sent_by, "tenant": truth.tenant, "types": list(truth.totals), "charted": list(EVENT_TYPES)},
    ).fetchone()
    return row is not None and bool(row[0])


def _state(outcome: Outcome) -> str:
    said = outcome.freshness
    if said is None:
        return f"{outcome.waited:.0f} s: nothing is published yet"
    held = f", held: {said.held_because}" if said.held_because else ""
    return (
        f"{outcome.waited:.0f} s: complete through {said.complete_through or 'unknown'}, "
        f"{said.pending_minutes} minutes to load, {len(outcome.differences)} numbers to come{held}"
    )
