"""What OpenLineage is told of tasks and of dbt's models, and that a server that does not answer holds nobody up."""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest

from stack import lineage, secrets
from stack.settings import REPO, StackSettings

DAGS = str(REPO / "dags")
RUN, ROOT = "01a226de-7346-7067-8439-dfc7f87a8813", "01a226df-0b23-7228-bad5-3fb196c07fab"
PARENT = {
    "run_id": RUN,
    "job_name": "build_marts.build",
    "job_namespace": "watershed",
    "root_parent_run_id": ROOT,
    "root_parent_job_name": "build_marts",
    "root_parent_job_namespace": "watershed",
}
WAREHOUSE = "postgres://127.0.0.1:28432"
MODELS = ("base", "mart", "broken", "after")


class AirflowSide(Protocol):
    def run(self, *arguments: str, **env: str) -> dict[str, Any]: ...


Event = dict[str, Any]


class Endpoint:
    """An HTTP server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str | None, Event]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.posted.append((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(201)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Not into the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Told:
    """What came of all cases, asked of Airflow's environment at once: it takes seconds to start."""

    cases: dict[str, Any]
    file: Path
    posted: list[tuple[str, str | None, Event]]
    asked_in_vain: int

    def of_dbt(self, state: str) -> dict[str, Event]:
        """The events of the dbt run in one state, by model."""
        events = [event for event in self.cases["dbt"] if event["eventType"] == state]
        return {event["job"]["name"].rsplit(".", 1)[1]: event for event in events}


@pytest.fixture(scope="module")
def told(airflow_side: AirflowSide, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    place = tmp_path_factory.mktemp("lineage")
    ran, endpoint, key = dbt_run(place / "ran"), Endpoint(), place / "key"
    key.write_text("marquez-key\n")
    with socket.socket() as silent, socket.socket() as away:
        for each in (silent, away):
            each.bind(("127.0.0.1", 0))
        silent.listen(32)
        cases = {
            "load": {
                "result": {"reads": ["lake.events.page_view"], "writes": ["rollups.page_view_minute"], "changed": 3}
            },
            "claim": {"result": {"hours": 3}},
            "dbt": ran,
            "dbt did not run": {**ran, "artifacts": str(place / "empty")},
            "posted": {**ran, "transport": posting(place, endpoint.url, openlineage_key_file=str(key))},
            "silent": {**ran, "transport": posting(place, address(silent))},
            "away": {**ran, "transport": posting(place, address(away))},
        }
        more = {"PYTHONPATH": f"{DAGS}/config", "AIRFLOW__OPENLINEAGE__NAMESPACE": "watershed"}
        more["DBT_DSN"] = "postgresql://dbt:secret@127.0.0.1:28432/warehouse"
        outcomes = airflow_side.run("lineage", DAGS, json.dumps(cases), **variables(place), **more)
        yield Told(outcomes, place / "lineage" / "events.jsonl", endpoint.posted, connections(silent))
    endpoint.close()


def variables(place: Path, **changes: Any) -> dict[str, str]:
    """What the stack tells the scheduler."""
    settings = StackSettings(watershed_state=place, port_offset=7000, **changes)
    return lineage.variables(settings, secrets.load(place / "secrets.json"))


def posting(place: Path, url: str, **changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        variables(place, openlineage_url=url, **changes)["AIRFLOW__OPENLINEAGE__TRANSPORT"]
    )
    return told


def address(of: socket.socket) -> str:
    return f"http://127.0.0.1:{of.getsockname()[1]}"


def connections(listening: socket.socket) -> int:
    """How many were made to it and not yet taken."""
    listening.setblocking(False)
    found = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


def dbt_run(folder: Path) -> dict[str, Any]:
    """A run of four models: one from a source through a view, one from that, one that fails, and one after it."""
    folder.mkdir()
    parents = {"view": "source.watershed.rollups.page_view_minute", "base": "model.watershed.view"}
    parents |= {"mart": "model.watershed.base"}
    parents |= {"broken": "model.watershed.base", "after": "model.watershed.broken"}
    nodes = {f"model.watershed.{name}": node(f"model.watershed.{name}", "marts_build", name) for name in MODELS}
    nodes["model.watershed.view"] = {
        **node("model.watershed.view", "staging", "view"),
        "config": {"materialized": "view"},
    }
    source = node(parents["view"], "rollups", "page_view_minute")
    manifest = {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "adapter_type": "postgres",
        },
        "nodes": nodes,
        "sources": {source["unique_id"]: source},
        "parent_map": {f"model.watershed.{name}": [above] for name, above in parents.items()},
    }
    states = {"base": "success", "mart": "success", "broken": "error", "after": "skipped"}
    timing = [{"name": "execute", "started_at": "2026-11-29T10:00:00Z", "completed_at": "2026-11-29T10:00:01Z"}]
    results = [
        {"unique_id": f"model.watershed.{name}", "status": state, "timing": timing, "adapter_response": {}}
        for name, state in states.items()
    ]
    ran = {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
            "dbt_version": "1.11.16",
        },
        "args": {"which": "run", "profiles_dir": str(REPO / "dbt_project")},
        "results": results,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "run_results.json").write_text(json.dumps(ran))
    return {"artifacts": str(folder), "project": str(REPO / "dbt_project"), "parent": PARENT}


