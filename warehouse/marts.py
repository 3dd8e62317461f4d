"""Which marts there are: what publish replaces, by whole periods. The models are in ``dbt_project/models/marts``."""

from dataclasses import dataclass
from typing import Literal

Grain = Literal["hour", "day", "week", "month"]


@dataclass(frozen=True)
class Mart:
    """One table of schema ``marts`` with a model of its name in ``marts_build``.

    The key is (tenant, period_start, *dimensions); every other column is a measure. Those called ``…_sketch`` are how
    a distinct count merges, not numbers that anyone reads.
    """

    name: str
    event_type: str
    grain: Grain
    dimensions: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return ("tenant", "period_start", *self.dimensions)


MARTS = (
    Mart("region_hourly", "page_view", "hour", ("region",)),
    Mart("region_daily", "page_view", "day", ("region",)),
    Mart("region_weekly", "page_view", "week", ("region",)),
    Mart("region_monthly", "page_view", "month", ("region",)),
    Mart("page_daily", "page_view", "day", ("page_name",)),
)

EVENT_TYPES = tuple(dict.fromkeys(mart.event_type for mart in MARTS))
"""The event types that reach a mart; the others end at the rollups."""
