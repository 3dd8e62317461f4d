"""The numbers of a run in short Markdown, from its tasks' results. Knows nothing of Airflow."""

from collections.abc import Mapping
from typing import Any

LONGEST = 1000
"""Characters that Airflow's database takes of a note."""
SILENT = frozenset({"links", "idle", "busy", "seconds", "reads", "writes", "passing", "reasons"})
"""What says nothing in a number, or says it elsewhere on the page."""
ALSO_ZERO = frozenset({"held", "changed", "hours", "red"})
"""What is worth saying when it is none, too."""


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """What of a command's result are numbers: its own, the sums over tables of them, and how many were named."""
    own = {name: value for name, value in result.items() if _is_number(value) and name not in SILENT}
    summed: dict[str, float] = {}
    for name, value in result.items():
        if name in SILENT or not isinstance(value, Mapping | list):
            continue
        inner = list(value.values()) if isinstance(value, Mapping) else value
        if inner and all(isinstance(one, Mapping) for one in inner):
            for one in inner:
                for key, number in one.items():
                    if _is_number(number) and key not in own:
                        summed[key] = summed.get(key, 0) + number
        elif inner and all(_is_number(one) for one in inner):
            summed[name] = sum(inner)
        else:
            summed[name] = len(inner)
    found = {**summed, **own}
    return {name: found[name] for name in sorted(found) if found[name] or name in ALSO_ZERO}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def part(task_id: str, result: Mapping[str, Any], data_docs: str) -> str:
    """One task in Markdown."""
    shown = [f"{name.replace('_', ' ')} {value:,}" for name, value in numbers(result).items()]
    links = {"Data Docs": data_docs} if "expectations" in result and data_docs else {}
    links |= result.get("links") or {}
    shown += [f"[{name}]({address})" for name, address in links.items()]
    return f"**{task_id}**: {', '.join(shown) or 'nothing to do'}"


def note(results: Mapping[str, Any], data_docs: str) -> str:
    """The note of a run, from its tasks' results in their order: whole parts, as many as fit.

    In one line, because of a second one Airflow's page shows nothing before it is clicked at.
    """
    text = ""
    for task_id, result in results.items():
        if isinstance(result, Mapping):
            more = (" · " if text else "") + part(task_id, result, data_docs)
            if len(text) + len(more) > LONGEST:
                break
            text += more
    return text
