"""What a stack was started with, kept in its folder, so that later commands need not be told it again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runtime.settings import SettingsError
from stack.secrets import write_private
from stack.settings import StackSettings

FILE = "settings.json"
OF_THE_COMMAND = {"watershed_state", "ready_seconds", "disk_needed_mb"}
"""How a command goes about it; the servers know nothing of them."""
_TELLING = ("smtp_", "mail_", "alert", "openlineage_")
AT_THE_NEXT_UP = {"kafka_open"} | {name for name in StackSettings.model_fields if name.startswith(_TELLING)}
"""What a running stack takes up: it moves no server from where the others look for it."""


def recall() -> StackSettings:
    """The environment's settings and, for what it does not give, those of the stack's last start.

    :raises SettingsError: a variable is malformed, or the file of the last start is.
    """
    given = StackSettings.read()
    kept = _kept(given) or {}
    missing = {name: value for name, value in kept.items() if name not in given.model_fields_set}
    try:
        return StackSettings(**missing)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise _damaged(_file(given), wrong) from error


def keep(settings: StackSettings) -> None:
    """Remember what of ``settings`` is not the default."""
    write_private(_file(settings), json.dumps(notable(settings), indent=1) + "\n")


def notable(settings: StackSettings) -> Mapping[str, Any]:
    """What of ``settings`` is not the default, by field name."""
    return settings.model_dump(mode="json", exclude_defaults=True, exclude={"watershed_state"})


def changes(settings: StackSettings) -> Mapping[str, tuple[Any, Any]]:
    """What a running stack cannot take up: last value and present one, by field name, where these differ."""
    kept = _kept(settings)
    if kept is None:
        return {}
    before = settings.model_copy(
        update={name: kept.get(name, field.default) for name, field in StackSettings.model_fields.items()}
    )
    pairs = {name: (getattr(before, name), getattr(settings, name)) for name in StackSettings.model_fields}
    harmless = OF_THE_COMMAND | AT_THE_NEXT_UP
    return {name: pair for name, pair in pairs.items() if name not in harmless and pair[0] != pair[1]}


def words(values: Mapping[str, Any]) -> str:
    """As they would be typed."""
    return " ".join(f"{name.upper()}={value}" for name, value in values.items())


def _kept(settings: StackSettings) -> dict[str, Any] | None:
    path = _file(settings)
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(kept, dict):
        raise _damaged(path, "not an object")
    return {name: kept[name] for name in StackSettings.model_fields if name in kept}


def _damaged(path: Path, why: str) -> SettingsError:
    return SettingsError(f"{path} is damaged ({why}): delete it, and give the settings anew")


def _file(settings: StackSettings) -> Path:
    return settings.watershed_state / FILE
