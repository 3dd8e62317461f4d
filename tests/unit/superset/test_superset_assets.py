"""Policies of the reviewed assets: what a reviewer would otherwise have to look for in every file."""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from dbt_project.columns import described
from superset_config.bundle import ASSETS, ROOM, Asset, AssetError, Bundle, split_dsn
from superset_config.carry import OF_THEIR_OWN
from superset_config.comparisons import COMPARED_DAY
from superset_config.measures import FORMS, reference
from superset_config.queries import UnknownChart, query_context

BUNDLE = Bundle.load()
CHARTS = list(BUNDLE.of("charts"))
TABLES = [chart for chart in CHARTS if chart.content["viz_type"] == "table"]
DATASETS = list(BUNDLE.of("datasets"))
DASHBOARDS = list(BUNDLE.of("dashboards"))
FEW = {"cause", "complete_text", "currency", "event_type", "family", "scope", "service", "tenant"}
"""What a table has a row for, where there are few: a search would take more room than it spares."""
UNSEARCHED = {"charts/overview/top_apps.yaml"}
"""A tile that is three wide, and leads to App store, which has the same apps with a search."""
LEAST_DESCRIPTION = 60
LEAST_GUIDANCE = 35
ASKED = re.compile(r"filter_values\('(\w+)'")


def named(asset: Asset) -> str:
    return asset.path


def dataset_of(chart: Asset) -> Asset:
    return next(each for each in DATASETS if each.uuid == chart.content["dataset_uuid"])


def placed(dashboard: Asset) -> list[dict[str, object]]:
    parts = [part for part in dashboard.content["position"].values() if isinstance(part, dict)]
    return [part["meta"] for part in parts if part["type"] == "CHART"]


@pytest.mark.parametrize("asset", BUNDLE.assets, ids=named)
def test_every_asset_has_a_fixed_uuid_of_its_own(asset: Asset) -> None:
    assert uuid.UUID(asset.uuid).version == 4
    assert [each.path for each in BUNDLE.assets if each.uuid == asset.uuid] == [asset.path]


@pytest.mark.parametrize("asset", BUNDLE.assets, ids=named)
def test_no_asset_holds_a_password_or_an_id_of_one_installation(asset: Asset) -> None:
    text = (ASSETS / asset.path).read_text(encoding="utf-8")
    assert not re.search(r"^\s*password:", text, re.MULTILINE)
    assert not re.search(r"://[^/\s]*:[^@/\s]+@", text), "a DSN with a password"
    assert not re.search(r"\bdatasetId:|\bdatasource:|\bslice_id:", text), "the import puts these in"


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_every_chart_says_what_its_number_means_and_how_to_read_it(chart: Asset) -> None:
    said = str(chart.content["description"] or "")
    assert len(said) >= LEAST_DESCRIPTION
    assert len(said.rsplit("\n", 1)[-1]) >= LEAST_GUIDANCE


@pytest.mark.parametrize("dataset", DATASETS, ids=named)
def test_every_column_and_measure_is_described(dataset: Asset) -> None:
    assert len(dataset.content["description"]) >= LEAST_DESCRIPTION
    for part in [*dataset.content["columns"], *dataset.content["metrics"]]:
        assert part["description"], part
        assert part["verbose_name"], part


DOCUMENTED = described()


@pytest.mark.parametrize("dataset", DATASETS, ids=named)
def test_a_column_of_a_mart_means_here_what_dbt_says_it_means(dataset: Asset) -> None:
    columns = {each["column_name"]: " ".join(each["description"].split()) for each in dataset.content["columns"]}
    carried = (columns.keys() & DOCUMENTED.keys()) - OF_THEIR_OWN
    assert {name: columns[name] for name in carried} == {name: DOCUMENTED[name] for name in carried}


def test_the_measures_of_every_family_are_carried_over_from_dbt() -> None:
    columns = {each["column_name"] for dataset in DATASETS for each in dataset.content["columns"]}
    measures = {"page_views", "net_revenue", "created", "signups", "daily_active_users", "samples", "requests"}
    assert measures <= columns & DOCUMENTED.keys() - OF_THEIR_OWN


@pytest.mark.parametrize("dataset", DATASETS, ids=named)
def test_datasets_read_nothing_but_marts(dataset: Asset) -> None:
    assert dataset.content["schema"] == "marts"
    sql = dataset.content["sql"]
    schemas = set(re.findall(r"\b(?:from|join)\s+([a-z_]+)\.", sql))
    assert schemas <= {"marts"}


