"""Ids that are used for two times are found on the night of their receipt, on the real lake."""

import uuid
from datetime import date, timedelta
from typing import Any

import pytest

from spark_jobs.audit_ids import EXAMPLES, Audit, audit, audit_again
from spark_jobs.settings import AuditSettings

DAY = date(2026, 3, 1)


@pytest.fixture
def look(probe: Any) -> Any:
    """An audit of the probe's type."""

    def looked(day: date = DAY, **changes: Any) -> Audit:
        settings = AuditSettings(**{**probe.settings.model_dump(), **changes})
        done = audit([probe.contract], settings, day)
        assert done.failed == {}
        return done

    return looked


def of(done: Audit, probe: Any, tenant: str) -> tuple[int, int, int]:
    (one,) = [one for one in done.types[probe.contract.type] if one.tenant == tenant]
    return one.ids, one.reused, one.surplus


def test_an_id_at_two_minutes_is_found_and_one_that_was_resent_is_not(
    probe: Any, look: Any, tenant: str, arrival: Any
) -> None:
    probe.arrive(
        tenant,
        arrival(event=1, minute=0),
        arrival(event=1, minute=0, second=30, sequence=2, received_after=60),
        arrival(event=2, minute=1, sequence=3),
        arrival(event=2, minute=2, sequence=4),
        arrival(event=2, minute=9, sequence=5),
        arrival(event=3, minute=3, sequence=6),
    )
    probe.arrive(f"{tenant}-b", arrival(event=3, minute=5))
    done = look()
    assert of(done, probe, tenant) == (3, 1, 2)
    assert of(done, probe, f"{tenant}-b") == (1, 0, 0), "the same id of another tenant is another event"
    query = "select * from ledger.id_audits where tenant = %s"
    (row,) = probe.query(query, tenant)
    (example,) = row["examples"]
    assert example["event_id"] == probe.row(tenant, arrival(event=2))["event_id"]
    assert (row["reused"], example["minutes"]) == (1, 3)
    look()
    assert len(probe.query(query, tenant)) == 1, "a second audit replaces the first"


def test_an_id_used_again_days_later_is_found_on_the_day_it_comes_again(
    probe: Any, look: Any, tenant: str, arrival: Any
) -> None:
    week = 7 * 24 * 60
    probe.arrive(tenant, arrival(event=5, minute=0), arrival(event=6, minute=1, sequence=2))
    probe.arrive(tenant, arrival(event=5, minute=week, sequence=3))
    assert of(look(), probe, tenant) == (2, 0, 0), "what came later does not change what is said of a day"
    later = DAY + timedelta(days=7)
    assert of(look(later), probe, tenant) == (1, 1, 1)
    assert of(look(later, audit_look_back_days=3), probe, tenant) == (1, 0, 0)


def test_a_missing_file_is_read_around_and_the_rest_is_found(probe: Any, look: Any, tenant: str, arrival: Any) -> None:
    probe.arrive(tenant, arrival(event=7, minute=-2000, received_after=1), arrival(event=8, minute=-2000, sequence=2))
    probe.arrive(tenant, arrival(event=7, minute=2, sequence=3), arrival(event=9, minute=0, sequence=4))
    before = set(probe.catalog.load_table(probe.contract.table).inspect.files()["file_path"].to_pylist())
    probe.arrive(tenant, arrival(event=9, minute=5, sequence=5))
    table = probe.catalog.load_table(probe.contract.table)
    (gone,) = set(table.inspect.files()["file_path"].to_pylist()) - before
    content = table.io.new_input(gone).open().read()
    table.io.delete(gone)
    (file,) = probe.query(
        "insert into ledger.lake_files (type, path, manifest, rows, state) values (%s, %s, 'm', 1, 'missing')"
        " on conflict (path) do update set state = 'missing' returning file_id",
        probe.contract.type, gone,
    )  # fmt: skip
    said = "select reused::int, files_missing from marts.id_audits where tenant = %s"
    try:
        less = look()
        assert of(less, probe, tenant) == (2, 1, 1), "the id whose other row lies in it is not known to be used twice"
        assert less.files_missing == {probe.contract.type: 1}
        assert probe.query(said, tenant) == [{"reused": 1, "files_missing": 1}]
        settings = AuditSettings(**probe.settings.model_dump())
        assert audit_again([probe.contract], settings) == [], "it is missing still"
        with table.io.new_output(gone).create() as output:
            output.write(content)
        probe.watershed.execute("update ledger.lake_files set state = 'here' where file_id = %s", (file["file_id"],))
        (whole,) = audit_again([probe.contract], settings)
    finally:
        with table.io.new_output(gone).create(overwrite=True) as output:
            output.write(content)
        probe.watershed.execute("delete from ledger.lake_files where file_id = %s", (file["file_id"],))
    assert (whole.day, of(whole, probe, tenant), whole.files_missing) == (DAY, (2, 2, 2), {})
    assert probe.query(said, tenant) == [{"reused": 2, "files_missing": 0}]
    assert audit_again([probe.contract], settings) == [], "once"


def test_of_many_reused_ids_some_are_named(probe: Any, look: Any, tenant: str, arrival: Any) -> None:
    rows = [
        probe.row(tenant, arrival(event=n, minute=minute, sequence=n))
        for n in range(1, EXAMPLES + 6)
        for minute in (0, 1)
    ]
    probe.land(rows)
    done = look()
    (one,) = [one for one in done.types[probe.contract.type] if one.tenant == tenant]
    assert one.reused == EXAMPLES + 5
    named = [example["event_id"] for example in one.examples]
    assert named == sorted({row["event_id"] for row in rows})[:EXAMPLES]
    assert all(uuid.UUID(each) for each in named)
