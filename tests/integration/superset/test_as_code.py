"""Dashboards as code on a running Superset: out and in again without a difference; what is wrong is said."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from stack import secrets as secrets_of_stack
from stack import superset as superset_part
from superset_config.bundle import ASSETS, Bundle
from superset_config.export import changes, exported, write
from superset_config.rest import Superset
from tests.integration.superset.conftest import Home

CHART = "charts/page_views/top_pages.yaml"
BOARD = "dashboards/page_views.yaml"


@dataclass(frozen=True)
class Broken:
    """A mistake in a file, and what is to be said of it."""

    file: str
    old: str
    new: str
    words: str


def test_what_superset_exports_is_what_the_files_say(administrator: Superset) -> None:
    assert [(each.path, each.words) for each in changes(Bundle.load(), exported(administrator))] == []


def test_a_dashboard_s_link_to_its_lineage_leads_to_dbt_s_docs(superset_env: Mapping[str, str]) -> None:
    answer = httpx.get(f"{superset_env['SUPERSET_URL']}/docs/lineage/", timeout=60)
    assert (answer.status_code, answer.headers["location"]) == (302, superset_env["DBT_DOCS_URL"])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the reviewed files."""
    return Path(shutil.copytree(ASSETS, tmp_path / "assets"))


def number(superset: Superset, resource: str, path: str) -> int:
    asset = next(each for each in Bundle.load().assets if each.path == path)
    return int(superset.by_uuid(resource)[asset.uuid]["id"])


def test_a_change_made_in_superset_is_written_into_its_file_and_nothing_else_is(
    administrator: Superset, files: Path
) -> None:
    chart = f"chart/{number(administrator, 'chart', CHART)}"
    before = administrator.get(chart)["result"]
    try:
        administrator.send("PUT", chart, {"slice_name": "Best pages", "description": "Those that were seen most."})
        found = changes(Bundle.load(files), exported(administrator))
        assert {each.path for each in found} == {CHART}
        for change in found:
            write(change, files)
        assert changes(Bundle.load(files), exported(administrator)) == []
        text = (files / CHART).read_text()
        assert "slice_name: Best pages" in text
        assert "query_context" not in text
        old, new = (yaml.safe_load((folder / CHART).read_text()) for folder in (ASSETS, files))
        assert {**new, "slice_name": old["slice_name"], "description": old["description"]} == old
    finally:
        put_back = {name: before[name] for name in ("slice_name", "description")}
        administrator.send("PUT", chart, put_back)


def test_looking_at_a_dashboard_changes_nothing(administrator: Superset) -> None:
    board = number(administrator, "dashboard", BOARD)
    colours = {"shared_label_colors": ["games"], "map_label_colors": {"games": "#e04355"}}  # as the page does it
    administrator.send("PUT", f"dashboard/{board}/colors?mark_updated=false", colours)
    assert "games" in administrator.get(f"dashboard/{board}")["result"]["json_metadata"]
    assert changes(Bundle.load(), exported(administrator)) == []


def test_a_dashboard_made_by_hand_becomes_files(administrator: Superset, files: Path) -> None:
    chart = number(administrator, "chart", CHART)
    asset = next(each for each in Bundle.load().assets if each.path == CHART)
    title = f"Made by hand {uuid.uuid4().hex[:6]}"
    meta = {"chartId": chart, "uuid": asset.uuid, "width": 6, "height": 50, "sliceName": asset.name}
    position = {"CHART-x": {"id": "CHART-x", "type": "CHART", "children": [], "meta": meta}}
    made = administrator.send(
        "POST",
        "dashboard/",
        {
            "dashboard_title": title,
            "position_json": json.dumps(position),
        },
    )["id"]
    try:
        found = changes(Bundle.load(files), exported(administrator), title)
        assert [each.path for each in found] == [f"dashboards/{title.lower().replace(' ', '_')}.yaml"]
        write(found[0], files)
        (board,) = (each for each in Bundle.load(files).of("dashboards") if each.name == title)
        assert board.content["position"]["CHART-x"]["meta"]["uuid"] == asset.uuid
    finally:
        administrator.send("DELETE", f"dashboard/{made}")


