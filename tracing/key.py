"""Which row of a rollup an event counts in, and what it adds to each measure. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.model import OTHER, Condition, Contract
from warehouse.ddl import absent_value
from warehouse.marts import Mart

ROUTE_ID = r"/([0-9]+|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{16,})(?=/|$)"
"""Of a path what is an id, as ``dbt_project/models/intermediate/int_requests_minute.sql`` has it."""
ALL_CURRENCIES = "(all)"
Value = str | int | Decimal | None


def rollup_key(row: Mapping[str, Any], contract: Contract, *, over_cap: bool = False) -> dict[str, str | int]:
    """The dimensions of the rollup row that a lake row counts in; ``over_cap``: the capped ones read ``(other)``."""
    key: dict[str, str | int] = {}
    for dimension in contract.rollup.dimensions:
        value = _field(row, contract, dimension.field)
        key[dimension.name] = absent_value(contract, dimension.name) if value is None else value
        if over_cap and dimension.capped:
            key[dimension.name] = OTHER
    return key


def adds(row: Mapping[str, Any], contract: Contract) -> dict[str, Value]:
    """By measure what a winner brings to it: 1 to a count, its value to the others; left out where it does not count.

    Where a measure takes the keyed hash of a field that points to a person, so does this.
    """
    found: dict[str, Value] = {}
    for measure in contract.rollup.measures:
        conditions = (measure.where or {}).items()
        if not all(_holds(_field(row, contract, name), condition) for name, condition in conditions):
            continue
        if measure.kind == "count":
            found[measure.name] = 1
            continue
        hashed = contract.takes_hash(measure)
        value = row.get(f"{measure.field}_hash") if hashed else _field(row, contract, measure.field or "")
        if value is not None:
            found[measure.name] = value
    return found


def mart_key(mart: Mart, rollup: Mapping[str, str | int]) -> dict[str, tuple[str | int, ...]]:
    """By dimension of ``mart`` the values that its rows with the event may have; without those that tell nothing.

    Popular apps have a row by purchases over all currencies, and one by revenue in the event's own.
    """
    key: dict[str, tuple[str | int, ...]] = {}
    for name in mart.dimensions:
        if name == "route" and "path" in rollup:
            key[name] = (re.sub(ROUTE_ID, "/{id}", str(rollup["path"])),)
        elif name in rollup:
            key[name] = (rollup[name],)
    if "ranked_by" in mart.dimensions and "currency" in key:
        key["currency"] = (*key["currency"], ALL_CURRENCIES)
    return key


def _field(row: Mapping[str, Any], contract: Contract, name: str) -> Any:
    value = row.get(name)
    return contract.field_named(name).default if value is None else value


def _holds(value: Any, condition: Condition) -> bool:
    """As in ``spark_jobs/rollup.py``: of an absent field nothing holds."""
    if value is None:
        return False
    if not isinstance(condition, Mapping):
        return bool(value == condition)
    compare = {"gte": value.__ge__, "gt": value.__gt__, "lte": value.__le__, "lt": value.__lt__}
    return all(compare[name](bound) for name, bound in condition.items())
