"""Events followed from the lake to the charts, on the real servers: what is told of each is what SQL says."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import functions as F

from collector.lake import arrow_schema_of, ensure_table
from collector.land_quality import REJECTED_EVENTS
from spark_jobs.catalog import catalog_dsn
from spark_jobs.dedupe import judged
from tracing import charts, kafka, ledger
from tracing.judge import Identity
from tracing.lake import Wanted
from tracing.settings import TraceSettings
from tracing.trace import tables, trace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDS = 1_000


@pytest.fixture(scope="module")
def settings(stack: Any) -> TraceSettings:
    return TraceSettings(**{n: stack.env[n.upper()] for n in TraceSettings.model_fields if n.upper() in stack.env})


@pytest.fixture
def ask(probe: Any, settings: TraceSettings) -> Any:
    """What is told of events of the probe's type."""

    def asked(*ids: str, beyond: bool = False, **wanted: Any) -> dict[str, Any]:
        locations = tables([probe.contract], catalog_dsn(settings))
        return trace([probe.contract], settings, locations, Wanted(frozenset(ids), **wanted), beyond=beyond)

    return asked


def crowd(probe: Any, tenant: str, arrival: Any) -> list[dict[str, Any]]:
    """A thousand events of ten minutes, many resent, some with other content, more pages than a minute may have."""
    chance = random.Random(20261129)  # noqa: S311 - chooses examples
    rows = []
    for event in range(IDS):
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            data = {
                "page": f"/{chance.choice('aaabbbcccde') if chance.random() < 0.1 else 'abcde'[event % 5]}",
                "region": "DE" if event % 3 else None,
                "status": 500 if event % 7 == 0 else 200,
                "amount": Decimal(event) / 100,
                "is_bot": event % 11 == 0 or None,
            }
            came = arrival(
                event=event + 10_000,
                sequence=chance.randint(1, 3),
                minute=event % 10,
                second=event % 60,
                received_after=chance.choice((1, 2, 90)),
                collector=chance.choice("ab"),
                data=data,
            )
            rows.append(probe.row(tenant, came))
    chance.shuffle(rows)
    return rows


def test_what_is_told_of_a_thousand_events_is_what_sql_says(probe: Any, ask: Any, tenant: str, arrival: Any) -> None:
    rows = crowd(probe, tenant, arrival)
    third = len(rows) // 3
    probe.land(rows[:third])
    probe.land(rows[third : 2 * third])
    probe.load()
    loaded = probe.land_seq
    probe.land(rows[2 * third :])
    ids = {row["event_id"] for row in rows}
    assert len(ids) == IDS
    told = ask(*ids, tenant=tenant)["events"]

    here = probe.spark().read.table(f"lake.{probe.contract.table}").where(F.col("tenant") == tenant)
    known = here.where(F.col("land_seq") <= loaded).withColumn("minute", F.date_trunc("minute", "occurred_at"))
    verdict = F.when(F.col("winner"), "counted").when(F.col("duplicate"), "duplicate").otherwise("collision")
    key = ("event_id", "received_at", "collector_id", "sequence", "content_hash")
    said = judged(known).select(*key[:1], *key[2:], verdict.alias("verdict"), "copy").toArrow().to_pylist()
    by_sql = Counter(tuple(row.values()) for row in said)
    by_trace = Counter(
        (event["event_id"], *(one[name] for name in (*key[2:], "verdict", "copy")))
        for event in told
        for one in event["arrivals"]
        if one["verdict"] != "not loaded"
    )
    assert by_trace == by_sql
    later = [one for event in told for one in event["arrivals"] if one["verdict"] == "not loaded"]
    assert len(later) == len(rows) - 2 * third
    assert {one["load"] for one in later} == {None}

    added: dict[tuple[Any, ...], list[Decimal]] = {}
    for event in told:
        rollup = event["rollup"]
        if rollup is not None:
            assert rollup["row"] is not None, event
            place = (datetime.fromisoformat(rollup["minute"]), *rollup["key"].values())
            sums = added.setdefault(place, [Decimal()] * 4)
            names = ("seen", "bots", "errors", "amount_sum")
            added[place] = [a + Decimal(rollup["adds"].get(name, 0)) for a, name in zip(sums, names, strict=True)]
    charted = {
        (r["minute"], r["region"], r["page"], r["status"]): [
            Decimal(r[name]) for name in ("seen", "bots", "errors", "amount_sum")
        ]
        for r in probe.rollup(tenant)
    }
    assert added == charted, "every event in the row that it is told to count in, and nothing else there"
    assert any("(other)" in place for place in charted)


