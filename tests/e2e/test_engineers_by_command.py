"""What an engineer asks by command of the whole stack: where an event is, and whom a new contract would break."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stack.settings import REPO
from tests.e2e.kit import VIEWS, Warehouse, last_json, send_page_view, watershed

TENANT = "traced"
SHOWN = "select coalesce(sum(page_views), 0) from marts.page_region_daily where tenant = %s"


@pytest.fixture(scope="module")
def event_id(env: Mapping[str, str], demo: dict[str, Any], warehouse: Warehouse) -> str:
    """An event without a visitor, in the charts."""
    sent = send_page_view(env, TENANT)
    warehouse.until("it is charted", lambda: warehouse.one(SHOWN, TENANT) == 1)
    return sent


def test_a_trace_ends_in_the_rows_that_readers_see(env: Mapping[str, str], event_id: str) -> None:
    answer = last_json(watershed(env, "trace", event_id, "--json"))
    (event,) = answer["events"]
    (arrival,) = event["arrivals"]
    assert (event["event_id"], event["tenant"], event["verdict"]) == (event_id, TENANT, "counted")
    assert arrival["kafka"]["offset"] is not None
    assert arrival["load"]["run_id"]
    assert event["rollup"]["row"]["page_views"] == 1
    marts = {mart["mart"].removeprefix("marts."): mart["rows"] for mart in event["marts"]}
    assert set(VIEWS) <= set(marts)
    for mart in VIEWS:
        assert [row["page_views"] for row in marts[mart]] == [1], mart


def test_a_contract_is_rehearsed_over_what_was_sent(env: Mapping[str, str], event_id: str, tmp_path: Path) -> None:
    here = REPO / "contracts" / "page_view" / "v1.schema.json"
    proposed = json.loads(here.read_text())
    proposed["required"].append("visitor_id")
    file = tmp_path / "page_view" / "v2.schema.json"
    file.parent.mkdir()
    file.write_text(json.dumps(proposed))

    def rehearsed() -> subprocess.CompletedProcess[str]:
        argv = ["make", "rehearse", f"CONTRACT={file}", "DAYS=1", f"TENANT={TENANT}"]
        own = {each: os.environ[each] for each in ("PATH", "HOME") if each in os.environ}
        return subprocess.run(
            argv, cwd=REPO, env={**own, **env}, capture_output=True, text=True, check=False, timeout=300
        )

    breaking = rehearsed()
    assert breaking.returncode != 0
    assert "page_view v2: 1 events of v1 judged" in breaking.stdout, breaking.stdout + breaking.stderr
    assert "1 would be refused" in breaking.stdout
    assert event_id in breaking.stdout
    file.write_text(here.read_text())
    harmless = rehearsed()
    assert harmless.returncode == 0, harmless.stdout + harmless.stderr
    assert "0 would be refused" in harmless.stdout
