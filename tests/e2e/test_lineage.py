"""OpenLineage events of one load, build and publication, as the running stack writes them to its file."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema

from tests.e2e.kit import Airflow, Warehouse

Event = dict[str, Any]
URI = {"type": "string", "pattern": "^https?://"}
INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {
            "_producer": URI,
            "_schemaURL": URI,
        },
    },
}
DATASETS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["namespace", "name"],
        "properties": {
            "namespace": {"type": "string", "minLength": 1},
            "name": {"type": "string", "minLength": 1},
            "facets": FACETS,
        },
    },
}
RUN_EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "eventType", "run", "job"],
    "properties": {
        "eventTime": INSTANT,
        "producer": URI,
        "schemaURL": URI,
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": FACETS},
        },
        "job": {
            "type": "object",
            "required": ["namespace", "name"],
            "properties": {
                "namespace": {"const": "watershed"},
                "name": {"type": "string", "minLength": 1},
                "facets": FACETS,
            },
        },
        "inputs": DATASETS,
        "outputs": DATASETS,
    },
}
"""What OpenLineage's specification demands of a run event (2-0-2). No package brings the specification's own schema."""


def told(env: Mapping[str, str]) -> list[Event]:
    """Every event in the stack's file, and in the one that was put aside before it."""
    path = Path(env["WATERSHED_STATE"], "lineage", "events.jsonl")
    files = [each for each in (path.with_name(f"{path.name}.1"), path) if each.exists()]
    return [json.loads(line) for each in files for line in each.read_text().splitlines()]


def ends(events: Iterable[Event], job: str) -> list[Event]:
    """The events that say what came of the runs of a job."""
    return [event for event in events if event["job"]["name"] == job and event["eventType"] == "COMPLETE"]


def names(event: Event, side: str) -> set[str]:
    return {f"{each['namespace']}/{each['name']}" for each in event[side]}


def above(event: Event) -> str:
    run: str = event["run"]["facets"]["parent"]["run"]["runId"]
    return run


def test_a_load_a_build_and_its_publication_are_told_from_the_lake_to_the_mart(
    env: Mapping[str, str], demo: dict[str, Any], airflow: Airflow, warehouse: Warehouse
) -> None:
    parts = urlsplit(env["WAREHOUSE_DSN"])
    tables = f"postgres://{parts.hostname}:{parts.port}{parts.path}."
    lake, rollup = "s3://lake/warehouse/events/page_view", f"{tables}rollups.page_view_minute"
    candidate, mart = f"{tables}marts_build.region_hourly", f"{tables}marts.region_hourly"
    warehouse.until("the demo's publication is told", lambda: bool(publications(told(env), mart)))
    events = told(env)
    (load, *_) = [event for event in ends(events, "load_rollups.load") if lake in names(event, "inputs")]
    assert rollup in names(load, "outputs")
    publication = publications(events, mart)[0]
    assert candidate in names(publication, "inputs")

    # Within the run of the DAG that published: the task `build`, and within that the models, down to the rollup.
    dag_run = above(publication)
    (build,) = [event for event in ends(events, "build_marts.build") if above(event) == dag_run]
    models = [event for event in events if event["eventType"] == "COMPLETE" and "parent" in event["run"]["facets"]]
    models = [event for event in models if above(event) == build["run"]["runId"]]
    made_from = {name: names(event, "inputs") for event in models for name in names(event, "outputs")}
    assert rollup in upwards(candidate, made_from)
    for model in models:
        assert model["run"]["facets"]["parent"]["root"]["run"]["runId"] == dag_run

    # The DAG run itself is told too, by the scheduler, some time after its last task.
    def finished() -> bool:
        return any(event["run"]["runId"] == dag_run for event in ends(told(env), "build_marts"))

    warehouse.until("the end of the DAG run is told", finished)
    assert {event["job"]["name"].split(".")[0] for event in told(env)} >= {"load_rollups", "build_marts", "warehouse"}
    check = jsonschema.Draft202012Validator(RUN_EVENT, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for event in told(env):
        check.validate(event)
    assert not [event for event in told(env) if event["job"]["name"].startswith("check_alerts")]


def publications(events: Iterable[Event], mart: str) -> list[Event]:
    return [event for event in ends(events, "build_marts.publish") if mart in names(event, "outputs")]


def upwards(table: str, made_from: Mapping[str, set[str]]) -> set[str]:
    """Everything that ``table`` is made from, directly or not."""
    found: set[str] = set()
    waiting = [table]
    while waiting:
        fresh = made_from.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found
