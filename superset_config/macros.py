"""Pieces of SQL that the datasets share, offered to their Jinja templates by :data:`MACROS`.

A dataset reads marts only. What cannot be said in one `select` over a mart and is the same in every dataset is said
once:

- **Which time is shown**: ``periods.py``.
- **Which mart answers**: ``families.py`` and ``rows.py``.
- **What may not be added**, over regions or periods: ``merges.py`` merges distinct users and latencies from sketches.
- **What is compared** is the same elapsed part of another period: ``comparisons.py``.

Every value that a reader can type goes through ``literals.py``: SQL is never built from raw input.
"""

from collections.abc import Callable

from superset_config.comparisons import compared, each_day
from superset_config.families import (
    family_rows,
    grain_label,
    grain_mart,
    grain_step,
    grain_unit,
    views_of,
)
from superset_config.literals import among, literals
from superset_config.merges import merged, quantiles
from superset_config.periods import period_rows, spans, timeline
from superset_config.region_names import in_regions, region_names
from superset_config.rows import grain_rows, in_apps, in_sales_of, restated_by_family, span_rows, the_one, with_bounds

MACROS: dict[str, Callable[..., str]] = {
    "spans": spans,
    "timeline": timeline,
    "span_rows": span_rows,
    "grain_rows": grain_rows,
    "with_bounds": with_bounds,
    "merged": merged,
    "quantiles": quantiles,
    "compared": compared,
    "each_day": each_day,
    "the_one": the_one,
    "among": among,
    "literals": literals,
    "grain_unit": grain_unit,
    "grain_mart": grain_mart,
    "grain_step": grain_step,
    "grain_label": grain_label,
    "period_rows": period_rows,
    "family_rows": family_rows,
    "restated_by_family": restated_by_family,
    "views_of": views_of,
    "region_names": region_names,
    "in_regions": in_regions,
    "in_apps": in_apps,
    "in_sales_of": in_sales_of,
}