@pytest.mark.parametrize("asset", [*BUNDLE.assets], ids=named)
def test_labels_are_english(asset: Asset) -> None:
    text = (ASSETS / asset.path).read_text(encoding="utf-8")
    assert set(text) <= {*map(chr, range(32, 127)), "\n", *"\u2013\u22ee\u2192\u2265"}


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_every_chart_asks_its_dataset_for_what_it_has(chart: Asset) -> None:
    dataset = dataset_of(chart)
    columns = {column["column_name"] for column in dataset.content["columns"]}
    metrics = {metric["metric_name"] for metric in dataset.content["metrics"]}
    query = query_context(chart.content["params"])["queries"][0]
    asked = {each if isinstance(each, str) else each["sqlExpression"] for each in query["columns"]}
    assert asked <= columns
    assert set(query["metrics"] or []) <= metrics
    assert {each["col"] for each in query["filters"]} <= columns


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_no_chart_has_a_metric_in_sql_of_its_own(chart: Asset) -> None:
    params = chart.content["params"]
    asked = [params.get("metric"), params.get("timeseries_limit_metric"), *params.get("metrics", [])]
    assert [each for each in asked if each is not None and not isinstance(each, str)] == []
    assert {"metric_2", "secondary_metric", "percent_metrics"} & {key for key in params if params[key]} == set()
    assert [each for each in params.get("adhoc_filters", []) if each["expressionType"] != "SIMPLE"] == []


@pytest.mark.parametrize("chart", TABLES, ids=named)
def test_a_table_of_more_rows_than_a_handful_can_be_searched(chart: Asset) -> None:
    params = chart.content["params"]
    # What a raw table lists is told by its first column.
    a_row_for = set(params.get("groupby") or params["all_columns"][:1])
    many = not (len(a_row_for) == 1 and a_row_for <= FEW)
    assert params.get("include_search", False) == (many and chart.path not in UNSEARCHED)


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_no_two_labels_of_a_chart_are_the_same(chart: Asset) -> None:
    dataset = dataset_of(chart).content
    labels = {part["column_name"]: part["verbose_name"] for part in dataset["columns"]}
    labels |= {part["metric_name"]: part["verbose_name"] for part in dataset["metrics"]}
    query = query_context(chart.content["params"])["queries"][0]
    shown = [labels[each] for each in [*query["columns"], *(query["metrics"] or [])] if isinstance(each, str)]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_a_dashboard_shows_charts_that_exist_by_their_names(dashboard: Asset) -> None:
    names = {chart.uuid: chart.name for chart in CHARTS}
    assert {meta["uuid"]: meta["sliceName"] for meta in placed(dashboard)} == {
        str(meta["uuid"]): names[str(meta["uuid"])] for meta in placed(dashboard)
    }


def form_of(metric: Mapping[str, Any]) -> str:
    found = reference(metric)
    assert found is not None, "no metric of dbt's"
    return found[1]


