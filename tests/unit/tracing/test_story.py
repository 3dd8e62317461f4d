"""What a person is told, from an answer: in the order of the way, and with the way out."""

from typing import Any

from tests.unit.tracing.trace_kit import event_id
from tracing.story import told

ARRIVAL = {
    "verdict": "counted", "is": "winner", "copy": False, "collector_id": "aa", "sequence": 7, "minted": False,
    "occurred_at": "2026-03-01T12:00:07+00:00", "received_at": "2026-03-01T12:00:08+00:00", "land_seq": 3,
    "kafka": {"topic": "events.purchase", "partition": 2, "offset": 107}, "file": "s3://lake/f.parquet",
    "snapshot": 99, "snapshot_operation": "append", "load": {"run_id": "run-1", "started_at": "12:01"}, "erased": False,
}  # fmt: skip
EVENT = {
    "type": "purchase", "tenant": "acme", "event_id": event_id(1), "minute": "2026-03-01T12:00:00+00:00",
    "verdict": "counted", "erased": False, "repairs": [], "arrivals": [ARRIVAL],
    "minute_state": {}, "hour_state": {"waiting_since": None, "held_because": None, "complete_through": "12:05"},
    "rollup": {
        "table": "rollups.purchase_minute", "minute": "2026-03-01T12:00:00+00:00", "key": {"region": "DE"},
        "over_cap": False, "adds": {"purchases": 1}, "row": {"purchases": 4},
    },
    "marts": [{"mart": "marts.revenue_daily", "period_start": "2026-03", "rows": [{"revenue": "9"}], "restated": []}],
}  # fmt: skip
EMPTY: dict[str, Any] = {
    "ids": [event_id(1)], "events": [], "rejects": [], "unlanded": [], "looked": [], "not_found": [], "repairs": [],
    "open_collectors": [],
}  # fmt: skip


def story(**answer: Any) -> str:
    return "\n".join(told({**EMPTY, **answer}))


def event(**changes: Any) -> dict[str, Any]:
    return {**EVENT, **changes}


def test_an_event_is_told_in_the_order_of_its_way() -> None:
    text = story(events=[EVENT])
    order = ["counted", "received", "sequence 7", "partition 2, offset 107", "s3://lake/f.parquet", "snapshot 99"]
    order += ["run-1", "rollups.purchase_minute", "purchases 1", "marts.revenue_daily", "revenue=9"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_duplicate_is_told_beside_the_original_and_a_collision_beside_the_winner() -> None:
    again = {**ARRIVAL, "verdict": "duplicate", "is": "duplicate", "sequence": 8}
    other = {**ARRIVAL, "verdict": "collision", "is": "collision", "sequence": 9}
    text = story(events=[event(arrivals=[ARRIVAL, again, other])])
    assert text.index("sequence 7") < text.index("a duplicate") < text.index("sequence 8")
    assert text.index("sequence 8") < text.index("a collision") < text.index("sequence 9")


def test_an_id_at_two_minutes_is_said_to_be_counted_twice() -> None:
    assert "counted more than once" not in story(events=[EVENT])
    text = story(events=[EVENT, event(minute="2026-03-01T12:09:00+00:00")])
    assert "counted more than once" in text
    assert "12:09" in text
    assert "counted more than once" not in story(events=[EVENT, event(tenant="globex", minute="other")])


def test_what_is_not_loaded_held_or_waiting_says_why() -> None:
    for verdict, said in (
        ("not loaded", "no load has read it"),
        ("held", "books show --red"),
        ("waiting", "next load"),
    ):
        arrival = {**ARRIVAL, "verdict": verdict, "load": None}
        assert said in story(events=[event(verdict=verdict, arrivals=[arrival], rollup=None, marts=[])])
    gated = {**EVENT["hour_state"], "held_because": "revenue: too low"}  # type: ignore[dict-item]
    assert "revenue: too low" in story(events=[event(hour_state=gated)])


def test_a_change_of_a_final_number_is_told_with_its_cause() -> None:
    late = {"restated_at": "12:30", "cause": "late", "run_id": "run-9", "reprocessed_by": None}
    anew = {"restated_at": "12:40", "cause": "reprocess", "run_id": "run-10", "reprocessed_by": ["re-1", "re-2"]}
    text = story(events=[event(marts=[{**EVENT["marts"][0], "restated": [late, anew]}])])  # type: ignore[index]
    assert "restated 12:30 by late, run run-9" in text
    assert text.count("watershed reprocess") == 2, "and of a reprocessing, which of its runs it was"
    assert text.index("run run-10") < text.index("`watershed reprocess`, run re-1") < text.index("run re-2")


def test_an_event_of_somebody_forgotten_is_told_so_and_still_counts() -> None:
    assert "forgotten" not in story(events=[EVENT])
    text = story(events=[event(erased=True, arrivals=[{**ARRIVAL, "erased": True}])])
    assert "somebody in it was forgotten" in text
    assert "it is counted" in text


def test_a_rejection_is_told_with_every_reason_and_the_way_out() -> None:
    reject = {
        "reject_id": "r-1", "tenant": "acme", "event_type": "purchase", "received_at": "12:00", "collector_id": "aa",
        "sequence": 4, "kafka_partition": 0, "kafka_offset": 5, "land_seq": 2, "repairs": [], "erased": False,
        "reasons": [
            {"pointer": "/data/amount", "keyword": "pattern", "message": "is not as described"},
            {"pointer": "", "keyword": "additionalProperties", "message": "x is not known"},
        ],
    }  # fmt: skip
    text = story(rejects=[reject])
    for said in (
        "/data/amount pattern",
        "(the event) additionalProperties",
        "partition 0, offset 5",
        "rejects show r-1",
    ):
        assert said in text
    gone = story(rejects=[{**reject, "erased": True}])
    assert "somebody in it was forgotten" in gone
    assert "can mend it" not in gone
    repair = {"type": "purchase", "event_id": "e", "run_id": "run-3", "refused": None, "loaded_at": "13:00"}
    assert "repaired   as purchase e by run run-3: loaded" in story(rejects=[{**reject, "repairs": [repair]}])


def test_what_is_in_kafka_only_is_told_with_its_place() -> None:
    text = story(unlanded=[{"topic": "events.purchase", "partition": 1, "offset": 5}])
    assert "topic events.purchase, partition 1, offset 5" in text
    assert "lake status" in text


def test_what_is_nowhere_is_said_not_to_be_known_and_where_it_was_looked_for() -> None:
    looked = [
        {"in": "lake.events.purchase", "files": 1200, "missing": 1},
        {"in": "Kafka events.purchase", "messages": 0, "trouble": "Kafka does not answer: down"},
    ]
    collector = {"collector_id": "cc", "durable_through": "11:59"}
    text = story(not_found=[event_id(1)], looked=looked, open_collectors=[collector])
    for said in (f"{event_id(1)}: not known", "1,200 files", "1 missing", "does not answer", "cc", "books show"):
        assert said in text
