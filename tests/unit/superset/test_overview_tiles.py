"""What the Overview promises of each of its numbers: where it comes from, and where it is going."""

import pytest

from superset_config.bundle import Asset, Bundle

BUNDLE = Bundle.load()
(OVERVIEW,) = (each for each in BUNDLE.of("dashboards") if each.content["slug"] == "overview")
PLACED = {
    str(part["meta"]["uuid"])
    for part in OVERVIEW.content["position"].values()
    if isinstance(part, dict) and part["type"] == "CHART"
}
TILES = [
    chart
    for chart in BUNDLE.of("charts")
    if chart.uuid in PLACED and str(chart.content["viz_type"]).startswith("big_number")
]


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.path)
def test_each_number_of_the_overview_has_its_trend(tile: Asset) -> None:
    params = tile.content["params"]
    assert params["viz_type"] == "big_number"
    assert (params["show_trend_line"], params["compare_lag"]) == (True, 7)


def test_the_overview_has_numbers() -> None:
    assert len(TILES) >= 15