def test_one_event_is_told_with_its_file_commit_and_run(probe: Any, ask: Any, tenant: str, arrival: Any) -> None:
    row = probe.row(tenant, arrival(event=1, minute=30)) | {"kafka_partition": 4, "kafka_offset": 77, "erased": True}
    probe.land([row])
    run = str(probe.load().run_id)
    landed = probe.land_seq
    probe.land([row | {"sequence": 2, "received_at": row["received_at"] + timedelta(hours=2)}])
    probe.load()
    (event,) = ask(row["event_id"], tenant=tenant)["events"]
    first, second = event["arrivals"]
    assert (event["verdict"], first["verdict"], second["verdict"]) == ("counted", "counted", "duplicate")
    assert event["erased"], "somebody was forgotten, and it counts as before"
    assert event["minute_state"]["erased"] == 2
    assert first["kafka"] == {"topic": probe.contract.topic, "partition": 4, "offset": 77}
    assert (first["land_seq"], first["load"]["run_id"]) == (landed, run)
    assert second["load"]["run_id"] != run
    table = probe.catalog.load_table(probe.contract.table)
    files = table.inspect.files()["file_path"].to_pylist()
    assert {first["file"], second["file"]} <= set(files)
    added = {s.snapshot_id for s in table.snapshots() if s.snapshot_id in (first["snapshot"], second["snapshot"])}
    assert added == {first["snapshot"], second["snapshot"]}
    assert len(added) == 2
    assert first["snapshot_operation"] == "append"
    assert event["rollup"]["row"]["seen"] == 1
    narrow = ask(row["event_id"], since=NOON + timedelta(minutes=30), before=NOON + timedelta(minutes=31))
    assert narrow["events"][0]["arrivals"] == event["arrivals"]


def test_what_waits_is_held_or_quarantined_is_told_so(probe: Any, ask: Any, tenant: str, arrival: Any) -> None:
    row = probe.row(tenant, arrival(event=2, minute=40))
    probe.land([row])
    probe.load()
    type_, minute = probe.contract.type, NOON + timedelta(minutes=40)

    def verdict() -> str:
        return str(ask(row["event_id"], tenant=tenant)["events"][0]["verdict"])

    probe.query(
        "insert into ledger.touched (type, tenant, minute, cause, received_from) values (%s, %s, %s, 'repair', now())"
        " returning type",
        type_, tenant, minute,
    )  # fmt: skip
    assert verdict() == "waiting"
    (file,) = probe.query(
        "insert into ledger.lake_files (type, path, manifest, rows, state) values (%s, %s, 'm', 1, 'missing')"
        " returning file_id",
        type_, f"s3://lake/{uuid.uuid4()}",
    )  # fmt: skip
    probe.query(
        "insert into ledger.held_minutes (type, tenant, minute, file_id) values (%s, %s, %s, %s) returning type",
        type_, tenant, minute, file["file_id"],
    )  # fmt: skip
    assert verdict() == "held"
    probe.watershed.execute("delete from ledger.lake_files where file_id = %s", (file["file_id"],))
    probe.load()
    assert verdict() == "counted"
    probe.watershed.execute("update ledger.cells set quarantined = landed, counted = 0 where tenant = %s", (tenant,))
    assert verdict() == "quarantined"


