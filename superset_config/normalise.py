"""Two spellings of one asset, the reviewed file's and Superset's export's, brought to one. Pure.

An export is full of what only one installation knows (numbers of charts, the query that was derived at import, the
warehouse's address) and of defaults that a reviewer need not read. Both sides lose these; what is left is equal
exactly when the asset is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

DERIVED = {
    "query_context", "datasource", "sqlalchemy_uri", "is_managed_externally", "configuration_method", "default_filters",
}  # fmt: skip
"""Keys that the import fills in, or that say nothing: `default_filters` is of filters that Superset gave up."""
SEEN = {"shared_label_colors", "map_label_colors", "color_scheme_domain"}
"""Keys of a dashboard's metadata that Superset's pages write when an owner *looks* at it: the colours shown last."""
BY_NAME = {"columns": "column_name", "metrics": "metric_name"}
"""Lists of a dataset whose order means nothing."""
COLUMN_DEFAULTS = {"is_active": True}
CHARTS_BY_NUMBER = {"excluded", "chartsInScope"}
"""Lists of a dashboard's filters that name charts by number."""


def normal(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` of one asset without what only one installation knows and without defaults."""
    content = _with_uuids(content, {number: uuid for uuid, number in numbers(content).items()})
    kept = {key: value for key, value in content.items() if key not in DERIVED}
    for key, name in BY_NAME.items():
        if "table_name" in kept and key in kept:
            rows = [{k: v for k, v in row.items() if COLUMN_DEFAULTS.get(k) != v or v is None} for row in kept[key]]
            kept[key] = sorted(rows, key=lambda row: str(row[name]))
    if isinstance(kept.get("params"), Mapping):
        kept["params"] = {key: value for key, value in kept["params"].items() if key not in DERIVED}
    if isinstance(kept.get("metadata"), Mapping):
        kept["metadata"] = {key: value for key, value in kept["metadata"].items() if key not in DERIVED | SEEN}
    pruned: dict[str, Any] = _pruned(kept)
    return pruned


def numbers(dashboard: Mapping[str, Any]) -> dict[str, int]:
    """The charts that a dashboard places: number by UUID. Nothing for another asset."""
    parts = dashboard.get("position") or {}
    metas = [part.get("meta", {}) for part in parts.values() if isinstance(part, Mapping)]
    return {str(meta["uuid"]): int(meta["chartId"]) for meta in metas if "chartId" in meta and "uuid" in meta}


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> list[str]:
    """Where two normal forms differ, one line each: ``params.row_limit: 1000 → 500``."""
    found = []
    for key in sorted({*ours, *theirs}, key=str):
        here = f"{path}.{key}" if path else str(key)
        mine, other = ours.get(key), theirs.get(key)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            found += differences(mine, other, here)
        elif mine != other:
            found.append(f"{here}: {_short(mine)} → {_short(other)}")
    return found


def as_file(exported: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """An export as the reviewed file would say it: in the file's order, with its numbers of charts, without defaults.

    :param known: what the file says now; empty for an asset that has none yet
    """
    numbered = dict(numbers(known))
    there = numbers(exported)
    for uuid in there:
        numbered.setdefault(uuid, max(numbered.values(), default=0) + 1)
    content = _with_uuids(exported, {number: numbered[uuid] for uuid, number in there.items()})
    merged: dict[str, Any] = _in_order(content, known)
    for key in DERIVED - {"datasource"}:
        merged.pop(key, None)
        if key in known:
            merged[key] = known[key]
    return merged


def _in_order(exported: Any, known: Any) -> Any:
    if isinstance(exported, Mapping):
        known = known if isinstance(known, Mapping) else {}
        keys = [*(key for key in known if key in exported), *(key for key in exported if key not in known)]
        return {
            key: known[key] if key in SEEN else _in_order(exported[key], known.get(key))
            for key in keys
            if key in known or (key not in DERIVED | SEEN and not _says_nothing(key, exported[key]))
        }
    if isinstance(exported, Sequence) and not isinstance(exported, str):
        names = [name for name in BY_NAME.values() if all(isinstance(e, Mapping) and name in e for e in exported)]
        if exported and names and isinstance(known, Sequence):
            by_name = {each[names[0]]: each for each in known}
            order = {each: position for position, each in enumerate(by_name)}
            rows = sorted(exported, key=lambda row: order.get(row[names[0]], len(order)))
            return [_in_order(row, by_name.get(row[names[0]])) for row in rows]
        beside = known if isinstance(known, Sequence) and len(known) == len(exported) else [None] * len(exported)
        return [_in_order(each, other) for each, other in zip(exported, beside, strict=True)]
    return exported


def _says_nothing(key: object, value: object) -> bool:
    return value is None or value in ([], {}) or COLUMN_DEFAULTS.get(str(key)) == value


def _with_uuids(content: Mapping[str, Any], names: Mapping[int, Any]) -> dict[str, Any]:
    """``content`` with every number of a chart replaced by ``names[number]``."""

    def walk(value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping) and key == "chart_configuration":
            charts = {int(each): walk(inner) for each, inner in value.items()}
            return {str(names.get(n, n)): {**inner, "id": names.get(n, n)} for n, inner in charts.items()}
        if isinstance(value, Mapping):
            return {each: walk(inner, str(each)) for each, inner in value.items()}
        if isinstance(value, list):
            if key in CHARTS_BY_NUMBER:
                return sorted(names.get(each, each) for each in value)
            return [walk(each) for each in value]
        return names.get(value, value) if key == "chartId" else value

    walked: dict[str, Any] = walk(content)
    return walked


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _pruned(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each is not None and each not in ([], {})}
    if isinstance(value, list):
        return [_pruned(each) for each in value]
    return value


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
