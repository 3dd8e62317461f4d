"""What a reader's browser asks Superset when a dashboard is opened, as `benchmarks.dashboards` asks it again.

A browser opens each dashboard on the tenant and what it sends is written down: with the dashboard's own filters as
they are when it is opened, and with what Superset's page has Superset do to the rows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, Request

from superset_config.asked import chart_asking, question
from superset_config.bundle import Asset, Bundle
from superset_config.placed import charts_placed, placed_on
from superset_config.rest import Superset
from superset_config.screenshot import BrowserSettings, dashboard_url, logged_in

WIDTH, HEIGHT = 1440, 9000
"""Of the window: taller than any dashboard, as charts out of sight ask nothing."""
PATIENCE = 120
"""Seconds for a dashboard to ask for all of its charts."""
LOOK = 0.1
"""Seconds between looking whether it has."""


class NotAsked(Exception):
    """A dashboard was opened and did not ask for each of its charts."""


@dataclass(frozen=True)
class Question:
    """One chart's request on one dashboard: ``content`` is what is sent to ``path``, JSON or an older chart's form."""

    dashboard: str
    chart: str
    path: str
    content: Mapping[str, Any]

    def narrowed(self, filters: Mapping[str, Sequence[str]]) -> "Question":
        """The same with more chosen: values by column."""
        more = [{"col": column, "op": "IN", "val": list(values)} for column, values in filters.items()]
        if self.is_form:
            also = self.content.get("extra_form_data") or {}
            extra = {**also, "filters": [*also.get("filters", ()), *more]}
            return Question(self.dashboard, self.chart, self.path, {**self.content, "extra_form_data": extra})
        queries = [{**query, "filters": [*query.get("filters", ()), *more]} for query in self.content["queries"]]
        return Question(self.dashboard, self.chart, self.path, {**self.content, "queries": queries})

    @property
    def is_form(self) -> bool:
        """Whether it is of a chart of the older kind."""
        return "queries" not in self.content

    def ask(self, superset: Superset) -> list[str]:
        """Have it answered, past the cache; what Superset asked the warehouse for it.

        :raises SupersetError: it is not
        """
        forced = {**self.content, "force": True}
        if self.is_form:
            return [str(superset.explore(f"{self.path}&force=true", forced)["query"])]
        return [str(result["query"]) for result in superset.results(forced, self.path)]


def board_questions(
    settings: BrowserSettings, superset: Superset, tenant: str, only: Collection[str] = ()
) -> list[Question]:
    """The question of every chart, by dashboard; of the dashboards whose slugs are in ``only``, if it names any.

    :raises NoDashboard: it names one that there is not
    :raises NotAsked: a dashboard did not ask for each of its charts in `PATIENCE` seconds
    """
    bundle = Bundle.load()
    names = {chart.uuid: chart.path.removeprefix("charts/").removesuffix(".yaml") for chart in bundle.of("charts")}
    numbers = {int(row["id"]): names[uuid] for uuid, row in superset.by_uuid("chart").items() if uuid in names}
    awaited = charts_placed(only)
    boards = [board for board in bundle.of("dashboards") if board.content["slug"] in awaited]
    with logged_in(settings, WIDTH, HEIGHT) as page:
        return [
            Question(board.name, numbers[number], *sent)
            for board in boards
            for number, sent in sorted(_sent(page, settings.superset_url.rstrip("/"), board, tenant).items())
        ]


def _sent(page: Page, base: str, board: Asset, tenant: str) -> dict[int, tuple[str, Mapping[str, Any]]]:
    """By the number of each chart, where the board's page asked for it last, and what it sent."""
    sent: dict[int, tuple[str, Mapping[str, Any]]] = {}

    def asks(request: Request) -> None:
        if (number := chart_asking(request.url)) is not None:
            sent[number] = (request.url.removeprefix(base), question(request.post_data or "{}"))

    page.on("request", asks)
    page.goto(dashboard_url(base, str(board.content["slug"]), tenant))
    awaited = placed_on(board)
    for _ in range(round(PATIENCE / LOOK)):
        if len(sent) >= awaited:
            break
        page.wait_for_timeout(LOOK * 1000)
    else:
        raise NotAsked(f"{board.name}: {len(sent)} of {awaited} charts asked within {PATIENCE} s")
    page.wait_for_load_state("networkidle")  # a filter that chooses its first value makes them ask again
    page.remove_listener("request", asks)
    return sent
