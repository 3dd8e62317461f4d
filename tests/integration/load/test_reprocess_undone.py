"""A reprocessing is taken back, as far as what it replaced is still known and nothing came since."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from spark_jobs import reprocess as job
from tests.integration.load.reprocess_kit import NOON, loaded, seen, spoil
from warehouse import erasures, reprocess_runs
from warehouse.reprocess_undo import CannotUndo


def test_after_a_change_of_columns_an_undo_is_refused(probe, tenant, arrival):
    """As if the tables had got a column since, first the rollup and then the books."""
    loaded(probe, tenant, arrival)
    first, *_ = sorted(seen(probe, tenant))
    spoil(probe, tenant, first)
    applied = probe.reprocess(tenant)
    mended = probe.checksum(tenant)
    for part, column in (("cells", "copies"), ("rollup", "seen")):
        probe.watershed.execute(
            "update ledger.reprocess_rows set content = content - %s where run_id = %s and part = %s",
            (column, applied.run_id, part),
        )
        with pytest.raises(CannotUndo, match=rf"other columns then \({column}\)"):
            probe.undo(applied.run_id)
        probe.watershed.execute(
            "delete from ledger.reprocess_rows where run_id = %s and part = 'cells'", (applied.run_id,)
        )
    assert probe.checksum(tenant) == mended


def test_a_minute_that_was_recomputed_since_is_not_undone(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    first, second, *_ = sorted(numbers)
    spoil(probe, tenant, first, second)
    spoiled = seen(probe, tenant)
    applied = probe.reprocess(tenant)
    probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=int((first - NOON) / timedelta(minutes=1))))
    probe.load()
    assert probe.undo(applied.run_id).outcomes == {"newer": 1, "replaced": 1}
    assert seen(probe, tenant) == {**numbers, first: numbers[first] + 1, second: spoiled[second]}


def test_what_was_replaced_is_forgotten_after_its_days(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    spoil(probe, tenant, *seen(probe, tenant))
    applied = probe.reprocess(tenant)
    with psycopg.connect(probe.maintainer.maintainer_dsn, autocommit=True) as maintainer:
        assert reprocess_runs.forget(maintainer, timedelta(days=30), dry_run=True) == 0
        probe.watershed.execute(
            "update ledger.reprocesses set finished_at = now() - interval '31 days' where run_id = %s",
            (applied.run_id,),
        )
        assert reprocess_runs.forget(maintainer, timedelta(days=30), dry_run=True) == 1
        assert reprocess_runs.forget(maintainer, timedelta(days=30)) == 1
    assert probe.query("select from ledger.reprocess_rows where run_id = %s", applied.run_id) == []
    with pytest.raises(CannotUndo, match="no run"):
        probe.undo(applied.run_id)


def test_what_is_kept_of_minutes_with_somebody_forgotten_goes_and_an_undo_leaves_them_alone(
    probe, tenant, arrival, stack, monkeypatch
):
    loaded(probe, tenant, arrival)
    minutes = sorted(seen(probe, tenant))
    spoil(probe, tenant, *minutes)
    touches = {(tenant, minute) for minute in minutes[:2]}

    def kept() -> list[tuple[str, datetime]]:
        rows = probe.query(
            "select minute from ledger.reprocess_rows where tenant = %s"
            " union select minute from ledger.reprocess_minutes where tenant = %s",
            tenant, tenant,
        )  # fmt: skip
        return sorted(row["minute"] for row in rows)

    def forget() -> None:
        with psycopg.connect(stack.env["ERASER_DSN"], autocommit=True) as eraser:
            one = erasures.begin(eraser, tenant, "visitor", "ab" * 16, "tests")
            erasures.note(eraser, one.erasure_id, probe.contract.type, touches, {})
            erasures.touch(eraser, one.erasure_id, timedelta(milliseconds=200))

    def meanwhile(*arguments: Any) -> Any:
        """The lake is read already, and the rows that are kept are written after this."""
        with pytest.raises(erasures.ReprocessingAtWork, match=r"process \d+ of Postgres, role loader.* --list` says"):
            forget()
        return compute(*arguments)

    compute = job.recompute_span
    monkeypatch.setattr(job, "recompute_span", meanwhile)
    run = probe.reprocess(tenant)
    assert kept() == minutes
    forget()
    assert kept() == minutes[2:]
    probe.load()
    assert probe.undo(run.run_id).outcomes == {"replaced": len(minutes) - 2}
    assert probe.reprocess(tenant, dry_run=True).differing == len(minutes) - 2, "the others are as they were"
    probe.watershed.execute("delete from ledger.erasures where tenant = %s", (tenant,))
