"""Brings what was changed in Superset's pages back into the reviewed files."""

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from superset_config.bundle import Bundle
from superset_config.normalise import as_file, differences, normal, numbers
from superset_config.rest import Superset


class ExportError(Exception):
    """The export cannot become files; the message says why."""


@dataclass(frozen=True)
class Change:
    """An asset that Superset has otherwise than its file: ``words`` say where, ``content`` is the file to be."""

    path: str
    words: tuple[str, ...]
    content: Mapping[str, Any]


def exported(superset: Superset) -> dict[str, dict[str, Any]]:
    """Every asset as Superset exports it, by UUID; with its folder under ``_kind``."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(superset.download("assets/export/"))) as archive:
        for name in archive.namelist():
            content = yaml.safe_load(archive.read(name))
            if isinstance(content, dict) and "uuid" in content:
                found[str(content["uuid"])] = {"_kind": name.split("/")[1], **content}
    return found


def changes(bundle: Bundle, present: Mapping[str, Mapping[str, Any]], dashboard: str | None = None) -> list[Change]:
    """What of the reviewed assets is otherwise in Superset; and, named by slug or title, a ``dashboard`` made by hand.

    :raises ExportError: an asset is not in Superset, or no dashboard is called so
    """
    found = []
    for asset in bundle.assets:
        if asset.uuid not in present:
            raise ExportError(f"{asset.path} is not in Superset: `make up` imports it")
        theirs = _content(present[asset.uuid])
        if words := differences(normal(asset.content), normal(theirs)):
            found.append(Change(asset.path, tuple(words), as_file(theirs, asset.content)))
    if dashboard is not None:
        found += _made_by_hand(bundle, present, dashboard)
    return found


def write(change: Change, folder: Path) -> None:
    """Write ``change`` into the files under ``folder``."""
    file = folder / change.path
    file.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.dump(change.content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    file.write_text(text, encoding="utf-8")


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, as the files have it."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _content(present: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in present.items() if key != "_kind"}


def _made_by_hand(bundle: Bundle, present: Mapping[str, Mapping[str, Any]], named: str) -> list[Change]:
    boards = [
        each
        for each in present.values()
        if each["_kind"] == "dashboards" and named in {each.get("slug"), each["dashboard_title"]}
    ]
    if len(boards) != 1:
        raise ExportError(f"{len(boards)} dashboards in Superset are called {named!r}: give the slug of one")
    charts = [present[uuid] for uuid in numbers(boards[0]) if uuid in present]
    datasets = [present[str(each["dataset_uuid"])] for each in charts if each.get("dataset_uuid")]
    known = {asset.uuid for asset in bundle.assets}
    new = {str(each["uuid"]): each for each in (*datasets, *charts, *boards) if str(each["uuid"]) not in known}
    return [Change(_path(each), ("new",), as_file(_content(each), {})) for each in new.values()]


def _path(asset: Mapping[str, Any]) -> str:
    title = next(str(asset[key]) for key in ("dashboard_title", "slice_name", "table_name") if key in asset)
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or str(asset["uuid"])
    return f"{asset['_kind']}/{'warehouse/' if asset['_kind'] == 'datasets' else ''}{name}.yaml"
