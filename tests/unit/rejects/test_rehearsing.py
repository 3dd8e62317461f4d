"""Whose events a proposed contract would refuse: a real Iceberg table on a disk, filled as the lander fills it."""

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from collector.lake import arrow_schema_of, ensure_table
from collector.land_decode import Batch
from collector.land_events import EventDecoder
from collector.land_quality import REJECTED_EVENTS
from contracts.model import UnknownType
from contracts.parse import HERE, decimal_pattern, parse
from contracts.registry import Registry
from contracts.validate import EventValidator
from rejects.rehearse import Rehearsal, event_of, rehearse
from tests.unit.rejects.rejects_kit import REGISTRY, purchase

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
WEEK_AGO = NOW - timedelta(days=7)
RECEIVED = NOW - timedelta(days=1)


def message(number: int, tenant: str = "acme", received: datetime = RECEIVED, **data: Any) -> dict[str, Any]:
    """What the collector put into the topic."""
    stamp = received.isoformat()
    return {
        "event_id": str(uuid.UUID(int=number)), "event_type": "purchase", "schema_version": 1, "occurred_at": stamp,
        "received_at": stamp, "tenant": tenant, "collector_id": "c" * 16, "sequence": number, "minted": False,
        "data": purchase(**data)["data"],
    }  # fmt: skip


MESSAGES = [
    message(1),
    message(2, amount="1200.5"),
    message(3, "globex", region="AT"),
    message(4, "globex", region="AT", amount="0.00"),
    message(5, "globex", RECEIVED - timedelta(days=30), region="AT"),
]


def landed(*messages: Mapping[str, Any]) -> pa.Table:
    """The rows that the lander makes of them."""
    batch = Batch([json.dumps(m).encode() for m in messages], [0] * len(messages), list(range(len(messages))))
    decoded = EventDecoder(REGISTRY.newest("purchase"), b"k" * 16).decode(batch)
    assert not decoded.poison
    rows = [{**row, "land_seq": 1} for row in decoded.rows.to_pylist()]
    return pa.Table.from_pylist(
        rows, schema=decoded.rows.schema.append(pa.field("land_seq", pa.int64(), nullable=False))
    )


