"""Which rejections of the lake are chosen, and how they are counted: a real Iceberg table on a disk."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from collector.lake import arrow_schema_of, ensure_table
from collector.land_quality import REJECTED_EVENTS
from rejects.browse import Overview
from rejects.options import chosen
from rejects.read import rejects
from rejects.reject import Chosen
from spark_jobs.reject_labels import Labels
from tests.unit.rejects.rejects_kit import REGISTRY

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATTERN = {"pointer": "/data/amount", "keyword": "pattern", "message": "is not as described"}
UNKNOWN = {"pointer": "/data/jane", "keyword": "additionalProperties", "message": "'jane' is not a field"}


def row(number: int, minutes: float = 0, body: Any = None, **changes: Any) -> dict[str, Any]:
    return {
        "reject_id": f"r-{number}", "tenant": "acme", "event_type": "purchase", "key_id": "k_1",
        "received_at": NOON + timedelta(minutes=minutes), "collector_id": "c" * 16, "sequence": number,
        "stage": "collector", "reasons": json.dumps([PATTERN]), "body": json.dumps(body or {}),
        "body_encoding": "utf-8", "kafka_partition": 0, "kafka_offset": number, "land_seq": 1,
    } | changes  # fmt: skip


ROWS = [
    row(1, body={"schema_version": 1, "data": {}}),
    row(2, 1, tenant="globex", key_id="k_2", reasons=json.dumps([UNKNOWN, PATTERN])),
    row(3, 61, event_type="page_view", body={"schema_version": 2}),
    row(4, 62, event_type=None, reasons="not JSON", body=None),
    row(5, 63, body_encoding="base64") | {"body": base64.b64encode(b"\xff\x00").decode()},
    row(6, 64, body={"schema_version": True}),
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlCatalog]:
    folder: Path = tmp_path_factory.mktemp("lake")
    made = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/lake")
    assert list(rejects(made, Chosen())) == [], "no table yet, no rejects"
    table = ensure_table(made, REJECTED_EVENTS)
    for part in (ROWS[:3], ROWS[3:], ROWS[:1]):  # the first lands twice
        table.append(pa.Table.from_pylist(part, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Chosen(), "123456"),
        (Chosen(reason="pattern"), "12356"),
        (Chosen(reason="additionalProperties"), "2"),
        (Chosen(reason="additionalProperties", field="/data/amount"), ""),
        (Chosen(field="/data/amount"), "12356"),
        (Chosen(event_type="page_view"), "3"),
        (Chosen(tenant="globex"), "2"),
        (Chosen(key_id="k_2"), "2"),
        (Chosen(version="1"), "1"),
        (Chosen(version="none"), "2456"),
        (Chosen(since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=62)), "23"),
        (Chosen(ids=("r-2", "r-5", "r-99")), "25"),
        (Chosen(tenant="acme", reason="pattern", version="2"), "3"),
    ],
)
def test_rejections_are_chosen_by_what_they_say(catalog: SqlCatalog, wanted: Chosen, numbers: str) -> None:
    assert sorted({r.reject_id for r in rejects(catalog, wanted)}) == [f"r-{n}" for n in numbers]


def test_a_file_that_is_missing_is_read_around(tmp_path: Path) -> None:
    made = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake")
    table = ensure_table(made, REJECTED_EVENTS)
    for part in (ROWS[:1], ROWS[1:2]):
        table.append(pa.Table.from_pylist(part, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
    files = table.inspect.files()["file_path"].to_pylist()
    (gone,) = (file for file in files if [r.reject_id for r in rejects(made, Chosen(), {file})] == ["r-2"])
    Path(gone.removeprefix("file://")).unlink()
    assert [r.reject_id for r in rejects(made, Chosen(), {gone})] == ["r-2"]
    with pytest.raises(FileNotFoundError):
        list(rejects(made, Chosen()))
    made.close()


@pytest.mark.parametrize(("said", "version"), [("2", "2"), ("v2", "2"), ("none", "none"), ("", None), (None, None)])
def test_a_version_is_asked_for_as_it_is_shown(said: str | None, version: str | None) -> None:
    assert chosen(None, None, None, None, None, said, None, None).version == version


def test_a_rejection_has_its_untouched_body_and_says_where_it_came_from(catalog: SqlCatalog) -> None:
    one = next(rejects(catalog, Chosen(ids=("r-5",))))
    assert one.body == b"\xff\x00"
    assert (one.as_json()["body"], one.as_json()["body_encoding"]) == ("/wA=", "base64")
    assert (one.collector_id, one.sequence, one.kafka_offset, one.key_id) == ("c" * 16, 5, 5, "k_1")
    assert one.received_at == NOON + timedelta(minutes=63)
    first = next(rejects(catalog, Chosen(ids=("r-1",))))
    assert first.as_json()["body"] == '{"schema_version": 1, "data": {}}'
    assert json.dumps(first.as_json())


def test_the_overview_counts_each_once_by_reason_and_by_sender_and_shows_the_newest(catalog: SqlCatalog) -> None:
    overview = Overview(Labels(REGISTRY), limit=2)
    for one in rejects(catalog, Chosen()):
        overview.add(one)
    found = overview.as_json()
    assert found["events"] == 6, "the one that landed twice is one"
    assert {(r["event_type"], r["reason"], r["field"]): r["events"] for r in found["reasons"]} == {
        ("purchase", "pattern", "/data/amount"): 4,
        ("purchase", "additionalProperties", "/data/(unknown)"): 1,
        ("page_view", "pattern", "/data/amount"): 1,
        ("(none)", "(unknown)", ""): 1,
    }
    by_sender = {
        (s["tenant"], s["key_id"], s["event_type"], s["schema_version"]): s["events"] for s in found["senders"]
    }
    assert by_sender["acme", "k_1", "purchase", "1"] == 1
    assert by_sender["acme", "k_1", "purchase", "none"] == 2
    assert by_sender["globex", "k_2", "purchase", "none"] == 1
    assert sum(by_sender.values()) == 6
    assert [one["reject_id"] for one in found["newest"]] == ["r-6", "r-5"]
