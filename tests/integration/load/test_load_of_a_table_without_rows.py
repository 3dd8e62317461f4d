"""A table without a snapshot (just made, or made anew) holds no rows, and its touched minutes come out empty."""

import sys

from collector.lake import ensure_table


def kit(probe):
    """The module that the probe is from, which as a conftest has no name to import it by."""
    return sys.modules[type(probe).__module__]


def touch(probe, tenant):
    probe.query(
        "insert into ledger.touched (type, tenant, minute, cause, received_from, events)"
        " values (%s, %s, %s, 'repair', %s, 1) returning 1",
        probe.contract.type,
        tenant,
        kit(probe).NOON,
        kit(probe).NOON,
    )


def test_a_touched_minute_of_a_table_that_nothing_ever_landed_in_is_done_with(probe, tenant):
    touch(probe, tenant)
    assert probe.load().loads[0].minutes_recomputed == 1
    assert probe.rollup(tenant) == probe.cells(tenant) == probe.touched(tenant) == []


def test_a_minute_recomputed_after_its_table_was_made_anew_is_empty(probe, tenant):
    probe.arrive(tenant, kit(probe).Arrival())
    probe.load()
    assert len(probe.rollup(tenant)) == 1
    probe.catalog.purge_table(probe.contract.table)
    ensure_table(probe.catalog, probe.contract)
    touch(probe, tenant)
    probe.load()
    assert probe.rollup(tenant) == probe.cells(tenant) == probe.touched(tenant) == []
