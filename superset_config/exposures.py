"""Writes ``dbt_project/models/exposures.yml``: which marts each dashboard reads, from the dashboards themselves.

``python -m superset_config.exposures [--check]``: with ``--check`` it writes nothing and exits 1 when it is stale.
A dashboard's owner is who certifies it, its ``certified_by``.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain, combinations
from types import SimpleNamespace
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from superset_config.bundle import ROOM, Asset, Bundle
from superset_config.families import GRAINS
from superset_config.macros import MACROS
from warehouse.marts import MARTS

FILE = ROOM.parent / "dbt_project" / "models" / "exposures.yml"
COMMAND = "make generate"
SUPERSET = "{{ env_var('SUPERSET_URL', 'http://127.0.0.1:21088') }}"
"""What dbt puts the address of Superset in place of."""
MODELS = {mart.name for mart in MARTS}
READ = re.compile(r"\bmarts\.([a-z_]+)")
ALL_GRAINS: tuple[str | None, ...] = (None, *GRAINS)
TELLING = ("page_name", "region_name", "app")
"""The filters of which a choice is answered by other marts."""


def relations(sql: str, grains: tuple[str | None, ...] = ALL_GRAINS) -> set[str]:
    """The relations of schema ``marts`` that a dataset's SQL can read, over the grains and filters to choose from."""
    told = [name for name in TELLING if f"'{name}'" in sql]
    choices = list(chain.from_iterable(combinations(told, n) for n in range(len(told) + 1)))
    return {name for grain in grains for chosen in choices for name in READ.findall(_rendered(sql, grain, chosen))}


def charted(bundle: Bundle, dashboard: Asset) -> set[str]:
    """The relations of schema ``marts`` behind a dashboard's charts."""
    sql = _sql(bundle)
    charts = {asset.uuid: asset.content for asset in bundle.of("charts")}
    filters = list(dashboard.content["metadata"]["native_filter_configuration"])
    free = any(each["filterType"] == "filter_timegrain" for each in filters)
    found: set[str] = set()
    for uuid in placed(dashboard):
        chart = charts[uuid]
        grains = ALL_GRAINS if free else (chart["params"].get("time_grain_sqla"),)
        found |= relations(sql[str(chart["dataset_uuid"])], grains)
    return found


def reads(bundle: Bundle, dashboard: Asset) -> set[str]:
    """The relations of schema ``marts`` behind a dashboard's charts and filters."""
    sql = _sql(bundle)
    filters = list(dashboard.content["metadata"]["native_filter_configuration"])
    offered = {str(target["datasetUuid"]) for each in filters for target in each["targets"] if "datasetUuid" in target}
    return charted(bundle, dashboard).union(*(relations(sql[uuid]) for uuid in offered))


def placed(dashboard: Asset) -> Iterator[str]:
    """The UUIDs of a dashboard's charts."""
    for part in dashboard.content["position"].values():
        if isinstance(part, Mapping) and part["type"] == "CHART":
            yield str(part["meta"]["uuid"])


def exposure(bundle: Bundle, dashboard: Asset) -> dict[str, Any]:
    """One dashboard as dbt's exposure."""
    content, owner = dashboard.content, str(dashboard.content["certified_by"])
    said = " ".join(str(content["description"]).split())
    return {
        "name": str(content["slug"]).replace("-", "_"),
        "label": dashboard.name,
        "type": "dashboard",
        "maturity": "high",
        "url": f"{SUPERSET}/superset/dashboard/{content['slug']}/",
        "description": f"{said} It reads the published marts, which publish copies from these models after the gate.",
        "owner": {"name": owner, "email": f"{owner}@localhost"},
        "depends_on": [
            f"ref('{name}')" if name in MODELS else f"source('marts', '{name}')"
            for name in sorted(reads(bundle, dashboard))
        ],
    }


def text(bundle: Bundle) -> str:
    """The file's text."""
    found = {"version": 2, "exposures": [exposure(bundle, each) for each in bundle.of("dashboards")]}
    written = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated from superset_config/assets/ by `{COMMAND}`; edit the dashboard instead.\n{written}"


def main() -> int:
    """Write the file, or only compare; 1 when ``--check`` finds it stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is stale")
    fresh = text(Bundle.load())
    if not parser.parse_args().check:
        FILE.write_text(fresh, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == fresh:
        return 0
    sys.stderr.write(f"{FILE.name} is stale: run `{COMMAND}` and commit it\n")
    return 1


def _sql(bundle: Bundle) -> dict[str, str]:
    """The SQL of each dataset, by UUID."""
    return {asset.uuid: str(asset.content["sql"]) for asset in bundle.of("datasets")}


@cache
def _rendered(sql: str, grain: str | None, chosen: tuple[str, ...]) -> str:
    """The SQL as Superset's template processor would give it to a reader who chose a grain, and of each ``chosen``."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 (SQL, not HTML)
    environment.globals.update(MACROS)
    environment.globals.update(
        filter_values=lambda name, **_options: ["one"] if name in chosen else [],
        get_time_filter=lambda **_options: SimpleNamespace(from_expr=None, to_expr=None),
        time_grain=grain,
        columns=[],
    )
    return environment.from_string(sql).render()


if __name__ == "__main__":
    sys.exit(main())
