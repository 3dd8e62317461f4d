"""What the planner is told of: without it a build of one hour reads the whole history."""

from datetime import UTC, datetime, timedelta

from contracts.registry import Registry
from tests.integration.marts.warehouse_kit import Minute, Warehouse
from warehouse.migrate import migrate

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)
COST = "select current_setting('random_page_cost')::float"


def test_the_planner_knows_of_a_claim_from_its_first_moment(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR + timedelta(hours=hour)) for hour in range(3)])
    warehouse.claim()
    run_id = warehouse.claim().run_id
    [(known,)] = warehouse.rows(
        """
        select most_common_vals::text::uuid[] from pg_stats
        where schemaname = 'ledger' and tablename = 'unpublished' and attname = 'claimed_by'
        """
    )
    assert known == [run_id]


def test_every_role_takes_an_index_for_cheap_unless_an_operator_said_otherwise(warehouse: Warehouse) -> None:
    assert {cost for role in warehouse.dsns for (cost,) in warehouse.rows(COST, role=role)} == {1.1}
    name = warehouse.rows("select quote_ident(current_database())")[0][0]
    warehouse.rows(f"alter database {name} set random_page_cost = 3")
    migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    assert warehouse.rows(COST) == [(3.0,)]
    warehouse.rows(f"alter database {name} reset random_page_cost")
    migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    assert warehouse.rows(COST) == [(1.1,)]