def node(unique_id: str, schema: str, name: str) -> dict[str, Any]:
    columns = {"tenant": {"name": "tenant", "description": "Whose events they are.", "data_type": "text"}}
    return {
        "unique_id": unique_id, "database": "warehouse", "schema": schema, "name": name, "alias": name,
        "identifier": name, "columns": columns, "config": {}, "tags": [], "meta": {}, "description": "",
    }  # fmt: skip


def names(datasets: list[Event]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def test_what_a_command_read_and_wrote_is_told_by_openlineages_names(told: Told) -> None:
    read, written = told.cases["load"]
    assert names(read) == [("s3://lake", "warehouse/events/page_view")]
    assert names(written) == [(WAREHOUSE, "warehouse.rollups.page_view_minute")]


def test_of_a_command_that_names_no_tables_none_are_told(told: Told) -> None:
    assert told.cases["claim"] == [[], []]


def test_each_model_of_a_dbt_run_is_told_and_joins_what_the_load_wrote(told: Told) -> None:
    ends = told.of_dbt("COMPLETE")
    assert set(ends) == {"base", "mart"}
    # Through a view, which this run did not build: so nothing else says what is behind it.
    view = (WAREHOUSE, "warehouse.staging.view")
    assert names(ends["base"]["inputs"]) == [view, *names(told.cases["load"][1])]
    assert (
        names(ends["base"]["outputs"]) == names(ends["mart"]["inputs"]) == [(WAREHOUSE, "warehouse.marts_build.base")]
    )
    assert [field["name"] for field in ends["mart"]["outputs"][0]["facets"]["schema"]["fields"]] == ["tenant"]


def test_a_model_that_failed_is_told_as_failed_and_one_that_was_skipped_not_at_all(told: Told) -> None:
    assert set(told.of_dbt("FAIL")) == {"broken"}
    assert names(told.of_dbt("FAIL")["broken"]["outputs"]) == []
    assert set(told.of_dbt("START")) == {"base", "mart", "broken"}


def test_a_models_run_lies_within_its_task_which_lies_within_its_dag_run(told: Told) -> None:
    for event in told.cases["dbt"]:
        above = event["run"]["facets"]["parent"]
        assert (above["run"]["runId"], above["job"]["name"]) == (RUN, "build_marts.build")
        assert (above["root"]["run"]["runId"], above["root"]["job"]["name"]) == (ROOT, "build_marts")


def test_a_models_start_and_end_are_one_run_and_only_the_end_says_what_it_reads(told: Told) -> None:
    starts = told.of_dbt("START")
    ends = told.of_dbt("COMPLETE") | told.of_dbt("FAIL")
    assert {n: e["run"]["runId"] for n, e in starts.items()} == {n: e["run"]["runId"] for n, e in ends.items()}
    assert all(not event["inputs"] and not event["outputs"] for event in starts.values())


def test_of_a_dbt_that_did_not_get_to_run_nothing_is_told(told: Told) -> None:
    assert told.cases["dbt did not run"] == []


def test_events_go_to_the_stacks_file_a_line_each_and_no_log_in_is_among_them(told: Told) -> None:
    text = told.file.read_text()
    assert runs(map(json.loads, text.splitlines())) == runs(told.cases["dbt"])
    assert "secret" not in text


def test_events_are_posted_where_the_settings_say_with_the_key(told: Told) -> None:
    assert runs(event for _, _, event in told.posted) == runs(told.cases["posted"])
    assert {(path, key) for path, key, _ in told.posted} == {("/api/v1/lineage", "Bearer marquez-key")}


def test_an_endpoint_that_never_answers_is_asked_once_and_then_left(told: Told) -> None:
    """That there is an outcome at all is the bound; the library by itself would ask six times, and for each event."""
    assert len(told.cases["silent"]) == 6
    assert told.asked_in_vain == 1


def test_an_endpoint_that_is_away_fails_nothing(told: Told) -> None:
    assert len(told.cases["away"]) == 6


def runs(events: Iterable[Event]) -> list[str]:
    return [event["run"]["runId"] for event in events]


def test_the_file_begins_anew_when_it_is_full_and_no_event_is_cut_or_lost(
    airflow_side: AirflowSide, tmp_path: Path
) -> None:
    """Four processes at once, as the scheduler and its workers are, and one turn of the file within it."""
    path = tmp_path / "events.jsonl"
    with ThreadPoolExecutor(4) as pool:
        case = {"path": str(path), "most_bytes": 700_000, "events": 40, "padding": 6_000}
        said = [
            pool.submit(airflow_side.run, "append", f"{DAGS}/config", json.dumps({**case, "by": i})) for i in range(4)
        ]
        assert all(each.result() == {"appended": 40} for each in said)
    old = path.with_name("events.jsonl.1")
    lines = [json.loads(line) for line in (old.read_text() + path.read_text()).splitlines()]
    assert len({(line["by"], line["number"]) for line in lines}) == len(lines) == 160
    assert 700_000 <= old.stat().st_size < 740_000
    assert path.stat().st_size < 700_000
