"""What dbt says of metrics and columns is what Superset's datasets say: carried over by a command, never by hand."""

import re
from typing import Any

import pytest
import yaml

from dbt_project.columns import described
from dbt_project.metrics import LOADER, defined, of_mart
from dbt_project.selection import PROJECT
from superset_config import carry
from superset_config.bundle import Asset, Bundle
from superset_config.carry import CarryError
from superset_config.exposures import relations
from superset_config.measures import FORMS, FormError, carried, reference, sql
from superset_config.yaml_text import field

BUNDLE = Bundle.load()
DATASETS = list(BUNDLE.of("datasets"))
METRICS = defined()
MODELS = [
    model
    for file in (PROJECT / "models" / "marts").glob("_*.yml")
    for model in yaml.load(file.read_text(encoding="utf-8"), LOADER).get("models", [])  # noqa: S506 (both are safe)
]
COLUMNS = {model["name"]: {column["name"] for column in model["columns"]} for model in MODELS if "columns" in model}
ORDERS = {"label_order", "scope_order", "period_order", "newest_and_greatest", "region_events"}
"""What a dataset needs for itself, to put rows in order. No chart shows them."""


def named(asset: Asset) -> str:
    return asset.path


def metric(expression: str, **more: Any) -> Any:
    said = {"label": "It", "expression": expression, "format": "count", "description": "What it means, said.", **more}
    (found,) = of_mart({"name": "some", "config": {"meta": {"metrics": {"it": said}}}})
    return found


def test_the_committed_files_are_what_dbt_s_definitions_give() -> None:
    stale = [path.name for path, text in carry.files() if path.read_text(encoding="utf-8") != text]
    assert stale == [], f"run `{carry.COMMAND}`"


@pytest.mark.parametrize("dataset", DATASETS, ids=named)
def test_every_metric_but_orders_is_one_of_dbt_s(dataset: Asset) -> None:
    own = {each["metric_name"] for each in dataset.content["metrics"] if reference(each) is None}
    assert own <= ORDERS


def test_every_metric_of_dbt_is_in_some_dataset() -> None:
    references = [reference(each) for dataset in DATASETS for each in dataset.content["metrics"]]
    assert {each[0] for each in references if each} == METRICS.keys()


@pytest.mark.parametrize("dataset", DATASETS, ids=named)
def test_a_dataset_carries_metrics_of_what_its_marts_hold(dataset: Asset) -> None:
    reads = relations(str(dataset.content["sql"]))
    held = set().union(*(COLUMNS.get(name, set()) for name in reads))
    for each in dataset.content["metrics"]:
        if found := reference(each):
            metric = METRICS[found[0]]
            assert metric.columns <= held if metric.mart in COLUMNS else metric.mart in reads, each["metric_name"]


def test_a_metric_is_asked_for_in_every_form() -> None:
    rate = metric("sum(errors) / sum(requests)", format="rate", label="Errors")
    assert sql(rate) == "1.0 * SUM(errors) / NULLIF(SUM(requests), 0)"
    now = "1.0 * SUM(errors) FILTER (WHERE position = 0) / NULLIF(SUM(requests) FILTER (WHERE position = 0), 0)"
    assert carried(rate, "now")["expression"] == now
    change = carried(rate, "change")
    assert change["expression"] == f"({now}) / NULLIF({now.replace('= 0', '= -1')}, 0) - 1"
    assert (change["verbose_name"], change["d3format"]) == ("Errors change", "+.1%")
    assert all("What it means, said." in carried(rate, form)["description"] for form in FORMS)


