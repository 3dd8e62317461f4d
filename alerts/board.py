"""What a report takes from a dashboard's own file: its charts of a day, those of one tenant, and what feeds them.

Pure. The dashboard's filters say it themselves: what *Dates* does not reach is no day's, and what *Tenant* does not
reach is no tenant's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from superset_config.bundle import Asset, Bundle
from superset_config.exposures import charted, placed
from warehouse.marts import EVENT_TYPES, MARTS

DATES, TENANT = "filter_time", "NATIVE_FILTER-tenant"
TELLING = ("day", "hour")
"""Grains of the marts that tell whether a tenant has data of a day."""


class ReportError(Exception):
    """A report cannot be made as it should be; the message says of what, and why."""


@dataclass(frozen=True)
class Board:
    """A dashboard as reports see it.

    ``of_day`` and ``of_tenant`` are UUIDs of charts: those that the filter *Dates* reaches, by name, and those that
    the filter *Tenant* reaches. ``marts`` have a day's rows, made from ``event_types``.
    """

    slug: str
    title: str
    of_day: Mapping[str, str]
    of_tenant: Mapping[str, str]
    marts: tuple[str, ...]
    event_types: tuple[str, ...]


def read_board(bundle: Bundle, slug: str) -> Board:
    """The dashboard of that slug.

    :raises ReportError: there is none
    """
    boards = {str(board.content["slug"]): board for board in bundle.of("dashboards")}
    if slug not in boards:
        raise ReportError(f"there is no dashboard {slug!r}: choose from {', '.join(boards)}")
    board = boards[slug]
    names = {chart.uuid: chart.name for chart in bundle.of("charts")}
    filters = board.content["metadata"]["native_filter_configuration"]
    dates = [each for each in filters if each["filterType"] == DATES]
    tenant = [each for each in filters if each["id"] == TENANT]
    read = charted(bundle, board)
    marts = [mart for mart in MARTS if mart.name in read and mart.grain in TELLING]
    types = {event_type for mart in marts for event_type in mart.event_types}
    return Board(
        slug,
        board.name,
        {uuid: names[uuid] for uuid in names if uuid in _reached(board, dates)},
        {uuid: names[uuid] for uuid in names if uuid in _reached(board, tenant)},
        tuple(mart.name for mart in marts),
        tuple(sorted(types)) or EVENT_TYPES,
    )


def _reached(board: Asset, filters: list[Mapping[str, object]]) -> set[str]:
    """The charts that one of ``filters`` applies to: all of the page but what its scope leaves out."""
    position = board.content["position"]
    numbers = {
        part["meta"]["chartId"]: str(part["meta"]["uuid"])
        for part in position.values()
        if isinstance(part, Mapping) and part["type"] == "CHART"
    }
    found: set[str] = set()
    for each in filters:
        scope = each["scope"]
        if not isinstance(scope, Mapping) or scope["rootPath"] != ["ROOT_ID"]:
            raise ReportError(f"{board.path}: the filter {each['name']} does not begin at the whole page")
        found |= set(placed(board)) - {numbers[number] for number in scope["excluded"]}
    return found