def test_every_chart_is_on_a_dashboard() -> None:
    assert {str(meta["uuid"]) for board in DASHBOARDS for meta in placed(board)} == BUNDLE.uuids("charts")


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_every_part_of_a_dashboard_hangs_together(dashboard: Asset) -> None:
    position = {name: part for name, part in dashboard.content["position"].items() if isinstance(part, dict)}
    reached = {"ROOT_ID", "HEADER_ID"}
    reached |= {child for part in position.values() for child in part.get("children", [])}
    assert reached == set(position)
    for name, part in position.items():
        assert part["id"] == name
        if part["type"] == "ROW":
            assert sum(position[child]["meta"]["width"] for child in part["children"]) <= 12
            # 3 and 6 are the widths that the phone's style sheet knows how to wrap
            assert {position[child]["meta"]["width"] for child in part["children"]} <= {3, 6}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_filters_target_columns_that_exist_and_leave_out_charts_that_exist(dashboard: Asset) -> None:
    columns = {dataset.uuid: {column["column_name"] for column in dataset.content["columns"]} for dataset in DATASETS}
    metrics = {dataset.uuid: {each["metric_name"] for each in dataset.content["metrics"]} for dataset in DATASETS}
    numbers = {meta["chartId"] for meta in placed(dashboard)}
    for each in dashboard.content["metadata"]["native_filter_configuration"]:
        assert each["description"]
        assert set(each["scope"]["excluded"]) <= numbers
        for target in each["targets"]:
            if "column" in target:
                assert target["column"]["name"] in columns[target["datasetUuid"]]
                assert each["sortMetric"] in metrics[target["datasetUuid"]]
                assert each["controlValues"]["sortMetric"] == each["sortMetric"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_a_chart_that_a_filter_reaches_follows_it(dashboard: Asset) -> None:
    """Superset leaves out without a word what a chart's dataset does not know."""
    datasets = {chart.uuid: dataset_of(chart) for chart in CHARTS}
    for each in dashboard.content["metadata"]["native_filter_configuration"]:
        for column in {target["column"]["name"] for target in each["targets"] if "column" in target}:
            for meta in placed(dashboard):
                dataset = datasets[str(meta["uuid"])].content
                known = {one["column_name"] for one in dataset["columns"]} | set(ASKED.findall(dataset["sql"]))
                assert column in known or meta["chartId"] in each["scope"]["excluded"], (
                    each["name"],
                    meta["sliceName"],
                )


def test_a_chosen_page_reaches_every_number_of_page_views() -> None:
    (board,) = (each for each in DASHBOARDS if each.content["slug"] == "page-views")
    states = {
        meta["chartId"]
        for meta in placed(board)
        if meta["sliceName"] in ("Complete through", "Can I trust these numbers?")
    }
    reached = {each["name"]: each["scope"] for each in board.content["metadata"]["native_filter_configuration"]}
    for name in ("Page", "Region"):
        assert set(reached[name]["excluded"]) == states


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_a_tile_of_days_compares_with_the_day_of_which_nothing_is_no_comparison(chart: Asset) -> None:
    params = chart.content["params"]
    if "each_day(" in dataset_of(chart).content["sql"] and "compare_lag" in params:
        assert params["compare_lag"] == COMPARED_DAY


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_no_tile_works_out_a_change_from_nothing(chart: Asset) -> None:
    params, content = chart.content["params"], dataset_of(chart).content
    if "each_day(" in content["sql"] or not params.get("compare_lag"):
        return
    (metric,) = (each for each in content["metrics"] if each["metric_name"] == params["metric"])
    assert "compared(" in content["sql"] or FORMS[form_of(metric)].nothing_where


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_no_tile_shows_the_number_of_a_period_before_as_the_newest_s(chart: Asset) -> None:
    params, content = chart.content["params"], dataset_of(chart).content
    if params["viz_type"] != "big_number":
        return
    (metric,) = (each for each in content["metrics"] if each["metric_name"] == params["metric"])
    may_be_null = re.search(r" / |MAX\(", metric["expression"]) is not None
    assert params["show_empty_columns"], "Superset drops days without a number, and compares with the next but one"
    apart = (params["aggregation"], FORMS[form_of(metric)].newest_alone)
    assert apart == (("raw", True) if may_be_null else ("LAST_VALUE", False))


def test_the_number_of_a_tile_is_asked_for_over_all_its_rows() -> None:
    params = {"viz_type": "big_number", "x_axis": "day", "metric": "m", "aggregation": "raw"}
    line, number = query_context(params)["queries"]
    assert (line["columns"][0]["label"], number["columns"]) == ("day", [])
    assert {**line, "columns": []} == number


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_a_click_on_what_a_chart_shows_filters_the_others(dashboard: Asset) -> None:
    assert dashboard.content["metadata"]["cross_filters_enabled"] is True


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_dashboards_refresh_by_themselves(dashboard: Asset) -> None:
    assert dashboard.content["metadata"]["refresh_frequency"] == 60


def test_the_import_marks_assets_as_managed_elsewhere_and_gives_charts_their_query() -> None:
    contents = BUNDLE.importable("postgresql+psycopg2://reader:XXXXXXXXXX@h:5432/w")
    parsed = {path: yaml.safe_load(text) for path, text in contents.items() if path != "metadata.yaml"}
    assert all(content["is_managed_externally"] for content in parsed.values())
    for path, content in parsed.items():
        if path.startswith("charts/"):
            overall = content["params"].get("aggregation") == "raw"
            assert len(json.loads(content["query_context"])["queries"]) == 1 + overall
        if path.startswith("dashboards/"):
            assert content["css"] is None, "what an older version of the file had would stay"
        if path == "databases/warehouse.yaml":
            assert content["sqlalchemy_uri"] == "postgresql+psycopg2://reader:XXXXXXXXXX@h:5432/w"


def test_the_password_goes_to_superset_apart_from_the_address() -> None:
    masked, password = split_dsn("postgresql://reader:s3cret@db.example:6432/warehouse?sslmode=require")
    assert masked == "postgresql+psycopg2://reader:XXXXXXXXXX@db.example:6432/warehouse?sslmode=require"
    assert password == "s3cret"


@pytest.mark.parametrize("dsn", ["postgresql://h/w", "postgresql://reader@h/w", "nonsense"])
def test_a_dsn_without_password_is_refused(dsn: str) -> None:
    with pytest.raises(AssetError, match="READER_DSN"):
        split_dsn(dsn)


def test_the_fingerprint_changes_with_the_assets_and_not_without() -> None:
    chart = CHARTS[0]
    changed = Asset(chart.path, {**chart.content, "description": "another"})
    others = tuple(asset for asset in BUNDLE.assets if asset is not chart)
    assert Bundle.load().fingerprint() == BUNDLE.fingerprint()
    assert Bundle((*others, changed), BUNDLE.metadata).fingerprint() != BUNDLE.fingerprint()


def test_a_chart_type_without_a_query_is_named() -> None:
    with pytest.raises(UnknownChart, match="'sunburst_v2'"):
        query_context({"viz_type": "sunburst_v2"})


def test_a_forecast_is_asked_of_prophet_by_the_day() -> None:
    forecasts = [chart for chart in CHARTS if chart.content["params"].get("forecastEnabled")]
    assert forecasts
    for chart in forecasts:
        query = query_context(chart.content["params"])["queries"][0]
        asked = query["post_processing"][-1]
        assert asked["operation"] == "prophet"
        assert (asked["options"]["index"], asked["options"]["time_grain"]) == ("day", "P1D")


@pytest.mark.parametrize("chart", CHARTS, ids=named)
def test_an_amount_is_shown_with_the_currency_it_is_in(chart: Asset) -> None:
    dataset = dataset_of(chart).content
    if chart.content["viz_type"] in {"table", "world_map"} or not dataset.get("currency_code_column"):
        return
    amounts = {metric["metric_name"] for metric in dataset["metrics"] if metric["currency"]}
    query = query_context(chart.content["params"])["queries"][0]
    shown = "AUTO" in json.dumps(chart.content["params"].get("currency_format"))
    assert shown == bool(amounts & set(query["metrics"]))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_every_dashboard_but_those_of_all_families_says_how_far_it_is_complete(dashboard: Asset) -> None:
    said = [meta for meta in placed(dashboard) if str(meta["sliceName"]).startswith("Complete through")]
    trusted = [meta for meta in placed(dashboard) if "trust" in str(meta["sliceName"])]
    assert said or trusted
    parts = [part for part in dashboard.content["position"].values() if isinstance(part, dict)]
    code = [part["meta"]["code"] for part in parts if part["type"] == "MARKDOWN"]
    assert any("How to read this page" in each for each in code)


def test_the_overview_leads_to_every_other_dashboard_of_numbers() -> None:
    overview = next(board for board in DASHBOARDS if board.content["slug"] == "overview")
    text = json.dumps(overview.content["position"])
    for board in DASHBOARDS:
        assert board is overview or f"(/superset/dashboard/{board.content['slug']}/)" in text, board.path


def test_dashboards_share_one_style_sheet_in_every_page_s_head() -> None:
    assert [board.path for board in DASHBOARDS if board.content.get("css")] == []
    head = (ROOM / "templates" / "head_custom_extra.html").read_text(encoding="utf-8")
    assert '{% include "dashboards.css" %}' in head
    assert "@media (max-width: 767px)" in (ROOM / "templates" / "dashboards.css").read_text(encoding="utf-8")


def test_roles_are_named_once_and_build_on_superset_s_own() -> None:
    roles = yaml.safe_load((ROOM / "roles.yaml").read_text(encoding="utf-8"))
    assert len({role["name"] for role in roles}) == len(roles)
    assert {role["like"] for role in roles if "like" in role} == {"Gamma", "Alpha"}


def test_no_role_is_handed_every_dataset_or_database() -> None:
    for role in yaml.safe_load((ROOM / "roles.yaml").read_text(encoding="utf-8")):
        if role.get("like") == "Alpha":
            for everything in ("all_database_access", "all_datasource_access"):
                assert [everything, everything] in role["without"]


def test_an_hour_out_of_balance_is_a_red_tile() -> None:
    (tile,) = (chart for chart in CHARTS if chart.path.endswith("data_quality/books_red.yaml"))
    (rule,) = tile.content["params"]["conditional_formatting"]
    assert (rule["operator"], rule["targetValue"], rule["colorScheme"]) == (">", 0, "#B03A2E")
    assert rule["column"] == tile.content["slice_name"]
