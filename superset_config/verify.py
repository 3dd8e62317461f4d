"""Asks a running Superset over REST whether every reviewed asset is there and every chart answers.

    python -m superset_config.verify [--data] [--tenant NAME]

Superset's importer ends well even where an asset does not validate, so its word is not taken. With ``--data`` a chart
that answers with no row fails too: for a stack that is known to have data. Exit code 1 when anything is wrong.
"""

import argparse
import sys
from collections.abc import Sequence

import httpx

from runtime.settings import SettingsError
from superset_config.bundle import Asset, Bundle
from superset_config.rest import Superset, SupersetError, SupersetSettings

RESOURCES = {"databases": "database", "datasets": "dataset", "charts": "chart", "dashboards": "dashboard"}
EXPLORED = ("world_map",)
"""Chart types that the browser asks for at the older address."""


def verify(superset: Superset, bundle: Bundle, need_data: bool = False, tenant: str | None = None) -> list[str]:
    """Everything that is wrong, one line each; empty when all is well."""
    wrong = []
    ids: dict[str, int] = {}
    for kind, resource in RESOURCES.items():
        present = superset.by_uuid(resource)
        ids |= {uuid: int(row["id"]) for uuid, row in present.items()}
        wrong += [f"{asset.path}: not in Superset" for asset in bundle.of(kind) if asset.uuid not in present]
    for asset in bundle.of("charts"):
        if asset.uuid in ids:
            wrong += _ask(superset, asset, ids[asset.uuid], need_data, tenant)
    return wrong


def _ask(superset: Superset, asset: Asset, chart_id: int, need_data: bool, tenant: str | None) -> list[str]:
    filters = {"tenant": [tenant]} if tenant else None
    try:
        rows = superset.chart_rows(chart_id, filters)
        drawn = superset.explored(chart_id) if asset.content["viz_type"] in EXPLORED else rows
    except (SupersetError, httpx.HTTPError) as error:
        return [f"{asset.path}: {error}"]
    return [f"{asset.path}: no data"] if need_data and not (rows and drawn) else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", action="store_true", help="a chart without a row is wrong, too")
    parser.add_argument("--tenant", help="ask for this tenant only")
    chosen = parser.parse_args(arguments)
    bundle = Bundle.load()
    try:
        with Superset(SupersetSettings.read()) as superset:
            wrong = verify(superset, bundle, chosen.data, chosen.tenant)
    except (SettingsError, SupersetError, httpx.HTTPError) as error:
        sys.stderr.write(f"superset: {error}\n")
        return 2
    for line in wrong:
        sys.stderr.write(f"superset: {line}\n")
    if not wrong:
        sys.stdout.write(f"superset: {len(bundle.assets)} assets are there, every chart answers\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
