"""What the demo prints: progress, differences and the closing table."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from collector.sender import Report
from demo.compare import Difference
from demo.truth import Truth

console = Console(highlight=False, markup=False)
MOST = 30


def say(line: str) -> None:
    """One line."""
    console.print(line, soft_wrap=True)


def every_ten_seconds() -> Callable[[Report], None]:
    """What says now and then how a report grows."""
    last = time.monotonic()

    def tell(report: Report) -> None:
        nonlocal last
        if time.monotonic() - last >= 10:
            last = time.monotonic()
            say(f"{report.sent:,} sent: {report.accepted:,} accepted, {report.rejected:,} rejected")

    return tell


def differences(found: Sequence[Difference]) -> None:
    """The first differences as a table, and how many more there are."""
    table = Table("where", "day", "what", "sent", "shown", title=f"{len(found)} differences")
    for difference in found[:MOST]:
        table.add_row(difference.where, difference.day, difference.key, difference.expected, difference.found)
    console.print(table)
    if len(found) > MOST:
        say(f"… and {len(found) - MOST} more")


def summary(truth: Truth) -> Table:
    """How much is in the charts, by region: the ten with most views, and all."""
    regions: dict[str, list[int]] = {}
    for of_day in truth.views.values():
        for region, views in of_day.items():
            sums = regions.setdefault(region, [0, 0])
            sums[0] += views.page_views
            sums[1] += views.bot_page_views
    table = Table("region", "page views", "by bots", title=f"Tenant {truth.tenant}: {len(truth.views)} days")
    for region, (people, bots) in sorted(regions.items(), key=lambda item: -item[1][0])[:10]:
        table.add_row(region, f"{people:,}", f"{bots:,}")
    table.add_section()
    people, bots = (sum(sums[i] for sums in regions.values()) for i in (0, 1))
    table.add_row(f"all {len(regions)}", f"{people:,}", f"{bots:,}")
    return table
