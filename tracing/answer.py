"""What is told of one event: its arrivals with their verdicts, and the rows it counts in, as JSON has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.model import Contract
from tracing import charts, ledger
from tracing.judge import WINNER, Arrival, Identity, standing
from tracing.key import adds
from tracing.lake import Snapshot

NOT_LOADED, WAITING, HELD, QUARANTINED, COUNTED = "not loaded", "waiting", "held", "quarantined", "counted"
_SHOWN = (
    "collector_id", "sequence", "occurred_at", "received_at", "schema_version", "minted", "land_seq", "content_hash",
)  # fmt: skip


def by_event(type_: str, arrivals: Sequence[Arrival], cursor: int) -> dict[Identity, list[Arrival]]:
    """The arrivals of a type apart by event, each with its verdict, what is charted first; events by tenant and time.

    ``cursor``: the ``land_seq`` up to which rows are loaded.
    """
    apart: dict[Identity, list[Arrival]] = {}
    for arrival in arrivals:
        apart.setdefault(arrival.identity(type_), []).append(arrival)
    return {event: standing(apart[event], cursor) for event in sorted(apart)}


def verdict(arrival: Arrival, cursor: int, minute: Mapping[str, Any], booked: tuple[int, int]) -> str:
    """One word for what became of an arrival.

    ``not loaded``: no load has read it. ``quarantined``: it arrived when its minute lay below the floor of the lake,
    and is counted nowhere; ``booked`` are the landed and quarantined rows of its minute and hour of receipt, which all
    share that fate or none. ``held``: its minute is not recomputed as long as a file with rows of it is missing.
    ``waiting``: its minute is to be recomputed. Else ``counted``, ``duplicate`` or ``collision``.
    """
    if arrival.row["land_seq"] > cursor:
        return NOT_LOADED
    landed, apart = booked
    if apart and apart == landed:
        return QUARANTINED
    if minute["held"]:
        return HELD
    if minute["waiting_since"] is not None:
        return WAITING
    return COUNTED if arrival.verdict == WINNER else arrival.verdict


def of_event(  # noqa: PLR0917 - as its one caller has them
    asked: ledger.Asked,
    contract: Contract,
    event: Identity,
    arrivals: Sequence[Arrival],
    cursor: int,
    snapshots: Mapping[str, Snapshot],
) -> dict[str, Any]:
    """Everything about one event of the lake; ``arrivals`` are all of it, as :func:`by_event` has them."""
    place = (event.type, event.tenant, event.minute)
    minute, hour = asked.once(ledger.minute, *place), asked.once(ledger.hour, *place)
    told = []
    for arrival in arrivals:
        received_hour = arrival.row["received_at"].replace(minute=0, second=0, microsecond=0)
        booked = asked.once(ledger.quarantined, *place, received_hour)
        told.append(_arrival(asked, contract, arrival, verdict(arrival, cursor, minute, booked), snapshots))
    counting = [a for a, said in zip(arrivals, told, strict=True) if said["verdict"] not in (NOT_LOADED, QUARANTINED)]
    found: dict[str, Any] = {
        "type": event.type,
        "tenant": event.tenant,
        "event_id": event.event_id,
        "minute": event.minute.isoformat(),
        "verdict": told[0]["verdict"],
        "arrivals": told,
        "erased": any(one["erased"] for one in told),
        "minute_state": ledger.plain(minute),
        "hour_state": ledger.plain(hour),
        "repairs": [ledger.plain(r) for r in asked.once(ledger.repairs, (event.event_id,))],
        "rollup": None,
        "marts": [],
    }
    if counting:
        first = counting[0].row
        rollup = charts.rollup_row(asked.connection, event, contract, first, minute["downsampled_to"])
        found["rollup"] = {
            "table": f"rollups.{rollup.table}",
            "minute": rollup.minute.isoformat(),
            "key": rollup.key,
            "over_cap": rollup.over_cap,
            "adds": ledger.plain(adds(first, contract)),
            "row": ledger.plain(rollup.row),
        }
        found["marts"] = [_mart(m) for m in charts.mart_rows(asked.connection, event, rollup.key, hour["time_zone"])]
    return found


def _arrival(
    asked: ledger.Asked,
    contract: Contract,
    arrival: Arrival,
    said: str,
    snapshots: Mapping[str, Snapshot],
) -> dict[str, Any]:
    row, snapshot = arrival.row, snapshots.get(arrival.file)
    load = None if said == NOT_LOADED else asked.once(ledger.load_of, contract.type, row["land_seq"])
    return {
        "verdict": said,
        "is": arrival.verdict,
        "copy": arrival.copy,
        "erased": row.get("erased") is True,  # a column that is younger than many a table
        **{name: ledger.plain_value(row[name]) for name in _SHOWN},
        "kafka": {
            "topic": contract.topic,
            "partition": row.get("kafka_partition"),
            "offset": row.get("kafka_offset"),
        },
        "file": arrival.file,
        "snapshot": None if snapshot is None else snapshot.snapshot_id,
        "snapshot_operation": None if snapshot is None else snapshot.operation,
        "load": ledger.plain(load),
    }


def _mart(found: charts.MartRows) -> dict[str, Any]:
    return {
        "mart": f"marts.{found.mart}",
        "period_start": found.period_start.isoformat(),
        "rows": [ledger.plain(row) for row in found.rows],
        "restated": [ledger.plain(row) for row in found.restated],
    }
