"""Superset's log of what people do, without the steps within (ADR 0028).

Superset notes in its own database how long each step of a chart's answer took, besides the answer: six commits a chart,
eight where the currency is told from the rows. Each waits for the disk, and after each Superset reads who asks, the
dataset and its columns anew. Who asked for what, when and how long it took is in the answer's own entry.
"""

from typing import Any

from superset.utils.log import DBEventLogger

STEPS = frozenset(
    {
        "_get_data_response",
        "ChartDataRestApi.json_dumps",
        "execute_sql",
        "fetch_rows",
        "load_into_dataframe",
        "QueryObject.post_processing",
    }
)
"""What Superset calls the steps; anything else is an entry."""


class ActionLog(DBEventLogger):
    """Superset's own, for all that is no step."""

    def log_with_context(self, action: str, *args: Any, **kwargs: Any) -> None:
        """As Superset's; nothing for a step."""
        if action not in STEPS:
            super().log_with_context(action, *args, **kwargs)
