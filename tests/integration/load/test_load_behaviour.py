"""What the load makes of single events, said one at a time."""

import dataclasses
from datetime import timedelta
from decimal import Decimal


def test_a_resent_event_is_counted_once(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=1, data={"page": "/a"}))
    probe.load()
    probe.arrive(tenant, arrival(event=1, sequence=2, received_after=90 * 86400, data={"page": "/a"}))
    probe.load()
    (row,) = probe.rollup(tenant)
    assert row["seen"] == 1
    first, second = probe.cells(tenant)
    assert (first["landed"], first["counted"], first["duplicates"], first["copies"]) == (1, 1, 0, 0)
    assert (second["landed"], second["counted"], second["duplicates"], second["copies"]) == (1, 0, 1, 0)
    assert second["received_hour"] - first["received_hour"] == timedelta(days=90)


def test_a_message_landed_twice_is_a_copy(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=7), arrival(event=1, sequence=7))
    probe.load()
    (cell,) = probe.cells(tenant)
    assert (cell["landed"], cell["counted"], cell["duplicates"], cell["copies"]) == (2, 1, 1, 1)


def test_the_earliest_arrival_wins_also_when_it_lands_last(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=2, received_after=50, data={"page": "/late", "amount": Decimal(5)}))
    probe.load()
    assert [r["page"] for r in probe.rollup(tenant)] == ["/late"]
    probe.arrive(tenant, arrival(event=1, sequence=1, received_after=10, data={"page": "/early", "amount": Decimal(7)}))
    probe.load()
    (row,) = probe.rollup(tenant)
    assert (row["page"], row["amount_sum"]) == ("/early", Decimal(7))
    (cell,) = probe.cells(tenant)
    assert (cell["counted"], cell["collisions"], cell["duplicates"]) == (1, 1, 0)


def test_equal_times_of_receipt_are_decided_by_collector_and_sequence(probe, tenant, arrival):
    probe.arrive(
        tenant,
        arrival(event=1, collector="b", sequence=1, data={"page": "/b1"}),
        arrival(event=1, collector="a", sequence=9, data={"page": "/a9"}),
        arrival(event=1, collector="a", sequence=8, data={"page": "/a8"}),
    )
    probe.load()
    assert [r["page"] for r in probe.rollup(tenant)] == ["/a8"]


def test_what_an_event_does_not_say_has_a_name(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1), arrival(event=2, sequence=2, data={"is_bot": True, "visitor": "robot"}))
    probe.load()
    (row,) = probe.rollup(tenant)
    assert (row["region"], row["page"], row["status"]) == ("ZZ", "(none)", 200)
    assert (row["seen"], row["bots"], row["errors"]) == (2, 1, 0)
    assert (row["amount_sum"], row["amount_last"], row["amount_last_at"]) == (None, None, None)
    assert (row["quantity_spread"], row["visitors"]) == ({}, [])


def test_sums_are_exact_and_never_overflow(probe, tenant, arrival):
    most = 2**53 - 1
    rows = [arrival(event=i, sequence=i, data={"amount": Decimal("0.1"), "quantity": most}) for i in range(1, 1101)]
    probe.arrive(tenant, *rows)
    probe.load()
    (row,) = probe.rollup(tenant)
    assert row["amount_sum"] == Decimal("110.0000")
    assert row["quantity_sum"] == 2**63 - 1  # 1,100 times that is more than a bigint holds: kept at its end


def test_the_last_value_is_that_of_the_latest_event_ties_by_id(probe, tenant, arrival):
    lesser, greater = sorted((1, 2), key=lambda n: probe.row(tenant, arrival(event=n))["event_id"])
    probe.arrive(
        tenant,
        arrival(event=lesser, sequence=1, second=30, data={"amount": Decimal(5)}),
        arrival(event=greater, sequence=2, second=30, data={"amount": Decimal(4)}),
        arrival(event=3, sequence=3, second=40),  # later, but says no amount
        arrival(event=4, sequence=4, second=10, data={"amount": Decimal(9)}),
    )
    probe.load()
    (row,) = probe.rollup(tenant)
    assert (row["amount_last"], row["amount_last_at"].second) == (4, 30)
    assert (row["amount_min"], row["amount_max"]) == (4, 9)


def test_the_last_text_is_kept_and_the_last_person_by_hash_only(probe, tenant, arrival):
    ann = arrival(event=1, sequence=1, second=10, data={"page": "/a", "visitor": "ann"})
    bob = arrival(event=2, sequence=2, second=20, data={"page": "/a", "visitor": "bob"})
    probe.arrive(tenant, ann, bob)
    probe.load()
    (row,) = probe.rollup(tenant)
    assert (row["page_last"], row["page_last_at"].second) == ("/a", 20)
    assert row["visitor_last"] == probe.row(tenant, bob)["visitor_hash"]


def test_keys_over_the_cap_are_summed_under_other_and_reported(probe, tenant, arrival):
    pages = ["/a"] * 3 + ["/b"] * 2 + ["/e"] * 2 + ["/d", "/c"]
    events = [arrival(event=i, sequence=i, data={"page": p}) for i, p in enumerate(pages)]
    resent = [dataclasses.replace(events[-1], sequence=s, received_after=5) for s in (100, 101)]
    probe.arrive(tenant, *events, *resent)
    summary = probe.load()
    # The three most counted stay; that /c was sent three times does not make it more than one event.
    assert {r["page"]: r["seen"] for r in probe.rollup(tenant)} == {"/a": 3, "/b": 2, "/e": 2, "(other)": 2}
    assert [c["over_cap"] for c in probe.cells(tenant)] == [2]
    assert summary.loads[0].over_cap == 2


def test_equal_counts_at_the_cap_are_decided_by_key(probe, tenant, arrival):
    probe.arrive(tenant, *(arrival(event=i, sequence=i, data={"page": p}) for i, p in enumerate("edcba")))
    probe.load()
    assert {r["page"] for r in probe.rollup(tenant)} == {"a", "b", "c", "(other)"}


def test_a_minute_whose_events_are_gone_vanishes(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1), arrival(event=2, sequence=2, minute=1))
    probe.load()
    assert len(probe.rollup(tenant)) == 2
    probe.catalog.load_table(probe.contract.table).delete(f"tenant = '{tenant}' and sequence = 2")
    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from)"
        " select type, tenant, minute, 'erasure', now() from ledger.cells where tenant = %s",
        (tenant,),
    )
    probe.load()
    assert len(probe.rollup(tenant)) == 1
    assert len(probe.cells(tenant)) == 1
    assert probe.touched(tenant) == []
    (hour,) = probe.query("select * from ledger.unpublished where tenant = %s", tenant)
    assert hour["cause"] == "erasure"


def test_late_events_are_told_from_punctual_ones(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1), arrival(event=2, sequence=2, minute=-300, received_after=7200))
    probe.load()
    hours = probe.query("select hour, cause from ledger.unpublished where tenant = %s order by hour", tenant)
    assert [h["cause"] for h in hours] == ["late", "load"]


def test_events_of_any_month_find_a_partition(probe, tenant, arrival):
    year = 365 * 24 * 60
    minutes = [0, -year, -11 * year, year // 12]
    probe.arrive(tenant, *(arrival(event=i, sequence=i, minute=m) for i, m in enumerate(minutes)))
    probe.load()
    assert len(probe.rollup(tenant)) == 4
