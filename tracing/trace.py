"""Find an event wherever it may be: lake, rejects, repairs, Kafka; and say where it was looked for."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import psycopg

from collector.land_commit import State
from collector.land_quality import REJECTED_EVENTS, REJECTS_TOPIC
from contracts.model import Contract
from spark_jobs.catalog import metadata_locations
from spark_jobs.lake import Pinned, pin
from tracing import kafka, lake, ledger, rejected
from tracing.answer import by_event, of_event
from tracing.settings import TraceSettings
from warehouse.held import missing_files


class Watch(Protocol):
    """Who is shown how far the search is."""

    def files(self, table: str, done: int, of: int) -> None:
        """So many files of a table were looked in."""

    def read(self, what: str, more: int) -> None:
        """So many more of ``what`` were read."""


class Silent:
    """Nobody."""

    def files(self, table: str, done: int, of: int) -> None:
        """See :class:`Watch`."""

    def read(self, what: str, more: int) -> None:
        """See :class:`Watch`."""


def trace(
    contracts: Iterable[Contract],
    settings: TraceSettings,
    locations: Mapping[str, str],
    wanted: lake.Wanted,
    *,
    watch: Watch | None = None,
    beyond: bool = True,
) -> dict[str, Any]:
    """Everything about the events ``wanted``, as JSON has it.

    ``locations`` gives by table of the lake where its metadata lies (:func:`tables`). The lake is asked first; with
    ``beyond``, what is not in it is looked for among the rejected events and in Kafka.
    """
    seen = watch or Silent()
    contracts = tuple(contracts)
    with ledger.connect(settings.tracer_dsn) as warehouse:
        # Before the lake is pinned: a row that the warehouse has counted is then among those found.
        cursors = ledger.cursors(warehouse)
        found: dict[str, Any] = {"ids": sorted(wanted.ids), "events": [], "rejects": [], "unlanded": [], "looked": []}
        pins = {t: pin(t, location, settings) for t, location in locations.items()}
        for contract in contracts:
            if contract.table in pins:
                _in_the_lake(contract, pins[contract.table], wanted, warehouse, cursors, found, seen)
        missed = wanted.ids - {event["event_id"] for event in found["events"]}
        if missed and beyond:
            _among_rejects(pins.get(REJECTED_EVENTS.identifier), missed, wanted.tenant, warehouse, found, seen)
            topics = {c.topic: pins.get(c.table) for c in contracts}
            topics[REJECTS_TOPIC] = pins.get(REJECTED_EVENTS.identifier)
            _in_kafka(settings, topics, missed, found, seen)
        if missed:
            found["repairs"] = [ledger.plain(row) for row in ledger.repairs(warehouse, sorted(missed))]
            found["open_collectors"] = [ledger.plain(row) for row in ledger.open_collectors(warehouse)]
        known = {event["event_id"] for event in found["events"]}
        found["not_found"] = sorted(missed - known) if not (found["rejects"] or found["unlanded"]) else []
    return found


def tables(contracts: Iterable[Contract], catalog_dsn: str) -> Mapping[str, str]:
    """Where the metadata of the lake's tables lie: those of ``contracts``, and the rejected events."""
    names = [*(contract.table for contract in contracts), REJECTED_EVENTS.identifier]
    with psycopg.connect(catalog_dsn, autocommit=True) as catalog:
        return metadata_locations(catalog, names)


def _in_the_lake(  # noqa: PLR0917 - one step of the search
    contract: Contract,
    pinned: Pinned,
    wanted: lake.Wanted,
    warehouse: ledger.Connection,
    cursors: Mapping[str, int],
    found: dict[str, Any],
    watch: Watch,
) -> None:
    missing = missing_files(warehouse, contract.type)
    here = lake.find(pinned, wanted, missing, lambda done, of: watch.files(contract.table, done, of))
    found["looked"].append({"in": f"lake.{contract.table}", "files": here.files, "missing": here.missing})
    if not here.arrivals:
        return
    cursor = cursors.get(contract.type, 0)
    snapshots = lake.snapshots(pinned, {arrival.file for arrival in here.arrivals})
    with warehouse.transaction():
        asked = ledger.Asked(warehouse)
        for event, arrivals in by_event(contract.type, here.arrivals, cursor).items():
            found["events"].append(of_event(asked, contract, event, arrivals, cursor, snapshots))


def _among_rejects(  # noqa: PLR0917 - one step of the search
    pinned: Pinned | None,
    ids: frozenset[str],
    tenant: str | None,
    warehouse: ledger.Connection,
    found: dict[str, Any],
    watch: Watch,
) -> None:
    looked, gone = 0, 0

    def more(rows: int) -> None:
        nonlocal looked
        looked += rows
        watch.read("rejected events", rows)

    if pinned is not None:
        missing = missing_files(warehouse, REJECTS_TOPIC)
        gone = len(missing)
        for reject in rejected.find(pinned, ids, tenant, missing, more):
            repairs = ledger.repairs(warehouse, [reject.reject_id])
            found["rejects"].append({**reject.as_json(), "repairs": [ledger.plain(row) for row in repairs]})
    found["looked"].append({"in": f"lake.{REJECTED_EVENTS.identifier}", "rejected_events": looked, "missing": gone})


def _in_kafka(
    settings: TraceSettings,
    topics: Mapping[str, Pinned | None],
    ids: frozenset[str],
    found: dict[str, Any],
    watch: Watch,
) -> None:
    for topic, pinned in topics.items():
        landed = {} if pinned is None else State.of(pinned.source.properties).offsets
        told = kafka.look(settings, topic, landed, ids, lambda n: watch.read("messages that have not landed", n))
        found["unlanded"] += [place._asdict() for place in told.places]
        found["looked"].append({"in": f"Kafka {topic}", "messages": told.messages, "trouble": told.trouble})
