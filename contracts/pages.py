"""The documentation pages of the contracts, in Markdown: what a sender and a reader of the tables need to know."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from contracts.columns import lake_columns, rollup_columns
from contracts.model import Condition, Contract, FieldSpec, Measure
from contracts.registry import Registry


def index(registry: Registry) -> str:
    """The list of all types, and how to add one."""
    rows = [
        (f"[{c.type}]({c.type}.md)", c.description, _versions(registry, c), c.owner, "yes" if c.browser else "no")
        for c in registry
    ]
    return "\n".join(
        [
            "# Event types",
            "",
            "One folder in `contracts/` is one event type. All else (topic, lake table, rollup table, dbt source, this",
            "page) follows from it, by `make generate`.",
            "",
            *_table(("Type", "What happened", "Versions", "Owner", "Browser keys"), rows),
            "",
            "## What every event has",
            "",
            *_table(
                ("Member", "Required", "Meaning"),
                [
                    ("`event_type`", "yes", "One of the types above."),
                    ("`data`", "yes", "The fields of the type; an unknown one is a rejection."),
                    ("`schema_version`", "", "Which version of the contract; default: the newest."),
                    ("`event_id`", "", "A UUID. Sent again it counts once. It needs `occurred_at` beside it."),
                    ("`occurred_at`", "", "RFC 3339 with an offset; default: when it was received."),
                ],
            ),
            "",
            "## A new type",
            "",
            "`make new-event NAME=level_up` writes a folder with a schema and examples that pass; edit them, run",
            "`make generate`, commit. `contracts/metaschema.json` says what a schema may contain.",
            "",
            "A version in use only grows: optional fields, wider bounds, more measures. For the rest add a `v2` (it",
            "too must fit the tables that exist) or a new type. `watershed contracts diff OLD NEW` tells which it is.",
            "",
        ]
    )


def _subjects(contract: Contract) -> str:
    found = [f"{kind}: `{name}`" for kind, fields in contract.subjects.items() for name in fields]
    return ", ".join(found) or "nobody's"


def page(contract: Contract, registry: Registry) -> str:
    """The page of one type, by its newest version."""
    handling = [
        ("Owner", contract.owner),
        ("Versions", _versions(registry, contract)),
        ("Kafka topic", f"`{contract.topic}`, {contract.partitions} partitions, by `{contract.partition_key}`"),
        ("Lake table", f"`{contract.table}`, partitioned by day of `occurred_at`"),
        ("Rollup table", f"`rollups.{contract.rollup_table}`, at most {contract.rollup.cap} keys a tenant and minute"),
        ("Browser keys may send it", "yes" if contract.browser else "no"),
        ("Kept for", f"{contract.retention_days} days"),
        ("Personal fields", ", ".join(f"`{name}`" for name in contract.pii) or "none"),
        ("Whose event it is", _subjects(contract)),
    ]
    lines = [
        f"# {contract.type}",
        "",
        contract.description,
        "",
        *_table(("", ""), handling),
        "",
        "## Fields of data",
        "",
    ]
    fields = [
        (f"`{f.name}`", _kind(f), "yes" if f.required else "", _bounds(contract, f), f.description)
        for f in contract.fields
    ]
    lines += [*_table(("Field", "Kind", "Required", "Bounds", "Meaning"), fields), ""]
    example = _example(contract, registry)
    if example is not None:
        lines += ["## Example", "", "```json", json.dumps(example, indent=2, ensure_ascii=False), "```", ""]
    lines += ["## Columns in the lake", ""]
    lake = [
        (f"`{c.name}`", f"`{c.iceberg_type}`", "" if c.required else "yes", c.description)
        for c in lake_columns(contract)
    ]
    lines += [*_table(("Column", "Type", "Nullable", "Meaning"), lake), "", "## Columns of the rollup", ""]
    measures = {m.name: m for m in contract.rollup.measures}
    rollup = [
        (f"`{c.name}`", f"`{c.sql_type}`", _made(c.role, measures.get(c.name)), c.description)
        for c in rollup_columns(contract)
    ]
    return "\n".join([*lines, *_table(("Column", "Type", "How", "Meaning"), rollup), ""])


def _versions(registry: Registry, contract: Contract) -> str:
    return ", ".join(f"v{version}" for version in registry.versions(contract.type))


def _kind(field: FieldSpec) -> str:
    return f"decimal({field.precision},{field.scale}) as a string" if field.kind == "decimal" else field.kind


def _bounds(contract: Contract, field: FieldSpec) -> str:
    schema: dict[str, Any] = contract.schema["properties"][field.name]
    parts: list[str] = []
    if "enum" in schema:
        parts.append("one of " + ", ".join(f"`{value}`" for value in schema["enum"]))
    elif field.kind == "string":
        parts.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if field.kind == "integer":
        parts.append(f"{schema['minimum']} to {schema['maximum']}")
    if field.kind == "map":
        longest = schema["additionalProperties"]["maxLength"]
        parts.append(f"{schema['maxProperties']} names at most, values of {longest} characters at most")
    if "pattern" in schema and len(schema["pattern"]) <= 60:
        parts.append(f"`{schema['pattern']}`")
    if field.default is not None:
        parts.append(f"absent counts as `{json.dumps(field.default)}`")
    return "; ".join(parts)


def _made(role: str, measure: Measure | None) -> str:
    if measure is None:
        return role if role == "key" else "time of the last"
    over = f" of `{measure.field}`" if measure.field else ""
    where = " and ".join(_condition(name, value) for name, value in (measure.where or {}).items())
    return f"{measure.kind}{over}" + (f" where {where}" if where else "")


def _condition(name: str, value: Condition) -> str:
    if isinstance(value, str | bool | int):
        return f"`{name} = {json.dumps(value)}`"
    signs = {"gte": "≥", "gt": ">", "lte": "≤", "lt": "<"}
    return " and ".join(f"`{name} {signs[sign]} {bound}`" for sign, bound in value.items())


def _example(contract: Contract, registry: Registry) -> Any:
    folder = registry.path / contract.type / "examples"
    files = sorted(folder.glob(f"v{contract.version}.*.pass.json"), key=lambda f: (".full." not in f.name, f.name))
    return json.loads(files[0].read_text()) if files else None


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return ["| " + " | ".join(row) + " |" for row in cells]