@pytest.fixture
def bootstrap(stack: Any, superset_env: Mapping[str, str]) -> Iterator[Any]:
    """Run the bootstrap over a folder; afterwards over the reviewed one again."""
    env = superset_part.variables(
        stack.settings, secrets_of_stack.load(stack.settings.watershed_state / "secrets.json")
    )

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        argv = [superset_part.BIN / "python", "-m", "superset_config.bootstrap", "--assets", folder]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=600)

    yield run
    assert run(ASSETS).returncode == 0


@dataclass(frozen=True)
class Held:
    """Two charts that the first tenant's analyst made: one under a UUID of a file to come, one marked as reviewed."""

    analyst: Superset
    claimed: str
    mine: int


@pytest.fixture
def held(
    stack: Any, superset_env: Mapping[str, str], homes: tuple[Home, Home], administrator: Superset
) -> Iterator[Held]:
    analyst = homes[0].analyst
    dataset = number(administrator, "dataset", "datasets/warehouse/page_views_by_page.yaml")
    chart = {"slice_name": f"Mine {uuid.uuid4().hex[:6]}", "viz_type": "table", "datasource_id": dataset}
    chart |= {"datasource_type": "table", "params": "{}"}
    claimed = str(uuid.uuid4())
    analyst.send("POST", "chart/", {**chart, "uuid": claimed})
    mine = int(analyst.send("POST", "chart/", chart)["id"])
    known = secrets_of_stack.load(stack.settings.watershed_state / "secrets.json")
    dsn = superset_part.variables(stack.settings, known)["SUPERSET_METADATA_DSN"].replace("+psycopg2", "", 1)
    with psycopg.connect(dsn) as connection:  # as it once was possible over REST
        connection.execute("update slices set is_managed_externally = true where id = %s", (mine,))
    yield Held(analyst, claimed, mine)
    analyst.send("DELETE", f"chart/{mine}")


def test_a_chart_that_leaves_the_files_leaves_superset_and_what_people_made_stays(
    administrator: Superset, files: Path, bootstrap: Any, held: Held
) -> None:
    board = f"dashboard/{number(administrator, 'dashboard', BOARD)}"
    administrator.send("PUT", board, {"css": ".header { color: red }"})  # as a version of the files once had it
    assert [each.path for each in changes(Bundle.load(), exported(administrator))] == [BOARD]
    known = (files / CHART).read_text()
    (files / "charts" / "added.yaml").write_text(known.replace(yaml.safe_load(known)["uuid"], held.claimed))
    assert bootstrap(files).returncode == 0
    added = administrator.by_uuid("chart")[held.claimed]["id"]
    answer = held.analyst.try_send("PUT", f"chart/{added}", {"slice_name": "mine, for every tenant"})
    assert answer.status_code == httpx.codes.FORBIDDEN, "a reviewed chart is not owned by who used its UUID before"
    mine = held.analyst.get(f"chart/{held.mine}")["result"]
    assert mine["is_managed_externally"] is False
    (files / "charts" / "added.yaml").unlink()
    assert bootstrap(files).returncode == 0
    assert held.claimed not in administrator.by_uuid("chart")
    assert changes(Bundle.load(), exported(administrator)) == []


@pytest.mark.parametrize(
    "broken",
    [
        Broken(CHART, "viz_type: table", "viz_type: funnel", "no query for charts of type 'funnel'"),
        Broken(CHART, "slice_name: Top pages\n", "", "slice_name"),
        Broken("datasets/warehouse/page_choices.yaml", "database_uuid: ", "database_uuid: x", "database_uuid"),
        Broken(BOARD, "uuid: df9beccc", "id: df9beccc", "not a mapping with a uuid"),
    ],
    ids=lambda broken: broken.words,
)
def test_an_import_of_what_is_not_valid_fails_and_says_where(
    administrator: Superset, files: Path, bootstrap: Any, broken: Broken
) -> None:
    text = (files / broken.file).read_text()
    assert broken.old in text
    (files / broken.file).write_text(text.replace(broken.old, broken.new))
    done = bootstrap(files)
    assert done.returncode != 0
    assert broken.words in done.stdout + done.stderr
    assert changes(Bundle.load(), exported(administrator)) == []
