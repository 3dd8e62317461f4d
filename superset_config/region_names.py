"""Regions by their English names, as the datasets show them and the filter offers them."""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from superset_config.literals import among, literals


@cache
def names_by_code() -> dict[str, str]:
    """The English name of each ISO 3166-1 alpha-2 code."""
    with (Path(__file__).parent / "regions.csv").open(encoding="utf-8", newline="") as file:
        return {row["region"]: row["region_name"] for row in csv.DictReader(file)}


def region_names() -> str:
    """The names of the regions, as rows of a `values` list: ISO 3166-1 alpha-2 code and English name."""
    return ", ".join(literals([code, name]) for code, name in sorted(names_by_code().items()))


def in_regions(column: str, names: Sequence[str]) -> str:
    """A condition that the code in ``column`` is that of one of the ``names``; an unknown name is taken as the code."""
    codes = {name: code for code, name in names_by_code().items()}
    return among(column, [codes.get(name, name) for name in names])
