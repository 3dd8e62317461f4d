"""Which statements follow from a contract, and which changes of one are refused."""

import dataclasses

import pytest

from contracts.columns import rollup_columns
from contracts.model import Contract, Dimension, FieldSpec, Measure, Rollup
from warehouse.ddl import BreakingChange, plan


def field(name: str, kind: str = "string", **more: object) -> FieldSpec:
    values = {"required": True, "precision": None, "scale": None, "pii": False, "default": None} | more
    return FieldSpec(name=name, kind=kind, description=f"The {name}'s own.", **values)


CONTRACT = Contract(
    type="thing",
    version=1,
    description="A thing happened; it's ours.",
    owner="tests",
    browser=False,
    partition_key="event_id",
    partitions=1,
    pii=(),
    retention_days=30,
    rollup=Rollup(
        dimensions=(Dimension("region", "region", False), Dimension("status", "status", False)),
        measures=(
            Measure("things", "count", None, None, "Things."),
            Measure("total", "sum", "amount", None, "Sum."),
            Measure("latest", "last", "amount", None, "Last."),
            Measure("users", "distinct", "user", None, "Users."),
        ),
        cap=10,
    ),
    fields=(
        field("region"),
        field("status", "integer"),
        field("amount", "decimal", precision=18, scale=4),
        field("user"),
    ),
    schema={},
)
AS_POSTGRES_SPELLS = {"timestamptz": "timestamp with time zone"}


def existing(contract: Contract = CONTRACT) -> dict[str, str]:
    return {c.name: AS_POSTGRES_SPELLS.get(c.sql_type, c.sql_type) for c in rollup_columns(contract)}


def with_measure(measure: Measure) -> Contract:
    rollup = dataclasses.replace(CONTRACT.rollup, measures=(*CONTRACT.rollup.measures, measure))
    return dataclasses.replace(CONTRACT, rollup=rollup)


def test_a_new_type_gets_a_table_partitioned_by_time():
    change = plan(CONTRACT, None)
    assert change.created
    create = change.statements[0]
    assert create.startswith("create table rollups.thing_minute (")
    assert create.endswith("partition by range (minute)")
    assert "primary key (tenant, minute, region, status)" in create
    assert "total numeric(38,4)" in create
    assert "latest_at timestamptz" in create


def test_a_table_that_fits_needs_nothing():
    assert plan(CONTRACT, existing()).statements == ()


def test_quotes_in_descriptions_stay_inside_their_literals():
    comment = plan(CONTRACT, None).statements[1]
    assert comment == "comment on table rollups.thing_minute is 'By tenant and minute: A thing happened; it''s ours.'"


@pytest.mark.parametrize(
    ("measure", "column"),
    [
        (Measure("more", "count", None, None, "More."), "more bigint not null default 0"),
        (Measure("more", "distinct", "user", None, "More."), "more bigint[] not null default '{}'"),
        (Measure("more", "quantile", "amount", None, "More."), "more jsonb not null default '{}'"),
        (Measure("more", "sum", "amount", None, "More."), "more numeric(38,4)"),
    ],
)
def test_a_new_measure_is_added_and_the_rows_there_are_recomputed(measure, column):
    change = plan(with_measure(measure), existing())
    assert change.statements[0] == f"alter table rollups.thing_minute add column {column}"
    assert change.recompute


def test_a_new_dimension_becomes_part_of_the_key_with_the_value_of_its_absence():
    rollup = dataclasses.replace(
        CONTRACT.rollup, dimensions=(*CONTRACT.rollup.dimensions, Dimension("who", "user", True))
    )
    change = plan(dataclasses.replace(CONTRACT, rollup=rollup), existing())
    assert change.statements[0].endswith("add column who text not null default '(none)'")
    assert change.statements[-1].endswith("primary key (tenant, minute, region, status, who)")


def test_a_measure_that_goes_is_refused_by_name():
    rollup = dataclasses.replace(CONTRACT.rollup, measures=CONTRACT.rollup.measures[1:])
    with pytest.raises(BreakingChange, match="column things would vanish"):
        plan(dataclasses.replace(CONTRACT, rollup=rollup), existing())


def test_a_column_that_changes_its_type_is_refused():
    with pytest.raises(BreakingChange, match="column region is bigint and would become text"):
        plan(CONTRACT, existing() | {"region": "bigint"})


def test_more_digits_before_the_point_are_a_widening_and_others_are_not():
    narrower = existing() | {"latest": "numeric(10,4)"}
    assert plan(CONTRACT, narrower).statements == (
        "alter table rollups.thing_minute alter column latest type numeric(18,4)",
    )
    with pytest.raises(BreakingChange, match="latest"):
        plan(CONTRACT, existing() | {"latest": "numeric(18,2)"})
    with pytest.raises(BreakingChange, match="latest"):
        plan(CONTRACT, existing() | {"latest": "numeric(20,4)"})


def test_a_sum_that_could_not_be_exact_is_refused():
    wide = dataclasses.replace(
        CONTRACT, fields=(*CONTRACT.fields[:2], field("amount", "decimal", precision=38, scale=4))
    )
    with pytest.raises(BreakingChange, match="total sums decimals of 38 digits"):
        plan(wide, None)
