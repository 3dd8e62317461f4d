"""The suites as files: named by table and severity, about claimed rows only, and naming tenants."""

import re
from pathlib import Path

import pytest

from expectations.suites import FOLDER, SuiteError, batch, claimed, fed_by, load_suites
from warehouse.marts import EVENT_TYPES, MARTS

RUN = "11111111-1111-1111-1111-111111111111"
GOOD = "holds:\n  expect: It holds.\n  failing: select tenant, 1 as observed from {batch}\n"


def test_every_mart_has_a_suite_that_stops() -> None:
    stops = {suite.table for suite in load_suites("marts") if suite.severity == "stop"}
    assert stops == {mart.name for mart in MARTS}


def test_the_first_gate_stops_every_type_that_reaches_a_mart_and_the_books_of_all() -> None:
    assert {suite.name for suite in load_suites("rollups") if suite.severity == "stop"} == {
        *(f"rollups.{type_}_minute.stop" for type_ in EVENT_TYPES),
        "ledger.cells.stop",
    }


def test_a_gate_evaluates_the_suites_of_claimed_types_and_the_books() -> None:
    suites = [suite for stage in ("rollups", "marts") for suite in load_suites(stage)]
    assert {suite.name for suite in suites if fed_by(suite, {"metric"})} == {
        "rollups.metric_minute.stop",
        "marts_build.metric_hourly.stop",
        "ledger.cells.stop",
        "ledger.cells.warn",
    }
    assert {"marts_build.app_daily.stop", "marts_build.revenue_daily.stop"} <= {
        suite.name for suite in suites if fed_by(suite, {"refund"})
    }


def test_every_expectation_gives_the_failing_tenants() -> None:
    for stage in ("rollups", "marts"):
        for suite in load_suites(stage):
            for expectation in suite.expectations:
                assert "group by tenant" in expectation.failing, f"{suite.name}: {expectation.name}"
                assert " as observed" in expectation.failing, f"{suite.name}: {expectation.name}"
                assert expectation.description.endswith("."), f"{suite.name}: {expectation.name}"
                # Great Expectations fills braces, and takes those of a regular expression for a place to fill.
                assert set(re.findall(r"{\w*}", expectation.failing)) <= {"{batch}", "{claimed}"}, suite.name


def test_a_gate_looks_at_what_its_run_has_in_hand() -> None:
    suites = {suite.name: suite for stage in ("rollups", "marts") for suite in load_suites(stage)}
    rollups = suites["rollups.page_view_minute.stop"]
    assert f"claimed_by = '{RUN}' and type = 'page_view'" in claimed(rollups, RUN)
    assert "t.minute >= c.period_start" in batch(rollups, RUN)
    assert "type = " not in claimed(suites["ledger.cells.stop"], RUN)
    assert "t.type = c.type" in batch(suites["ledger.cells.stop"], RUN)
    weekly = suites["marts_build.region_weekly.stop"]
    assert f"run_id = '{RUN}'" in claimed(weekly, RUN)
    assert "event_type in ('page_view')" in claimed(weekly, RUN)
    assert "calendar.period_start('week', i.instant, " in claimed(weekly, RUN)
    assert "marts_build.app_daily" in claimed(suites["marts_build.app_daily.stop"], RUN)  # its later periods too


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("region_daily.fatal.yaml", GOOD, "stop.yaml or"),
        ("region_daily.yaml", GOOD, "stop.yaml or"),
        ("region_daily.stop.yaml", "", "maps the names"),
        ("region_daily.stop.yaml", "holds: {expect: It holds.}", "needs `expect`"),
        ("region_daily.stop.yaml", GOOD + "  severity: warn\n", "nothing else"),
        ("region_daily.stop.yaml", GOOD.replace("{batch}", "marts_build.region_daily"), "looks at all rows"),
    ],
)
def test_a_wrong_suite_is_named_with_the_way_out(tmp_path: Path, name: str, text: str, problem: str) -> None:
    folder = tmp_path / "marts_build"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(SuiteError, match=problem) as error:
        load_suites("marts", tmp_path)
    assert name in str(error.value)


def test_a_suite_for_a_mart_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "marts_build"
    folder.mkdir()
    (folder / "region_yearly.stop.yaml").write_text(GOOD)
    (suite,) = load_suites("marts", tmp_path)
    with pytest.raises(SuiteError, match="region_yearly"):
        claimed(suite, RUN)


def test_a_gate_without_suites_is_an_error_and_not_a_pass(tmp_path: Path) -> None:
    (tmp_path / "marts_build").mkdir()
    with pytest.raises(SuiteError, match="no suite"):
        load_suites("marts", tmp_path)


def test_the_suites_lie_where_their_tables_do() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"rollups", "ledger", "marts_build"}
