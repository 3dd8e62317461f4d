"""``watershed backup …``"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from runtime.settings import SettingsError
from stack import backup as backups
from stack import remembered, secrets
from stack.backup import DATABASES
from stack.programs import StackError
from stack.restore import restore, sizes

app = typer.Typer(help="Back up and restore the warehouse and the lake's catalog.", no_args_is_help=True)


class Database(StrEnum):
    """What can be restored by itself."""

    warehouse = "warehouse"
    catalog = "catalog"


Folder = Annotated[
    Path | None, typer.Option("--in", help="Folder of backups; without it `backups` in the state folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.command("create")
def create_command(folder: Folder = None, as_json: AsJson = False) -> None:
    """Dump warehouse and catalog into a new folder, while everything runs.

    What is not in it: the lake's files, and the secrets.
    """
    try:
        settings = remembered.recall()
        known = secrets.load(settings.watershed_state / "secrets.json")
        done = backups.create(settings, known, (folder or backups.place(settings)).resolve())
    except (StackError, SettingsError, ValueError) as error:
        raise _failed(error) from error
    size = sum(bytes_ for bytes_, _ in done.files.values())
    Console(stderr=as_json).print(f"{done.folder}: {size:,} bytes", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(done.as_json()))


@app.command("list")
def list_command(folder: Folder = None, as_json: AsJson = False) -> None:
    """The backups there are, the newest first."""
    try:
        found = backups.listed((folder or backups.place(remembered.recall())).resolve())
    except (StackError, SettingsError, ValueError) as error:
        raise _failed(error) from error
    table = Table("name", "made (UTC)", *DATABASES, box=None)
    for one in found:
        table.add_row(one.name, one.created_at[:19], *(f"{one.files.get(d, (0, ''))[0]:,}" for d in DATABASES))
    Console(stderr=as_json).print(table)
    if as_json:
        typer.echo(json.dumps({"backups": [one.as_json() for one in found]}))


@app.command("restore")
def restore_command(
    name: Annotated[str, typer.Argument(help="Of `watershed backup list`.")],
    *,
    folder: Folder = None,
    only: Annotated[list[Database] | None, typer.Option("--only", help="Only this database; may be repeated.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really replace; without it, say what would be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replace warehouse and catalog by what a backup has of them. Without --yes nothing is changed.

    The dumps are checked and restored beside what there is, which is then replaced, both at once. Who is connected
    to them is thrown out at that moment.
    """
    databases = [d.value for d in only] if only else list(DATABASES)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        settings = remembered.recall()
        known = secrets.load(settings.watershed_state / "secrets.json")
        chosen = backups.read((folder or backups.place(settings)).resolve() / name)
        backups.verify(chosen, databases)
        for database, size in sizes(settings, known, databases).items():
            there = "is not there" if size is None else f"of {size:,} bytes"
            verb = "is replaced" if yes else "would be replaced"
            console.print(f"{database} {there}: {verb} by that of {chosen.created_at[:19]}")
        if yes:
            restore(settings, known, chosen, databases)
    except (StackError, SettingsError, ValueError) as error:
        raise _failed(error) from error
    console.print(
        "restored; `watershed lake recover` brings the catalog to what the bucket has, and `make up` the rest to what "
        "this code wants"
        if yes
        else "nothing was changed: --yes does it"
    )
    if as_json:
        typer.echo(json.dumps({"name": chosen.name, "databases": databases, "restored": yes}))


def _failed(error: Exception) -> typer.Exit:
    sys.stderr.write(f"backup: {error}\n")
    return typer.Exit(1)
