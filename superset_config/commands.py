"""``watershed superset …``: what an operator does to Superset besides starting it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import httpx
import typer

from superset_config.access import give_access
from superset_config.admin import Admin
from superset_config.bundle import ASSETS, AssetError, Bundle
from superset_config.export import ExportError, changes, exported, write
from superset_config.rest import Superset, SupersetError, SupersetSettings
from superset_config.tenancy import ALL_TENANTS

app = typer.Typer(
    help="Superset: people who see all tenants, passwords, and dashboards between its pages and the files.",
    no_args_is_help=True,
)


@app.callback()
def superset() -> None:
    """Superset: people who see all tenants, passwords, and dashboards between its pages and the files."""


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


class Role(StrEnum):
    """What somebody may do who sees all tenants (superset_config/roles.yaml)."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    OPERATOR = "operator"

    @property
    def in_superset(self) -> tuple[str, ...]:
        """The names there: for what they do, and for whose data they see."""
        return {
            Role.VIEWER: ("Business viewer", ALL_TENANTS),
            Role.ANALYST: ("Analyst", ALL_TENANTS),
            Role.OPERATOR: ("Operator",),
        }[self]


@app.command("add-user")
def add_user(
    username: Annotated[str, typer.Argument(help="Log-in name.")],
    *,
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            help="viewer: looks; analyst: also makes charts and asks in SQL, the lake too; operator: also"
            " sees who did what.",
        ),
    ],
    email: Annotated[str | None, typer.Option(help="Where links go.")] = None,
    invite: Annotated[
        bool, typer.Option("--invite", help="Mail a link to choose a password; without a mail server, show it.")
    ] = False,
) -> None:
    """Let somebody in who sees all tenants. (`watershed tenant add-user`: who sees one.)"""
    if invite and email is None:
        raise typer.BadParameter("--invite needs --email: the address also finds the account of a forgotten password")
    try:
        with Admin(SupersetSettings.read()) as admin:
            given = give_access(admin, username, email or f"{username}@all.invalid", role.in_superset, invite)
    except (SupersetError, httpx.HTTPError) as error:
        sys.stderr.write(f"superset: {error}\n")
        raise typer.Exit(1) from error
    typer.echo(given.words())


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