@pytest.fixture
def topic(stack: Any, probe: Any) -> Iterator[str]:
    """The probe's topic: three messages of one partition, the second of event 3."""
    connection = {"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"]}
    admin = AdminClient(connection)
    for future in admin.create_topics([NewTopic(probe.contract.topic, 1, 1)]).values():
        future.result(30)
    producer = Producer(connection)
    for number in (0, 3, 4):
        value = json.dumps({"event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"kafka {number}"))})
        producer.produce(probe.contract.topic, value.encode(), partition=0)
    assert producer.flush(60) == 0
    yield probe.contract.topic
    for future in admin.delete_topics([probe.contract.topic]).values():
        future.result(30)


def test_what_is_not_in_the_lake_is_found_among_rejects_and_in_kafka_or_said_to_be_nowhere(
    probe: Any, ask: Any, settings: TraceSettings, topic: str, tenant: str
) -> None:
    waiting = str(uuid.uuid5(uuid.NAMESPACE_OID, "kafka 3"))
    found = ask(waiting, beyond=True)
    assert found["unlanded"] == [{"topic": topic, "partition": 0, "offset": 1}]
    assert found["not_found"] == []
    landed = kafka.look(settings, topic, {0: 2}, {waiting}, lambda n: None)
    assert (landed.places, landed.messages, landed.trouble) == ([], 1, None)

    refused, reject_id = str(uuid.uuid4()), str(uuid.uuid4())
    rejects = ensure_table(probe.catalog, REJECTED_EVENTS)
    rejection = {
        "reject_id": reject_id, "tenant": tenant, "event_type": probe.contract.type, "received_at": NOON,
        "stage": "collector", "reasons": '[{"pointer": "/data/status", "keyword": "type", "message": "no number"}]',
        "body": json.dumps({"event_id": refused}), "body_encoding": "utf-8", "kafka_partition": 0, "kafka_offset": 5,
        "land_seq": int(rejects.properties.get("watershed.land_seq", 0)),
    }  # fmt: skip
    rejects.append(pa.Table.from_pylist([rejection], schema=arrow_schema_of(REJECTED_EVENTS.columns)))
    for asked in (refused, reject_id):
        (one,) = ask(asked, beyond=True)["rejects"]
        assert (one["reject_id"], one["reasons"][0]["keyword"]) == (reject_id, "type")

    nowhere = str(uuid.uuid4())
    found = ask(nowhere, beyond=True)
    assert found["not_found"] == [nowhere]
    looked = {place["in"]: place for place in found["looked"]}
    assert f"lake.{probe.contract.table}" in looked
    assert looked[f"Kafka {topic}"]["messages"] == 3
    assert looked["lake.quality.rejected_events"]["rejected_events"] >= 1


def test_the_rows_of_marts_are_those_of_the_tenants_own_days(probe: Any, settings: TraceSettings, tenant: str) -> None:
    """An event at 20:00 UTC is of the next day in Kolkata, which begins at 18:30 UTC."""
    at = datetime(2026, 3, 1, 20, tzinfo=UTC)
    day = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
    insert = (
        "insert into marts.page_daily (tenant, page_name, period_start, page_views, visitors, bot_page_views,"
        " visitors_sketch) values (%s, %s, %s, %s, 1, 0, '{}') returning tenant"
    )
    run = uuid.uuid4()
    for page, start, views in (("/a", day, 3), ("/b", day, 4), ("/a", day - timedelta(days=1), 5)):
        probe.query(insert, tenant, page, start, views)
    probe.query(
        "insert into ledger.restatements (run_id, mart, tenant, period_start, key, old, new, cause, reprocessed_by)"
        " select gen_random_uuid(), 'page_daily', %s, %s, k::jsonb, '{\"page_views\": 2}', '{}', 'late,reprocess', %s"
        " from unnest(%s::text[]) as k returning tenant",
        tenant, day, [run], ['{"page_name": "/a"}', '{"page_name": "/b"}'],
    )  # fmt: skip
    try:
        with ledger.connect(settings.tracer_dsn) as warehouse:
            event = Identity("page_view", tenant, at, "e")
            key = {"region": "DE", "page_name": "/a"}
            marts = {m.mart: m for m in charts.mart_rows(warehouse, event, key, "Asia/Kolkata")}
        page = marts["page_daily"]
        assert (page.period_start, [row["page_views"] for row in page.rows]) == (day, [3])
        assert [(r["key"], r["old"], r["cause"], r["reprocessed_by"]) for r in page.restated] == [
            ({"page_name": "/a"}, {"page_views": 2}, "late,reprocess", [str(run)])
        ]
        assert probe.query("select reprocessed_by from marts.restatements where tenant = %s limit 1", tenant) == [
            {"reprocessed_by": [run]}
        ]
        assert marts["region_hourly"].period_start == at
        assert marts["region_hourly"].rows == []
        assert marts.keys() == {m for m in marts if m.startswith(("page_", "region_"))}
    finally:
        probe.watershed.execute("delete from marts.page_daily where tenant = %s", (tenant,))
        probe.watershed.execute("delete from ledger.restatements where tenant = %s", (tenant,))
