"""A new event type to start from: a folder whose schema and examples pass as they are."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

from contracts.model import ContractError
from contracts.names import SQL_WORDS
from contracts.parse import HERE

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_NAME = 40
_OCCURRED_AT = "2026-01-31T12:00:00Z"


def scaffold(name: str, root: Path) -> list[Path]:
    """Write ``<root>/<name>/v1.schema.json`` and its examples; gives the files written.

    :raises ContractError: the name will not do, or there is such a folder.
    """
    if NAME.fullmatch(name) is None or len(name) > MAX_NAME:
        raise ContractError(
            f"{name!r} is no name for an event type: lower-case words joined by _, such as level_up, "
            f"{MAX_NAME} characters at most"
        )
    if name in SQL_WORDS:
        raise ContractError(f"{name!r} is a reserved word of SQL; say what happened, such as {name}_placed")
    folder = root / name
    if folder.exists() or (HERE / f"{name}.py").exists():
        raise ContractError(f"{folder} is there already; choose another name, or edit what is there")
    documents = {f"{name}/v1.schema.json": _schema(name), **_examples(name)}
    (folder / "examples").mkdir(parents=True)
    written = []
    for path, document in documents.items():
        target = root / path
        target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(target)
    return written


def _schema(name: str) -> dict[str, Any]:
    words = name.replace("_", " ")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": f"It happened: {words}.",
        "type": "object",
        "additionalProperties": False,
        "required": ["region"],
        "properties": {
            "region": {"$ref": "../common.json#/$defs/region"},
            "user_id": {"$ref": "../common.json#/$defs/user_id"},
            "label": {"$ref": "../common.json#/$defs/slug", "description": "Which kind, a lower-case slug."},
            "quantity": {"type": "integer", "minimum": 0, "maximum": 1000000, "description": "How many."},
        },
        "x-watershed": {
            "owner": "platform",
            "browser": False,
            "partition_key": "event_id",
            "partitions": 2,
            "retention_days": 731,
            "pii": ["user_id"],
            "rollup": {
                "dimensions": [{"name": "region"}, {"name": "label", "capped": True}],
                "measures": [
                    {"name": "events", "kind": "count", "description": f"How often it happened: {words}."},
                    {"name": "quantity", "kind": "sum", "field": "quantity", "description": "The sum of quantity."},
                    {"name": "users", "kind": "distinct", "field": "user_id", "description": "Distinct users."},
                ],
                "cap": 1000,
            },
        },
    }


def _examples(name: str) -> dict[str, dict[str, Any]]:
    def event(data: dict[str, Any]) -> dict[str, Any]:
        event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{json.dumps(data, sort_keys=True)}"))
        return {"event_type": name, "event_id": event_id, "occurred_at": _OCCURRED_AT, "data": data}

    passing: dict[str, dict[str, Any]] = {
        "minimal": {"region": "DE"},
        "full": {"region": "US", "user_id": "u-5", "label": "first", "quantity": 3},
        "unknown_region": {"region": "ZZ"},
        "with_user": {"region": "FR", "user_id": "u-6"},
        "none_of_it": {"region": "JP", "label": "second", "quantity": 0},
    }
    failing: dict[str, tuple[dict[str, Any], str, str]] = {
        "no_region": ({}, "/data", "required"),
        "lower_case_region": ({"region": "de"}, "/data/region", "pattern"),
        "unknown_field": ({"region": "DE", "colour": "blue"}, "/data/colour", "additionalProperties"),
        "quantity_negative": ({"region": "DE", "quantity": -1}, "/data/quantity", "minimum"),
        "label_not_a_slug": ({"region": "DE", "label": "Not A Slug"}, "/data/label", "pattern"),
    }
    found = {f"{name}/examples/v1.{case}.pass.json": event(data) for case, data in passing.items()}
    for case, (data, pointer, keyword) in failing.items():
        found[f"{name}/examples/v1.{case}.fail.json"] = {
            "event": event(data),
            "violations": [{"pointer": pointer, "keyword": keyword}],
        }
    return found
