"""Carries what dbt says of metrics and columns into the reviewed files of datasets and charts.

``python -m superset_config.carry [--check]``: with ``--check`` it writes nothing, names what is stale, and exits 1.

A dataset's metric names in its ``extra`` the metric of dbt that it carries, and in which form; the rest of it is
written here. What names none is what the dataset needs for itself: an order. The files keep their order and comments.
A chart's description begins with what its metrics mean (``tiles.py``).
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import yaml

from dbt_project.columns import described
from dbt_project.metrics import Metric, MetricError, defined
from superset_config.bundle import ASSETS, LOADER
from superset_config.measures import FormError, carried, columns, reference
from superset_config.tiles import TileError, chart
from superset_config.yaml_text import field

COMMAND = "make generate"
OF_THEIR_OWN = {"period_start", "hour", "category", "app_name", "rank", "visitors", "buyers"}
"""Columns that mean something narrower in a dataset than in a mart: of the chosen period, or of the time grain."""
LISTS = re.compile(r"^columns:\n(?P<columns>.*?)^metrics:\n(?P<metrics>.*?)(?=^uuid: )", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"(?:^#.*\n)*^- (?:column|metric)_name: (\w+)\n(?:^  .*\n)*", re.MULTILINE)
DESCRIPTION = re.compile(r"^  description:.*\n(?:^    .*\n)*", re.MULTILINE)


class CarryError(Exception):
    """A file cannot be written from what dbt says; the message names the file."""


def dataset(text: str, metrics: Mapping[str, Metric], documented: Mapping[str, str]) -> str:
    """A dataset's file as dbt has its metrics and its columns.

    :raises CarryError: it is not laid out as the others are, names a metric that there is not, or lacks its columns
    """
    lists = LISTS.search(text)
    if lists is None:
        raise CarryError("columns, metrics and uuid do not follow one another")
    content = _parsed(text)
    has = {str(column["column_name"]): " ".join(column["description"].split()) for column in content["columns"]}
    said = {str(each["metric_name"]): each for each in content["metrics"]}

    def column(name: str, entry: str) -> str:
        if name in OF_THEIR_OWN or documented.get(name, has[name]) == has[name]:
            return entry
        return DESCRIPTION.sub(lambda _: field("description", documented[name], 2), entry)

    def metric(name: str, entry: str) -> str:
        named = reference(said[name])
        return entry if named is None else "".join(_metric(said[name], *named, metrics, has.keys()))

    head, tail = text[: lists.start()], text[lists.end() :]
    written = _entries(lists["columns"], column), _entries(lists["metrics"], metric)
    return f"{head}columns:\n{written[0]}metrics:\n{written[1]}{tail}"


def files() -> Iterator[tuple[Path, str]]:
    """Every file that carries something of dbt's, with what its text should be.

    :raises CarryError: a file cannot be written; it names the file
    :raises MetricError: a definition of dbt's is not allowed
    """
    metrics, documented = defined(), described()
    datasets = {}
    for kind in ("datasets", "charts"):
        for path in sorted((ASSETS / kind).rglob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            try:
                if kind == "datasets":
                    fresh = dataset(text, metrics, documented)
                    datasets[_parsed(fresh)["uuid"]] = _parsed(fresh)
                else:
                    content = _parsed(text)
                    fresh = chart(text, content, datasets[content["dataset_uuid"]], metrics)
            except (CarryError, FormError, TileError) as error:
                raise CarryError(f"{path.relative_to(ASSETS)}: {error}") from error
            yield path, fresh


def main() -> int:
    """Write the files, or only compare; 1 when ``--check`` finds one stale, or a definition is not allowed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    checks = parser.parse_args().check
    try:
        stale = {path: text for path, text in files() if path.read_text(encoding="utf-8") != text}
    except (MetricError, CarryError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not checks:
        for path, text in stale.items():
            path.write_text(text, encoding="utf-8")
        return 0
    if stale:
        names = ", ".join(path.relative_to(ASSETS).as_posix() for path in stale)
        sys.stderr.write(f"stale: {names}: run `{COMMAND}` and commit\n")
    return 1 if stale else 0


def _parsed(text: str) -> dict[str, Any]:
    return dict(yaml.load(text, LOADER))  # noqa: S506 (both are safe)


def _entries(text: str, written: Callable[[str, str], str]) -> str:
    found = [(match[1], match[0]) for match in ENTRY.finditer(text)]
    if "".join(entry for _, entry in found) != text:
        raise CarryError("a list holds what is no entry")
    return "".join(written(name, entry) for name, entry in found)


def _metric(
    said: Mapping[str, Any], key: str, form: str, metrics: Mapping[str, Metric], has: Set[str]
) -> Iterator[str]:
    if key not in metrics:
        raise CarryError(f"dbt has no metric {key}")
    if missing := columns(metrics[key]) - has:
        raise CarryError(f"{key} needs the column {', '.join(sorted(missing))}")
    content = {**carried(metrics[key], form), "extra": said["extra"], "warning_text": None}
    yield f"- metric_name: {said['metric_name']}\n"
    yield from (field(name, value, 2) for name, value in content.items())


if __name__ == "__main__":
    sys.exit(main())
