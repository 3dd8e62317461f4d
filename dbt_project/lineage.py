"""What dbt's docs show beyond what dbt knows: the way up to the warehouse, its metrics, and how fresh it is. Pure.

dbt gives no source a parent, but draws what its manifest says; so the docs site's copy of the manifest is completed
from what the project's YAML declares (docs/adr/0024). The builds of each minute know nothing of this.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dbt_project.metrics import table
from dbt_project.state import State

OVERVIEW = "doc.watershed.__overview__"
Manifest = dict[str, Any]


class LineageError(Exception):
    """The YAML declares a parent that there is not; the message names both."""


def completed(manifest: Mapping[str, Any], states: Mapping[str, State], read_at: datetime) -> Manifest:
    """The manifest with sources' parents, and of each relation its metrics and what ``states`` say of it (by name).

    :raises LineageError: see there
    """
    sources = {key: _placed(source) for key, source in manifest["sources"].items()}
    parents = {
        key: [*above, *_made_from(sources.get(key, {}), sources)] for key, above in manifest["parent_map"].items()
    }
    whole = {**manifest, "sources": sources, "parent_map": parents, "child_map": _turned(parents)}
    whole["nodes"] = {
        key: _described(_measured(node), states.get(node["name"]), read_at) if key.startswith("model.") else node
        for key, node in manifest["nodes"].items()
    }
    whole["sources"] = {
        key: _described(_measured(each), states.get(each["name"]), read_at) for key, each in sources.items()
    }
    whole["exposures"] = {
        key: _described(each, _least(states, each["depends_on"]["nodes"]), read_at)
        for key, each in manifest["exposures"].items()
    }
    overview = manifest["docs"][OVERVIEW]
    said = f"{overview['block_contents']}\n\n{_table(states, read_at)}"
    whole["docs"] = {**manifest["docs"], OVERVIEW: {**overview, "block_contents": said}}
    return whole


def _placed(source: Mapping[str, Any]) -> dict[str, Any]:
    """A source that is no relation of the warehouse is shown as one of the system that holds it."""
    system = source["meta"].get("system")
    return {**source, "database": system} if system else dict(source)


def _made_from(source: Mapping[str, Any], sources: Mapping[str, Any]) -> list[str]:
    wanted = [f"source.watershed.{name}" for name in source.get("meta", {}).get("made_from", ())]
    for name in wanted:
        if name not in sources:
            raise LineageError(f"{source['source_name']}.{source['name']} is made_from {name}, which is no source")
    return wanted


def _turned(parents: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {key: [] for key in parents}
    for child, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(child)
    return children


def _measured(node: Mapping[str, Any]) -> dict[str, Any]:
    """A relation that says its metrics in words, not as the data in ``meta``, which the page would show as they are."""
    meta = dict(node["meta"])
    metrics = meta.pop("metrics", None)
    return (
        {**node, "meta": meta, "description": f"{node['description']}\n\n{table(metrics)}"} if metrics else dict(node)
    )


def _described(node: Mapping[str, Any], state: State | None, read_at: datetime) -> dict[str, Any]:
    if state is None:
        return dict(node)
    return {**node, "description": f"{node['description']}\n\n{state.sentence(read_at)}"}


def _least(states: Mapping[str, State], keys: Iterable[str]) -> State | None:
    """The state of what is made from several: as far as the least, failed where one failed."""
    found = [states[name] for key in keys if (name := key.rsplit(".", 1)[1]) in states and key.startswith("model.")]
    return State.of(found) if found else None


def _table(states: Mapping[str, State], read_at: datetime) -> str:
    rows = [f"| {name} | {state.freshness} | {state.gate} |" for name, state in sorted(states.items()) if state.is_mart]
    head = [f"### How fresh the marts are, and what the gates found last\n\nRead {read_at:%Y-%m-%d %H:%M} UTC.\n"]
    return "\n".join([*head, "| mart | complete through | last gate |", "|---|---|---|", *rows])
