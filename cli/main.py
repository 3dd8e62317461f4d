"""Mounts every room's commands; a command's room is imported only when it is called, so that each starts quickly."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from runtime.settings import ROOM, SettingsError

REPO = Path(__file__).resolve().parent.parent

ROOMS = {
    "alerts": "alerts.commands",
    "audit": "spark_jobs.audit_commands",
    "backup": "stack.backup_commands",
    "books": "books.commands",
    "collectors": "collector.collectors_commands",
    "contracts": "contracts.commands",
    "demo": "demo.commands",
    "docs": "dbt_project.docs_commands",
    "forget": "erasure.commands",
    "gate": "expectations.commands",
    "import": "collector.import_file_commands",
    "import-access-log": "collector.import_commands",
    "keys": "collector.commands:keys",
    "lake": "collector.lake_commands",
    "load": "spark_jobs.commands",
    "marts": "warehouse.marts_commands",
    "notify": "notify.commands",
    "publish": "warehouse.marts_commands:publish",
    "rehearse": "rejects.rehearse_commands",
    "rejects": "rejects.commands",
    "repair": "rejects.repair_commands",
    "report": "reports.commands",
    "reprocess": "spark_jobs.reprocess_commands",
    "send": "collector.send_commands",
    "spool": "collector.commands:spool",
    "stack": "stack.commands",
    "superset": "superset_config.commands",
    "tenant": "tenants.commands",
    "topics": "collector.commands:topics",
    "trace": "tracing.commands",
    "warehouse": "warehouse.commands",
}
"""Command, and ``module`` or ``module:attribute`` (default ``app``) that holds its typer application."""

BESIDE = {"lake": "spark_jobs.maintain_commands"}
"""Group, and the module of another room whose one command stands in it too."""


class Rooms(TyperGroup):
    """A group whose members are imported when they are named."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, sorted."""
        del ctx
        return sorted(ROOMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called ``cmd_name``, or None."""
        del ctx
        if cmd_name not in ROOMS:
            return None
        module, _, attribute = ROOMS[cmd_name].partition(":")
        command = get_command(getattr(importlib.import_module(module), attribute or "app"))
        command.name = cmd_name
        if isinstance(command, TyperGroup) and cmd_name in BESIDE:
            command.add_command(get_command(importlib.import_module(BESIDE[cmd_name]).app))
        return command


app = typer.Typer(
    cls=Rooms,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, and those hold passwords
)


@app.callback()
def watershed() -> None:
    """Watershed: events from HTTP to charts, every number traceable."""


def adopt_stack_environment() -> None:
    """Take the endpoints of the local stack from its ``env`` file, where it has one; what is set already wins.

    A process of the stack itself was given what its room needs; the file holds the operator's credentials.
    """
    if os.environ.get(ROOM):
        return
    file = (Path(os.environ.get("WATERSHED_STATE", REPO / ".local")) / "env").resolve()
    if not file.exists():
        return
    values = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    # In a folder that was copied or moved it speaks of another stack, which no command here may touch.
    if values.get("WATERSHED_STATE") == str(file.parent):
        for name, value in values.items():
            os.environ.setdefault(name, value)
        os.environ["WATERSHED_STATE"] = str(file.parent)  # absolute, wherever a command goes on to work


def main() -> None:
    """Run the command line; a missing or malformed setting is one line, not a traceback."""
    adopt_stack_environment()
    try:
        app()
    except SettingsError as error:
        sys.stderr.write(f"watershed: {error}\n")
        sys.exit(2)
