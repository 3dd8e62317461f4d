"""A tile says what its number means in dbt's words, and how to read it here in its own."""

from typing import Any

import pytest
import yaml

from dbt_project.metrics import Metric, defined
from superset_config.bundle import ROOM, Asset, Bundle
from superset_config.measures import reference
from superset_config.tiles import TileError, chart, definitions, shown

BUNDLE = Bundle.load()
CHARTS = list(BUNDLE.of("charts"))
DATASETS = {asset.uuid: asset.content for asset in BUNDLE.of("datasets")}
METRICS = defined()


def named(asset: Asset) -> str:
    return asset.path


@pytest.mark.parametrize("asset", CHARTS, ids=named)
def test_a_tile_carries_dbt_s_definition_of_every_metric_it_shows(asset: Asset) -> None:
    lines = str(asset.content["description"]).split("\n")
    dataset = DATASETS[asset.content["dataset_uuid"]]
    carried = {each["metric_name"]: reference(each) for each in dataset["metrics"]}
    metrics = [carried[name] for name in shown(asset.content["params"])]
    assert metrics or asset.content["params"].get("query_mode") == "raw"
    for found in metrics:
        assert found is not None, "an order is no number to show"
        assert f"{METRICS[found[0]].label}: {METRICS[found[0]].description}" in lines[:-1]


REVENUE = Metric("sales", "revenue", "Revenue", "sum(revenue)", "money", "What was paid.", within="currency")
DATASET: dict[str, Any] = {
    "columns": [
        {"column_name": "app", "verbose_name": "App", "type": "TEXT", "description": "Which app."},
        {"column_name": "rank", "verbose_name": "Rank", "type": "BIGINT", "description": "Its\n place."},
    ],
    "metrics": [
        {"metric_name": "revenue_now", "extra": {"dbt": "sales.revenue", "form": "now"}},
        {"metric_name": "revenue_before", "extra": {"dbt": "sales.revenue", "form": "before"}},
        {"metric_name": "label_order", "extra": None},
    ],
}
FILE = """\
slice_name: Sales
description: >-
  Revenue: What it meant before.

  Of the chosen period.
params:
  metrics: [revenue_now, revenue_before]
  timeseries_limit_metric: label_order
"""


def written(text: str, metric: Metric = REVENUE) -> str:
    return chart(text, yaml.safe_load(text), DATASET, {"sales.revenue": metric})


def test_a_definition_that_changes_in_dbt_changes_on_the_tile_and_the_rest_stays() -> None:
    said = yaml.safe_load(written(FILE))
    assert said["description"] == "Revenue: What was paid.\nOf the chosen period."
    assert {**said, "description": 0} == {**yaml.safe_load(FILE), "description": 0}
    assert written(written(FILE)) == written(FILE)


def test_a_new_chart_gets_its_definitions_before_its_own_words() -> None:
    said = yaml.safe_load(written("slice_name: S\ndescription: Of today.\nparams: {metric: revenue_now}\n"))
    assert said["description"] == "Revenue: What was paid.\nOf today."


@pytest.mark.parametrize("description", ["null", "'Revenue: What was paid.'"])
def test_a_tile_without_a_word_on_how_to_read_it_is_refused(description: str) -> None:
    with pytest.raises(TileError, match="how to read it"):
        written(f"slice_name: S\ndescription: {description}\nparams: {{metric: revenue_now}}\n")


def test_a_table_of_rows_says_what_its_columns_of_numbers_mean() -> None:
    params = {"query_mode": "raw", "all_columns": ["app", "rank"]}
    assert list(definitions(params, DATASET, {})) == ["Rank: Its place."]


def test_the_style_sheet_shows_a_tile_s_text_line_by_line() -> None:
    style = (ROOM / "templates" / "dashboards.css").read_text(encoding="utf-8")
    (rule,) = (part for part in style.split("}") if "content: attr(aria-label)" in part)
    assert "white-space: pre-line" in rule