def test_a_tile_s_number_is_of_the_newest_period_though_that_has_none() -> None:
    rate = metric("sum(revenue) / sum(purchases)", within="currency")
    plain = "CASE WHEN COUNT(DISTINCT currency) <= 1 THEN 1.0 * SUM(revenue) / NULLIF(SUM(purchases), 0) END"
    newest = plain.replace(") <= 1", ") FILTER (WHERE newest) <= 1")
    newest = newest.replace("e) /", "e) FILTER (WHERE newest) /").replace("s), 0", "s) FILTER (WHERE newest), 0")
    assert carried(rate, "newest")["expression"] == f"CASE WHEN BOOL_OR(newest) THEN {newest} ELSE {plain} END"
    tile = f"NULLIF({plain}, CASE WHEN BOOL_OR(compared) THEN 0 END)"
    assert carried(rate, "newest_tile")["expression"] == f"CASE WHEN BOOL_OR(newest) THEN {newest} ELSE {tile} END"


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("distinct(visitors_sketch)", "SUM(visitors)"),
        ("quantile(duration_sketch, 0.95)", "MAX(p95)"),
        ("count_distinct(source)", "COUNT(DISTINCT source)"),
        ("count_unlike(state, 'Complete%')", "COUNT(*) FILTER (WHERE state NOT LIKE 'Complete%')"),
        ("share_of_all(page_views)", "SUM(share)"),
        ("share(signups)", "SUM(signups) / NULLIF(SUM(SUM(signups)) OVER (), 0)"),
        ("(sum(a) + 0.5 * sum(b)) / sum(c)", "1.0 * (SUM(a) + (0.5 * SUM(b))) / NULLIF(SUM(c), 0)"),
        ("sum(a) - (sum(b) - sum(c))", "SUM(a) - (SUM(b) - SUM(c))"),
    ],
)
def test_each_aggregate_becomes_sql_over_a_dataset_s_columns(expression: str, asked: str) -> None:
    assert sql(metric(expression)) == asked


def test_an_amount_of_several_currencies_is_no_number() -> None:
    amount = metric("sum(net_revenue)", format="money", within="currency")
    assert sql(amount) == "CASE WHEN COUNT(DISTINCT currency) <= 1 THEN SUM(net_revenue) END"
    assert carried(amount, "plain")["currency"] == {"symbol": "AUTO", "symbolPosition": "prefix"}


@pytest.mark.parametrize("form", ["now", "change", "complete"])
def test_a_share_of_the_rows_shown_is_not_taken_of_some_of_them(form: str) -> None:
    with pytest.raises(FormError, match=r"some\.it"):
        carried(metric("share(signups)"), form)


def test_a_form_that_is_none_is_named() -> None:
    with pytest.raises(FormError, match="'tomorrow'"):
        carried(metric("sum(a)"), "tomorrow")


FILE = """\
table_name: some
columns:
- column_name: tenant
  verbose_name: Tenant
  description: By hand.
- column_name: a
  verbose_name: A
  description: >-
    What nobody
    else says.
metrics:
# Kept.
- metric_name: a_of_some
  extra: {dbt: some.it, form: complete}
- metric_name: label_order
  expression: MIN(a)
  extra: null
uuid: 1
"""


def test_a_file_is_written_from_what_a_metric_and_a_column_are_named() -> None:
    text = carry.dataset(FILE, {"some.it": metric("sum(a)")}, {"tenant": "Whose it is."})
    content = yaml.safe_load(text)
    assert [column["description"] for column in content["columns"]] == ["Whose it is.", "What nobody else says."]
    assert content["metrics"][0]["expression"] == "SUM(a) FILTER (WHERE complete)"
    assert content["metrics"][0]["extra"] == {"dbt": "some.it", "form": "complete"}
    assert content["metrics"][1] == {"metric_name": "label_order", "expression": "MIN(a)", "extra": None}
    assert carry.dataset(text, {"some.it": metric("sum(a)")}, {"tenant": "Whose it is."}) == text


@pytest.mark.parametrize(
    ("expression", "key", "words"),
    [("sum(b)", "some.it", "needs the column b"), ("sum(a)", "other.it", "no metric some.it")],
)
def test_a_metric_that_a_dataset_cannot_carry_is_named(expression: str, key: str, words: str) -> None:
    with pytest.raises(CarryError, match=words):
        carry.dataset(FILE, {key: metric(expression)}, {})


def test_a_file_that_is_laid_out_otherwise_is_refused_rather_than_cut() -> None:
    with pytest.raises(CarryError, match="no entry"):
        carry.dataset(FILE.replace("metrics:\n", "metrics:\n\n"), {}, {})
    with pytest.raises(CarryError, match="follow one another"):
        carry.dataset(FILE.replace("uuid: ", "version: "), {}, {})


@pytest.mark.parametrize("value", ["short: yes", "long " * 40 + "end", "two\nlines " + "and more " * 20 + "here", None])
def test_a_field_reads_as_it_was_written(value: str | None) -> None:
    text = field("description", value, 2)
    assert yaml.safe_load(f"x:\n{text}")["x"]["description"] == value
    assert max(map(len, text.splitlines())) <= 120


def test_what_docs_say_of_a_column_is_its_first_paragraph() -> None:
    assert re.fullmatch(r"Distinct visitors[^\n]*:", described()["visitors"])
