"""The alerts, read from ``definitions/<name>.yaml``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent / "definitions"
KEYS = {"title", "says", "unit", "runbook", "threshold", "needs", "failing"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class DefinitionError(Exception):
    """An alert's file is wrong; the message names it and what to change."""


@dataclass(frozen=True)
class Alert:
    """A rule. ``failing`` is SQL that gives (tenant, key, value) for each that breaks it, over ``%(threshold)s``.

    ``needs`` are the columns it reads, by mart: where one is not there yet, the alert is not active.
    """

    name: str
    title: str
    says: str
    unit: str
    runbook: str
    threshold: float
    needs: Mapping[str, tuple[str, ...]]
    failing: str


def load_alerts(folder: Path = FOLDER) -> tuple[Alert, ...]:
    """Every alert, by name.

    :raises DefinitionError: a file is wrong, or there is none
    """
    alerts = tuple(_read(path) for path in sorted(folder.glob("*.yaml")))
    if not alerts:
        raise DefinitionError(f"{folder}: no alert")
    return alerts


def _read(path: Path) -> Alert:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or set(content) != KEYS:
        raise DefinitionError(f"{path}: needs exactly {', '.join(sorted(KEYS))}")
    if _NAME.fullmatch(path.stem) is None:
        raise DefinitionError(f"{path}: the name is to be lower case, digits and _")
    reads = set(re.findall(r"\b(?:from|join)\s+marts\.([a-z_]+)", content["failing"]))
    if reads != set(content["needs"]):
        raise DefinitionError(f"{path}: reads {sorted(reads)} and says that it needs {sorted(content['needs'])}")
    if "%(threshold)s" not in content["failing"]:
        raise DefinitionError(f"{path}: `failing` does not compare with %(threshold)s")
    needs = {mart: tuple(columns) for mart, columns in content.pop("needs").items()}
    return Alert(name=path.stem, needs=needs, **content)
