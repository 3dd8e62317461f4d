"""What a tile's number means, as its text: dbt's definition of every metric shown, then how to read it here. Pure.

A chart's description has a line for each metric, written by ``carry.py``, and one last line, by hand: what is counted,
which filters apply, what the change compares with.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dbt_project.metrics import Metric
from superset_config.measures import reference
from superset_config.yaml_text import field

DESCRIPTION = re.compile(r"^description:.*\n(?:(?: .*)?\n)*", re.MULTILINE)
NUMBERS = {"BIGINT", "INTEGER", "NUMERIC", "DOUBLE PRECISION"}


class TileError(Exception):
    """A chart does not say how to read it; the message says why."""


def chart(text: str, content: Mapping[str, Any], dataset: Mapping[str, Any], metrics: Mapping[str, Metric]) -> str:
    """A chart's file, ``content`` when parsed, with the definitions of what it shows.

    :raises TileError: its last line is a definition, or it has none
    """
    meanings = list(dict.fromkeys(definitions(content["params"], dataset, metrics)))
    by_hand = str(content.get("description") or "").strip().rsplit("\n", 1)[-1]
    if not by_hand or by_hand in meanings:
        raise TileError("its description ends without a line by hand on how to read it")
    said = "\n".join([*meanings, by_hand])
    return DESCRIPTION.sub(lambda _: field("description", said), text, count=1)


def definitions(params: Mapping[str, Any], dataset: Mapping[str, Any], metrics: Mapping[str, Metric]) -> Iterator[str]:
    """What the metrics that a chart shows mean; of a table of rows, its columns of numbers."""
    if params.get("query_mode") == "raw":
        columns = {column["column_name"]: column for column in dataset["columns"]}
        for name in params["all_columns"]:
            if columns[name]["type"] in NUMBERS:
                yield f"{columns[name]['verbose_name']}: {' '.join(columns[name]['description'].split())}"
        return
    carried = {each["metric_name"]: reference(each) for each in dataset["metrics"]}
    for name in shown(params):
        if found := carried[name]:
            metric = metrics[found[0]]
            yield f"{metric.label}: {metric.description}"


def shown(params: Mapping[str, Any]) -> list[str]:
    """The saved metrics that a chart shows, by their names in the dataset; not what only sorts it."""
    return [params["metric"]] if "metric" in params else list(params.get("metrics", []))
