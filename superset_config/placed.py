"""What the files place on a dashboard, for whoever looks whether it is there. Pure but for reading the files."""

from collections.abc import Collection, Mapping

from superset_config.bundle import Asset, Bundle
from superset_config.exposures import placed


class NoDashboard(Exception):
    """A dashboard to look at is not among the assets."""


def charts_placed(only: Collection[str] = ()) -> dict[str, int]:
    """How many charts the files place on each dashboard, by its slug; of those in ``only``, if it names any.

    :raises NoDashboard: it names one that there is not
    """
    boards = {str(board.content["slug"]): placed_on(board) for board in Bundle.load().of("dashboards")}
    if unknown := set(only) - boards.keys():
        raise NoDashboard(f"no such dashboard: {', '.join(sorted(unknown))}; there are {', '.join(boards)}")
    return {slug: count for slug, count in boards.items() if not only or slug in only}


def placed_on(board: Asset) -> int:
    """How many charts a dashboard's file places on it."""
    return len(list(placed(board)))


def meanings(slug: str) -> dict[str, str]:
    """The descriptions of a dashboard's charts, by the names that they have there."""
    bundle = Bundle.load()
    charts = {chart.uuid: chart.content for chart in bundle.of("charts")}
    (board,) = (each for each in bundle.of("dashboards") if each.content["slug"] == slug)
    parts = [part for part in board.content["position"].values() if isinstance(part, Mapping)]
    return {
        str(meta.get("sliceNameOverride", meta["sliceName"])): str(charts[meta["uuid"]]["description"])
        for meta in (part["meta"] for part in parts if part["type"] == "CHART")
    }
