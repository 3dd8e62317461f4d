"""How fresh the marts are, and what the gates found last, of all tenants together and without their names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import psycopg

from warehouse.marts import MARTS

# The least complete tenant of each event type; whether the completeness of any is unknown, and how many are held.
FRESHNESS = """
    select event_type, min(complete_through), bool_or(complete_through is null), count(held_because)
    from marts.freshness
    group by event_type
"""
# What the newest run of each suite found. A check that passed for all has one row; one that failed, one a tenant.
GATES = """
    with newest as (
        select distinct on (suite) suite, run_id from marts.gate_results order by suite, checked_at desc
    )
    select split_part(g.suite, '.', 2), max(g.checked_at), count(distinct g.expectation) filter (where not g.success)
    from marts.gate_results as g
    inner join newest as n on g.suite = n.suite and g.run_id = n.run_id
    group by 1
"""
UNKNOWN = "not known yet"


@dataclass(frozen=True)
class State:
    """Of one relation, or of several taken together. ``complete_through`` is None where it is not known for all."""

    complete_through: datetime | None = None
    held: int = 0
    checked_at: datetime | None = None
    failures: int = 0
    is_mart: bool = True

    @classmethod
    def of(cls, states: Iterable["State"]) -> Self:
        """Several together: as far as the least complete, looked at when the longest ago, with the failures of all."""
        found = [state for state in states if state.is_mart]
        through = [state.complete_through for state in found]
        checked = [state.checked_at for state in found]
        return cls(
            None if None in through else min(filter(None, through), default=None),
            max((state.held for state in found), default=0),
            min(filter(None, checked), default=None),
            sum(state.failures for state in found),
        )

    @property
    def freshness(self) -> str:
        """Complete through when, and whether tenants are held."""
        held = f" (tenants whose newest numbers are held: {self.held})" if self.held else ""
        return f"{_spelled(self.complete_through)}{held}"

    @property
    def gate(self) -> str:
        """What the gate's newest look found."""
        if self.checked_at is None:
            return "no gate has looked yet"
        found = f"checks failed: {self.failures}" if self.failures else "passed"
        return f"{found}, {_spelled(self.checked_at)}"

    def sentence(self, read_at: datetime) -> str:
        """For a description."""
        fresh = f"Complete through: {self.freshness}. " if self.is_mart else ""
        return f"**State.** {fresh}Last gate: {self.gate}. (Read {_spelled(read_at)}.)"


def read_states(dsn: str) -> dict[str, State]:
    """The state of every mart and rollup by its name, as role `reader` sees it.

    :raises psycopg.Error: the warehouse cannot be read.
    """
    with psycopg.connect(dsn) as connection:
        types = {
            name: (None if unknown else least, held) for name, least, unknown, held in connection.execute(FRESHNESS)
        }
        gates = {name: (checked_at, failures) for name, checked_at, failures in connection.execute(GATES)}
    return states(types, gates)


def states(
    types: Mapping[str, tuple[datetime | None, int]], gates: Mapping[str, tuple[datetime, int]]
) -> dict[str, State]:
    """By mart or rollup; ``types``: complete through and held tenants by event type; ``gates``: last look, failures."""
    found = {}
    for mart in MARTS:
        known = [types.get(name, (None, 0)) for name in mart.event_types]
        through = [each for each, _ in known]
        least = None if None in through else min(filter(None, through), default=None)
        checked_at, failures = gates.get(mart.name, (None, 0))
        found[mart.name] = State(least, max((held for _, held in known), default=0), checked_at, failures)
    for name in gates.keys() - found.keys():
        found[name] = State(None, 0, *gates[name], is_mart=False)
    return found


def _spelled(instant: datetime | None) -> str:
    return UNKNOWN if instant is None else instant.strftime("%Y-%m-%d %H:%M UTC")