def rejection(number: int, body: Any, key: str = "k_1") -> dict[str, Any]:
    return {
        "reject_id": f"r-{number}", "tenant": "acme", "event_type": "purchase", "key_id": key, "received_at": RECEIVED,
        "stage": "collector", "reasons": "[]", "body": json.dumps(body), "body_encoding": "utf-8",
        "kafka_partition": 0, "kafka_offset": number, "land_seq": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlCatalog]:
    folder: Path = tmp_path_factory.mktemp("lake")
    made = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/lake")
    table = ensure_table(made, REGISTRY.newest("purchase"))
    rows = landed(*MESSAGES)
    for part in (rows.slice(0, 2), rows.slice(2)):
        table.append(part.select(table.schema().column_names))
    erased = rows.slice(0, 1).to_pylist()[0]
    erased |= dict.fromkeys(REGISTRY.newest("purchase").pii) | {"received_at": RECEIVED, "erased": True}
    table.append(pa.Table.from_pylist([erased], schema=rows.schema).select(table.schema().column_names))
    found = [rejection(1, purchase(coupon="x")), rejection(2, purchase(coupon=5)), rejection(3, "text", "k_2")]
    rejected = ensure_table(made, REJECTED_EVENTS)
    for part in (found, found[:1]):
        rejected.append(pa.Table.from_pylist(part, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
    yield made
    made.close()


@pytest.fixture
def propose(catalog: SqlCatalog, tmp_path: Path) -> Any:
    """Rehearses ``v<N>`` of purchase with properties changed."""

    def run(
        version: int,
        required: tuple[str, ...] = (),
        tenant: str | None = None,
        missing: Callable[[str], Collection[str]] = lambda _: (),
        **properties: Any,
    ) -> Rehearsal:
        schema = json.loads((HERE / "purchase" / "v1.schema.json").read_text())
        schema["required"] += required
        schema["properties"] |= properties
        (tmp_path / "purchase").mkdir(exist_ok=True)
        file = tmp_path / "purchase" / f"v{version}.schema.json"
        file.write_text(json.dumps(schema))
        return rehearse(parse(file), REGISTRY, catalog, since=WEEK_AGO, tenant=tenant, missing=missing)

    return run


COUPON = {
    "type": "string", "maxLength": 20, "pattern": "^[^\\u0000-\\u001F]*$", "description": "The coupon's code.",
}  # fmt: skip


def test_events_of_the_lake_are_judged_as_they_were_sent(catalog: SqlCatalog) -> None:
    rows = catalog.load_table("events.purchase").scan().to_arrow().to_pylist()
    contract = REGISTRY.newest("purchase")
    events = [event_of(row, contract, contract.version) for row in rows if row["purchase_id"] is not None]
    assert len(events) == len(MESSAGES)
    validator = EventValidator(REGISTRY)
    assert [validator.violations(event) for event in events] == [()] * len(events)
    assert {event["data"]["amount"] for event in events} == {"19.9", "1200.5", "0"}


def test_a_contract_that_breaks_nobody_says_so(propose: Any) -> None:
    found = propose(2, coupon=COUPON)
    assert not found.breaks
    assert (found.senders.judged, found.senders.refused, found.erased, found.version) == (4, 0, 1, 1)
    assert found.as_json()["tables"] == []


def test_senders_that_would_break_are_named_with_reason_count_and_example(propose: Any) -> None:
    found = propose(
        2, required=("coupon",), coupon=COUPON, region={"type": "string", "enum": ["DE"], "description": "R."}
    )
    said = found.as_json()
    assert found.breaks
    assert (said["judged"], said["would_break"]) == (4, 4)
    assert {(one["tenant"], one["reason"], one["field"]): one["events"] for one in said["senders"]} == {
        ("acme", "required", "/data"): 2,
        ("globex", "required", "/data"): 2,
        ("globex", "enum", "/data/region"): 2,
    }
    enum = next(one for one in said["senders"] if one["reason"] == "enum")
    assert enum["example"]["event_id"] in {m["event_id"] for m in MESSAGES[2:4]}
    assert json.dumps(said)


def test_only_recent_events_and_those_of_the_tenant_are_judged(propose: Any) -> None:
    assert propose(2, coupon=COUPON).senders.judged == len(MESSAGES) - 1
    assert propose(2, tenant="globex", coupon=COUPON).senders.judged == 2


def test_a_version_that_is_in_force_is_judged_by_its_own_events(propose: Any) -> None:
    found = propose(1, region={"type": "string", "enum": ["DE"], "description": "R."})
    assert (found.version, found.senders.judged, found.senders.refused) == (1, 4, 2)
    assert any("region" in line for line in found.as_json()["tables"]), "and an edit of it must break nobody"


def test_of_what_was_rejected_it_says_how_many_would_pass_by_key(propose: Any) -> None:
    assert propose(2, coupon=COUPON).as_json()["rejected"] == [
        {"tenant": "acme", "key_id": "k_1", "events": 2, "would_pass": 1},
        {"tenant": "acme", "key_id": "k_2", "events": 1, "would_pass": 0},
    ]


def test_a_column_that_could_not_be_is_said_though_no_event_breaks(propose: Any) -> None:
    spec = REGISTRY.newest("purchase").field_named("amount")
    assert spec.precision is not None
    assert spec.scale is not None
    finer = {"precision": spec.precision, "scale": spec.scale + 1}
    schema = REGISTRY.newest("purchase").schema["properties"]["amount"]
    pattern = decimal_pattern(finer["precision"], finer["scale"], signed=schema["pattern"].startswith("^-?"))
    found = propose(2, amount={**schema, "pattern": pattern, "x-decimal": finer})
    assert found.senders.refused == 0
    assert found.breaks
    assert "amount" in found.as_json()["tables"][0]


def test_files_that_are_missing_are_read_around_and_told(catalog: SqlCatalog, propose: Any) -> None:
    files = {
        "purchase": catalog.load_table("events.purchase").inspect.files()["file_path"].to_pylist()[:1],
        "rejected_events": catalog.load_table("quality.rejected_events").inspect.files()["file_path"].to_pylist(),
    }
    whole, less = propose(2), propose(2, missing=files.__getitem__)
    assert 0 < less.senders.judged + less.erased < whole.senders.judged + whole.erased
    assert (whole.files_missing, less.as_json()["files_missing"]) == (0, 3)
    assert whole.rejected
    assert not less.rejected


def test_a_type_that_nobody_sends_cannot_be_rehearsed(catalog: SqlCatalog, tmp_path: Path) -> None:
    schema = json.loads((HERE / "purchase" / "v1.schema.json").read_text()) | {"title": "level_up"}
    (tmp_path / "level_up").mkdir()
    file = tmp_path / "level_up" / "v1.schema.json"
    file.write_text(json.dumps(schema))
    with pytest.raises(UnknownType):
        rehearse(parse(file), Registry.load(HERE), catalog, since=WEEK_AGO)
