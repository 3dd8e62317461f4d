"""A publication whose commit nobody heard of has been made, and made once."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.faults.wire import Wire
from tests.integration.marts.warehouse_kit import MARTS, Warehouse, totals
from warehouse.publish import publish

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)
RESTATED = "select count(*) from ledger.restatements where run_id = %s"


def test_a_publication_whose_commit_nobody_heard_of_is_there_once(warehouse: Warehouse) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    run_id = warehouse.offer(["a"], HOUR, 5)
    server = urlsplit(warehouse.dsns["PUBLISHER"])
    wire = Wire(server.hostname or "", server.port or 0)
    try:
        wire.lose_reply_to(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            publish(warehouse.dsns["PUBLISHER"].replace(f":{server.port}/", f":{wire.port}/"), run_id)
    finally:
        wire.close()
    assert wire.lost == 1
    warehouse.wait_until(
        "select count(*) = 0 from pg_stat_activity where usename = 'publisher' and datname = current_database()",
    )
    assert totals(warehouse) == {5}
    restated = warehouse.rows(RESTATED, (run_id,))
    assert restated != [(0,)]
    again = warehouse.publish(run_id)
    assert (again.repeated, again.rows) == (True, {"a": len(MARTS)})
    assert totals(warehouse) == {5}
    assert warehouse.rows(RESTATED, (run_id,)) == restated
