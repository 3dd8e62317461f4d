"""``watershed superset …``: what an operator does to Superset besides starting it."""

import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer

from superset_config.admin import Admin
from superset_config.bundle import ASSETS, AssetError, Bundle
from superset_config.export import ExportError, changes, exported, write
from superset_config.rest import Superset, SupersetError, SupersetSettings

app = typer.Typer(help="Superset: passwords, and dashboards between its pages and the files.", no_args_is_help=True)


@app.callback()
def superset() -> None:
    """Superset: passwords, and dashboards between its pages and the files."""


@app.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(help="Log-in name.")],
    mail: Annotated[bool, typer.Option("--mail", help="Mail the link instead of showing it.")] = False,
) -> None:
    """Give a link at which somebody chooses a new password: for one hour, and once."""
    try:
        with Admin(SupersetSettings.read()) as admin:
            link = admin.link(username, "forgotten", mail)
    except (SupersetError, httpx.HTTPError) as error:
        sys.stderr.write(f"superset: {error}\n")
        raise typer.Exit(1) from error
    if link.url is None:
        typer.echo(f"{username} was sent a link, good for {link.hours:.0f} h")
        return
    if mail:
        typer.echo("no mail server is set (SMTP_HOST); hand this on yourself:")
    typer.echo(link.url)


@app.command("export")
def export_command(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when something differs.")] = False,
    dashboard: Annotated[
        str | None, typer.Option(help="Also take in this dashboard, made by hand, by its slug or title.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder of the reviewed files.")] = ASSETS,
) -> None:
    """Write what is otherwise in Superset than in the reviewed files into the files, for review.

    A file that is written loses its comments. What is not written is equal.
    """
    try:
        with Superset(SupersetSettings.read()) as superset:
            found = changes(Bundle.load(folder), exported(superset), dashboard)
    except (SupersetError, ExportError, AssetError, httpx.HTTPError) as error:
        sys.stderr.write(f"superset: {error}\n")
        raise typer.Exit(2) from error
    for change in found:
        typer.echo(change.path)
        for words in change.words:
            typer.echo(f"  {words}")
        if not check:
            write(change, folder)
    if not found:
        typer.echo("Superset has what the files say")
    elif check:
        raise typer.Exit(1)
