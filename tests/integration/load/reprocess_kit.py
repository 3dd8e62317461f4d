"""What the tests of reprocessing share: a day that is loaded, and ways to spoil and to see it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)


class Killed(Exception):
    """The process ends here."""


def loaded(probe: Any, tenant: str, arrival: Any) -> None:
    """A day with events in three hours: copies, collisions, money, visitors, more pages than the cap."""
    arrivals = [
        arrival(
            event=n if n % 5 else n - 1,
            sequence=n + 1,
            minute=(n % 3) * 240 + n % 7,
            second=n % 50,
            data={"page": f"/{n % 5}", "amount": Decimal(n) / 4, "quantity": n, "visitor": f"v{n % 4}", "region": "DE"},
        )
        for n in range(1, 40)
    ]
    probe.arrive(tenant, *arrivals)
    probe.load()


def seen(probe: Any, tenant: str) -> dict[datetime, int]:
    found: dict[datetime, int] = {}
    for row in probe.rollup(tenant):
        found[row["minute"]] = found.get(row["minute"], 0) + row["seen"]
    return found


def waiting_hours(probe: Any, tenant: str) -> list[tuple[datetime, str]]:
    rows = probe.query("select hour, cause from ledger.unpublished where tenant = %s order by hour", tenant)
    return [(row["hour"], row["cause"]) for row in rows]


def published(probe: Any, tenant: str) -> None:
    """As if the marts had all that is loaded."""
    probe.watershed.execute("delete from ledger.unpublished where tenant = %s", (tenant,))


def spoil(probe: Any, tenant: str, *minutes: datetime) -> None:
    """Count five too many in each row of ``minutes``, as a bug or a hand might."""
    probe.watershed.execute(
        f"update rollups.{probe.contract.rollup_table} set seen = seen + 5 where tenant = %s and minute = any(%s)",
        (tenant, list(minutes)),
    )


def told(outcome: Any) -> dict[tuple[str, str], tuple[str | None, str | None, int]]:
    return {(d["part"], d["measure"]): (d["old"], d["new"], d["rows"]) for d in outcome.as_json()["differences"]}


def die(*_: Any) -> Mapping[str, int]:
    raise Killed
