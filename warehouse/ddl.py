"""From a contract to its rollup table: created when missing, widened when the contract grew, refused when it broke."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.columns import RollupColumn, rollup_columns
from contracts.model import NONE, UNKNOWN_REGION, Contract

SCHEMA = "rollups"
MAX_SUMMED_PRECISION = 28
"""A sum has 38 digits in Postgres and in Spark: ten to spare bear 10^10 events a minute."""
ABSENT_INTEGER = -1
"""Stands for an integer dimension whose field is gone: contracts require such a field, but erasure nulls it."""
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


class BreakingChange(Exception):
    """The contract would change the meaning of a column that readers have; the message names each and the way out."""


@dataclass(frozen=True)
class TableChange:
    """What one rollup table needs. ``recompute``: rows that are there lack a value which only the lake knows."""

    table: str
    created: bool
    columns: tuple[str, ...]
    statements: tuple[str, ...]
    recompute: bool


def absent_value(contract: Contract, column: str) -> str | int:
    """What a dimension's column holds where the event has no such field."""
    dimension = next(d for d in contract.rollup.dimensions if d.name == column)
    if contract.field_named(dimension.field).kind == "integer":
        return ABSENT_INTEGER
    return UNKNOWN_REGION if dimension.field == "region" else NONE


def plan(contract: Contract, existing: Mapping[str, str] | None) -> TableChange:
    """What makes ``rollups.<type>_minute`` fit ``contract``.

    ``existing`` gives the table's columns with their types as Postgres spells them; None when there is no table.

    :raises BreakingChange: a column would vanish, change its type, or cannot be summed exactly.
    """
    columns = rollup_columns(contract)
    _refuse_inexact_sums(contract)
    if existing is None:
        return TableChange(
            contract.rollup_table, True, tuple(c.name for c in columns), _create(contract, columns), False
        )
    wanted = {c.name: c for c in columns}
    problems = [f"column {name} would vanish" for name in existing if name not in wanted]
    statements: list[str] = []
    added = [c for c in columns if c.name not in existing]
    for name, have in existing.items():
        if name not in wanted or _spelled(wanted[name].sql_type) == have:
            continue
        if _widens(have, wanted[name].sql_type):
            statements.append(f"alter table {_table(contract)} alter column {name} type {wanted[name].sql_type}")
        else:
            problems.append(f"column {name} is {have} and would become {wanted[name].sql_type}")
    if problems:
        raise BreakingChange(
            f"{SCHEMA}.{contract.rollup_table}: {'; '.join(problems)}. Keep what is there and add beside it, "
            "or give the new meaning a new event type"
        )
    for column in added:
        statements += _add(contract, column)
    if any(c.role == "key" for c in added):
        key = ", ".join(c.name for c in columns if c.role == "key")
        name = f"{contract.rollup_table}_pkey"
        statements += [
            f"alter table {_table(contract)} drop constraint {name}",
            f"alter table {_table(contract)} add constraint {name} primary key ({key})",
        ]
    return TableChange(contract.rollup_table, False, tuple(c.name for c in added), tuple(statements), bool(added))


def _table(contract: Contract) -> str:
    return f"{SCHEMA}.{contract.rollup_table}"


def _create(contract: Contract, columns: Sequence[RollupColumn]) -> tuple[str, ...]:
    lines = [_definition(c) for c in columns]
    key = ", ".join(c.name for c in columns if c.role == "key")
    lines.append(f"constraint {contract.rollup_table}_pkey primary key ({key})")
    body = ",\n    ".join(lines)
    return (
        f"create table {_table(contract)} (\n    {body}\n) partition by range (minute)",
        f"comment on table {_table(contract)} is {_literal(f'By tenant and minute: {contract.description}')}",
        *(_comment(contract, c) for c in columns),
    )


def _definition(column: RollupColumn) -> str:
    text = f"{column.name} {column.sql_type}"
    return f"{text} not null" if column.required else text


def _add(contract: Contract, column: RollupColumn) -> list[str]:
    """An added column: rows that are there take the value of an event without the field until they are recomputed."""
    table = _table(contract)
    if not column.required:
        return [f"alter table {table} add column {_definition(column)}", _comment(contract, column)]
    if column.role == "key":
        default = _literal(absent_value(contract, column.name))
    else:
        default = {"bigint": "0", "jsonb": "'{}'", "bigint[]": "'{}'"}[column.sql_type]
    return [
        f"alter table {table} add column {_definition(column)} default {default}",
        f"alter table {table} alter column {column.name} drop default",
        _comment(contract, column),
    ]


def _comment(contract: Contract, column: RollupColumn) -> str:
    return f"comment on column {_table(contract)}.{column.name} is {_literal(column.description)}"


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _spelled(sql_type: str) -> str:
    return {"timestamptz": "timestamp with time zone"}.get(sql_type, sql_type)


def _widens(have: str, wanted: str) -> bool:
    """More digits before the point, as many behind it: every value there is stays what it is."""
    old, new = _NUMERIC.fullmatch(have), _NUMERIC.fullmatch(wanted)
    return old is not None and new is not None and old[2] == new[2] and int(new[1]) > int(old[1])


def _refuse_inexact_sums(contract: Contract) -> None:
    for measure in contract.rollup.measures:
        if measure.kind != "sum" or measure.field is None:
            continue
        precision = contract.field_named(measure.field).precision
        if precision is not None and precision > MAX_SUMMED_PRECISION:
            raise BreakingChange(
                f"{SCHEMA}.{contract.rollup_table}: {measure.name} sums decimals of {precision} digits; "
                f"an exact sum needs {MAX_SUMMED_PRECISION} or fewer"
            )
