"""Wait until the platform says that everything sent is in the charts, then hold them against the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from contracts.registry import Registry
from demo import compare
from demo.compare import Difference
from demo.truth import Truth

LOOK_EVERY = 3.0
"""Seconds between two looks, each one small query per table."""
TELL_EVERY = 15.0


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
    loader_dsn: str,
    truth: Truth,
    registry: Registry,
    *,
    sent_by: datetime | None,
    patience: float,
    tell: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Look until the charts equal ``truth``, or it is certain that they will not, or ``patience`` (seconds) is over.

    Certain: the platform says it is complete through ``sent_by`` (when the last event was received), has nothing
    pending, and still differs. ``patience`` 0 looks once.
    """
    started = time.monotonic()
    outcome, told_at = Outcome(), 0.0
    with (
        psycopg.connect(reader_dsn, autocommit=True, application_name="demo compare") as reader,
        psycopg.connect(loader_dsn, autocommit=True, application_name="demo compare") as loader,
    ):
        while True:
            # Read before the numbers: what it promises is then in them.
            outcome.freshness = compare.freshness(reader, truth.tenant)
            outcome.differences = compare.marts(reader, truth) + compare.rollups(loader, truth, registry)
            outcome.waited = time.monotonic() - started
            if not outcome.differences:
                return outcome
            if _complete(outcome.freshness, sent_by) and not _elsewhere(outcome.differences):
                outcome.reason = "the platform says it is complete, and is not equal"
                return outcome
            if outcome.waited >= patience:
                outcome.reason = f"not equal after {outcome.waited:.0f} s"
                return outcome
            if outcome.waited >= told_at + TELL_EVERY:
                told_at = outcome.waited
                tell(_state(outcome))
            pause(LOOK_EVERY)


def _complete(freshness: compare.Freshness | None, sent_by: datetime | None) -> bool:
    if freshness is None or freshness.complete_through is None or sent_by is None or freshness.pending_minutes:
        return False
    return datetime.fromisoformat(freshness.complete_through) >= sent_by


def _elsewhere(differences: list[Difference]) -> bool:
    """Whether types that have no mart, and so no word on how complete they are, still differ."""
    return any(d.where.startswith("rollups.") and d.where != "rollups.page_view_minute" for d in differences)


def _state(outcome: Outcome) -> str:
    said = outcome.freshness
    if said is None:
        return f"{outcome.waited:.0f} s: nothing is published yet"
    held = f", held: {said.held_because}" if said.held_because else ""
    return (
        f"{outcome.waited:.0f} s: complete through {said.complete_through or 'unknown'}, "
        f"{said.pending_minutes} minutes to load, {len(outcome.differences)} numbers to come{held}"
    )
